/* SPDX-License-Identifier: MIT */

/* A user of the embedded server that a test can start, end and kill: holder DIR START_MS [SEARCH] says "open URL", or "error
 * CODE TEXT", and holds on until its standard input closes. It acts as keeper when called so, as the real program does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embed/embed.h"
#include "embed/keeper.h"

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], KEEPER_VERB)) return embed_keeper_main(argc, argv);
    if (argc < 3) return 2;
    quern_error err;
    const struct embed_options options = {.dir = argv[1], .start_ms = atoi(argv[2]), .search = argc > 3 ? argv[3] : NULL};
    struct embed *embed = embed_open(&options, &err);
    if (embed)
        printf("open %s\n", embed_url(embed));
    else
        printf("error %d %s\n", err.code, err.text);
    fflush(stdout);
    while (embed && getchar() != EOF) {}
    embed_close(embed);
    return embed ? 0 : 1;
}
