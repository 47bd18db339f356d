/* SPDX-License-Identifier: MIT */

/* notified PATH: plays systemd's end of NOTIFY_SOCKET: each datagram that comes to the socket PATH is a line of standard output. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char text[4096];
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (argc != 2 || strlen(argv[1]) >= sizeof address.sun_path) return 2;
    memcpy(address.sun_path, argv[1], strlen(argv[1]));
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address)) return 1;
    for (ssize_t n; (n = recv(fd, text, sizeof text, 0)) >= 0;) {
        printf("%.*s\n", (int)n, text);
        fflush(stdout);
    }
    return 1;
}
