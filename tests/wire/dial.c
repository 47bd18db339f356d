/* SPDX-License-Identifier: MIT */

/* wire/dial: a host that has several addresses is reached at one that answers, in the time there is for all of them. */
#include "wire/dial.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/unit.h"

enum { ADDRESSES = 2, FILLERS = 16 };

/* What the resolver finds. */
static struct sockaddr_in found[ADDRESSES];
static struct addrinfo list[ADDRESSES];
static int found_count;

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **result);
void __wrap_freeaddrinfo(struct addrinfo *first);

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **result)
{
    (void)host, (void)port;
    for (int i = 0; i < found_count; i++)
        list[i] = (struct addrinfo){.ai_family = AF_INET,
                                    .ai_socktype = hints->ai_socktype,
                                    .ai_addr = (struct sockaddr *)&found[i],
                                    .ai_addrlen = sizeof found[i],
                                    .ai_next = i + 1 < found_count ? &list[i + 1] : NULL};
    *result = list;
    return 0;
}

void __wrap_freeaddrinfo(struct addrinfo *first)
{
    (void)first;
}

static int listen_here(struct sockaddr_in *at, int backlog)
{
    socklen_t size = sizeof *at;
    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)at, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)at, &size), 0);
    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

/* As a host behind a firewall: who connects hears nothing. It listens, and its backlog is full. */
static int listen_mute(struct sockaddr_in *at, int fillers[FILLERS])
{
    int fd = listen_here(at, 0), waiting = 0;
    for (int i = 0; i < FILLERS; i++) {
        struct pollfd filler = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), .events = POLLOUT};
        fillers[i] = filler.fd;
        connect(filler.fd, (struct sockaddr *)at, sizeof *at);
        waiting += poll(&filler, 1, waiting ? 0 : 50) == 0;
    }
    assert_in_range(waiting, 1, FILLERS);
    return fd;
}

static void an_address_that_says_nothing_leaves_time_for_the_others(void **state)
{
    int fillers[FILLERS], fd = -1, mute = listen_mute(&found[0], fillers), listener = listen_here(&found[1], 16);
    struct url_place place = {.host = "many.example", .port = 6379};
    struct sockaddr_in reached;
    socklen_t size = sizeof reached;
    quern_error err;
    (void)state;
    found_count = ADDRESSES;
    int64_t deadline_ns = clock_deadline_ns(clock_now_ns(), 4000);
    if (dial(&fd, &(struct dial_to){.place = &place, .shown = "many.example"}, deadline_ns, &err)) fail_msg("%s", err.text);
    assert_true(clock_now_ns() < deadline_ns);
    assert_int_equal(getpeername(fd, (struct sockaddr *)&reached, &size), 0);
    assert_int_equal(reached.sin_port, found[1].sin_port);
    for (int n = 0; n < FILLERS; n++) close(fillers[n]);
    close(mute);
    close(listener);
    close(fd);
}

static void where_none_answers_the_time_is_kept(void **state)
{
    int fillers[FILLERS], fd = -1, mute = listen_mute(&found[0], fillers);
    struct url_place place = {.host = "many.example", .port = 6379};
    quern_error err;
    (void)state;
    found_count = 2;
    found[1] = found[0];
    int64_t from_ns = clock_now_ns(), deadline_ns = clock_deadline_ns(from_ns, 600);
    assert_int_equal(dial(&fd, &(struct dial_to){.place = &place, .shown = "many.example"}, deadline_ns, &err),
                     QUERN_E_CONNECT);
    assert_in_range((clock_now_ns() - from_ns) / NS_PER_MS, 599, UNIT_PATIENCE_MS);
    for (int n = 0; n < FILLERS; n++) close(fillers[n]);
    close(mute);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_that_says_nothing_leaves_time_for_the_others),
        cmocka_unit_test(where_none_answers_the_time_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
