/* SPDX-License-Identifier: MIT */
#include "support/peer.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ── what it hears ───────────────────────────────────────────────────────────────────────────────────────────────── */

/* A number behind a type byte, ended by CR LF, from *at on. -1: not whole yet. */
static long take_head(const struct peer *peer, size_t *at, char type)
{
    const char *start = peer->unread + *at, *end = memchr(start, '\n', peer->unread_len - *at);
    if (!end || start[0] != type) return -1;
    *at = (size_t)(end + 1 - peer->unread);
    return strtol(start + 1, NULL, 10);
}

static void note(struct peer *peer, const char *bytes, size_t len)
{
    if (peer->heard_len + len >= PEER_HEARD_BYTES) return;
    memcpy(peer->heard + peer->heard_len, bytes, len);
    peer->heard_len += len;
    peer->heard[peer->heard_len] = 0;
}

/* Takes one whole command from what was received, into heard. false: it is not whole. */
static bool take_command(struct peer *peer)
{
    size_t at = 0, before = peer->heard_len;
    if (peer->unread_len == 0) return false;
    long argc = take_head(peer, &at, '*');
    for (long i = 0; i < argc; i++) {
        long len = at < peer->unread_len ? take_head(peer, &at, '$') : -1;
        if (len < 0 || at + (size_t)len + 2 > peer->unread_len) {
            peer->heard_len = before;
            return false;
        }
        if (i) note(peer, " ", 1);
        note(peer, peer->unread + at, (size_t)len);
        at += (size_t)len + 2;
    }
    if (argc < 0) return false;
    note(peer, "\n", 1);
    memmove(peer->unread, peer->unread + at, peer->unread_len - at);
    peer->unread_len -= at;
    return true;
}

const char *peer_hear(struct peer *peer)
{
    static _Thread_local char command[PEER_COMMAND_BYTES];
    size_t before = peer->heard_len;
    while (!take_command(peer)) {
        size_t room = sizeof peer->unread - peer->unread_len;
        ssize_t n = room ? recv(peer->fd, peer->unread + peer->unread_len, room, 0) : 0;
        if (n <= 0) return NULL;
        peer->unread_len += (size_t)n;
    }
    snprintf(command, sizeof command, "%.*s", (int)(peer->heard_len - before - 1), peer->heard + before);
    return command;
}

void peer_listen(struct peer *peer)
{
    while (peer_hear(peer)) continue;
}

/* ── what it says ────────────────────────────────────────────────────────────────────────────────────────────────── */

bool peer_say_bytes(struct peer *peer, const void *bytes, size_t len)
{
    for (size_t sent = 0; sent < len;) {
        ssize_t n = send(peer->fd, (const char *)bytes + sent, len - sent, MSG_NOSIGNAL);
        if (n <= 0) return false;
        sent += (size_t)n;
    }
    return true;
}

bool peer_say(struct peer *peer, const char *text)
{
    return peer_say_bytes(peer, text, strlen(text));
}

bool peer_greet_one(struct peer *peer, const char **command)
{
    static const struct {
        const char *begin, *answer;
    } table[] = {
        {"AUTH ", "+OK\r\n"},
        {"SELECT ", "+OK\r\n"},
        {"CLIENT SETNAME ", "+OK\r\n"},
        {"CLIENT ID", ":41\r\n"},
        {"INFO server", "$42\r\n# Server\r\nredis_version:7.0.15\r\nos:Linux\r\n\r\n"},
    };
    *command = peer_hear(peer);
    for (size_t i = 0; *command && i < COUNT_OF(table); i++)
        if (strncmp(*command, table[i].begin, strlen(table[i].begin)) == 0) return peer_say(peer, table[i].answer);
    return false;
}

bool peer_greet(struct peer *peer)
{
    const char *command;
    while (peer_greet_one(peer, &command))
        if (strncmp(command, "INFO", 4) == 0) return true;
    return false;
}

/* ── the thread ──────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Under the lock, so that peer_stop() shuts down no descriptor that is somebody else's by then. */
static void set_fd(struct peer *peer, int fd)
{
    pthread_mutex_lock(&peer->lock);
    peer->fd = fd;
    pthread_mutex_unlock(&peer->lock);
}

static void *run(void *given)
{
    struct peer *peer = given;
    while (!atomic_load(&peer->is_stopping)) {
        int fd = accept(peer->listener, NULL, NULL);
        if (fd < 0) break;
        peer->unread_len = 0;
        set_fd(peer, fd);
        atomic_fetch_add(&peer->accepted, 1);
        if (!atomic_load(&peer->is_stopping)) peer->serve(peer);
        set_fd(peer, -1);
        close(fd);
    }
    return NULL;
}

void peer_start(struct peer *peer, const char *login)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const char *below = getenv("TMPDIR");
    quern_error err;
    snprintf(peer->dir, sizeof peer->dir, "%s/quern-peer-XXXXXX", below && *below && strlen(below) < 80 ? below : "/tmp");
    assert_non_null(mkdtemp(peer->dir));
    snprintf(at.sun_path, sizeof at.sun_path, "%.90s/socket", peer->dir);
    snprintf(peer->address, sizeof peer->address, "unix://%s%.90s/socket", login, peer->dir);
    assert_int_equal(QUERN_OK, url_read(&peer->url, peer->address, &err));
    peer->fd = -1;
    pthread_mutex_init(&peer->lock, NULL);
    peer->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(0, bind(peer->listener, (struct sockaddr *)&at, sizeof at));
    assert_int_equal(0, listen(peer->listener, 16));
    assert_int_equal(0, pthread_create(&peer->thread, NULL, run, peer));
}

void peer_stop(struct peer *peer)
{
    atomic_store(&peer->is_stopping, true);
    shutdown(peer->listener, SHUT_RDWR); /* accept() returns */
    pthread_mutex_lock(&peer->lock);
    if (peer->fd >= 0) shutdown(peer->fd, SHUT_RDWR);
    pthread_mutex_unlock(&peer->lock);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
    unlink(peer->url.host);
    rmdir(peer->dir);
    url_free(&peer->url);
}
