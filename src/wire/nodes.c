/* SPDX-License-Identifier: MIT */
#include "wire/nodes.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct nodes {
    pthread_mutex_t lock;
    uint32_t count, own_count;
    struct url_place at[NODES_MAX], own[NODES_MAX];
};

bool url_place_equal(const struct url_place *a, const struct url_place *b)
{
    return a->port == b->port && !strcmp(a->host, b->host);
}

struct nodes *nodes_open(const struct url_place *own, uint32_t count)
{
    struct nodes *nodes = calloc(1, sizeof *nodes);
    if (!nodes) return NULL;
    pthread_mutex_init(&nodes->lock, NULL);
    nodes->count = nodes->own_count = count < NODES_MAX ? count : NODES_MAX;
    memcpy(nodes->own, own, nodes->count * sizeof *own);
    memcpy(nodes->at, own, nodes->count * sizeof *own);
    return nodes;
}

void nodes_close(struct nodes *nodes)
{
    if (!nodes) return;
    pthread_mutex_destroy(&nodes->lock);
    free(nodes);
}

uint32_t nodes_list(struct nodes *nodes, struct url_place list[NODES_MAX])
{
    pthread_mutex_lock(&nodes->lock);
    uint32_t count = nodes->count;
    memcpy(list, nodes->at, count * sizeof *list);
    pthread_mutex_unlock(&nodes->lock);
    return count;
}

/* Its place in the list; count: it is not there. */
static uint32_t find(const struct url_place *list, uint32_t count, const struct url_place *place)
{
    uint32_t at = 0;
    while (at < count && !url_place_equal(&list[at], place)) at++;
    return at;
}

void nodes_prefer(struct nodes *nodes, const struct url_place *place)
{
    struct url_place kept = *place;
    pthread_mutex_lock(&nodes->lock);
    uint32_t at = find(nodes->at, nodes->count, place);
    if (at == nodes->count && nodes->count < NODES_MAX) nodes->count++;
    if (at == NODES_MAX) at--;
    memmove(nodes->at + 1, nodes->at, at * sizeof *nodes->at);
    nodes->at[0] = kept;
    pthread_mutex_unlock(&nodes->lock);
}

void nodes_defer(struct nodes *nodes, const struct url_place *place)
{
    struct url_place kept = *place;
    pthread_mutex_lock(&nodes->lock);
    uint32_t at = find(nodes->at, nodes->count, place);
    if (at < nodes->count) {
        memmove(nodes->at + at, nodes->at + at + 1, (nodes->count - at - 1) * sizeof *nodes->at);
        nodes->at[nodes->count - 1] = kept;
    }
    pthread_mutex_unlock(&nodes->lock);
}

void nodes_learn(struct nodes *nodes, const struct url_place *list, uint32_t count)
{
    pthread_mutex_lock(&nodes->lock);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < nodes->count; i++) {
        bool stays =
            find(nodes->own, nodes->own_count, &nodes->at[i]) < nodes->own_count || find(list, count, &nodes->at[i]) < count;
        if (stays) nodes->at[kept++] = nodes->at[i];
    }
    for (uint32_t i = 0; i < count && kept < NODES_MAX; i++)
        if (find(nodes->at, kept, &list[i]) == kept) nodes->at[kept++] = list[i];
    nodes->count = kept;
    pthread_mutex_unlock(&nodes->lock);
}
