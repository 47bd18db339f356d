/* SPDX-License-Identifier: MIT */

/* A host in C++17: the same header, lambdas for callbacks. */
#include <cstdio>
#include <cstring>
#include <memory>
#include <quern.h>

int main()
{
    quern_error error{};
    std::unique_ptr<quern_config, decltype(&quern_config_free)> config(quern_config_new(), quern_config_free);
    quern_handler handler{};
    handler.size = sizeof handler;
    handler.event = "*";
    handler.run = [](quern_job *job, void *, void *) { return quern_job_retries(job) ? QUERN_DEAD : QUERN_DONE; };
    quern_config_log(
        config.get(), [](void *, int, const char *line) { std::puts(line); }, nullptr);
    if (quern_config_on(config.get(), &handler, &error) != QUERN_OK) {
        std::fprintf(stderr, "embed: %s: %s\n", quern_code_name(error.code), error.text);
        return 1;
    }
    if (quern_config_on(config.get(), &handler, &error) != QUERN_E_ARGUMENT) {
        std::fprintf(stderr, "embed: one event took two handlers\n");
        return 1;
    }
    quern_message message{};
    message.size = sizeof message;
    message.event = "sum";
    message.data = {"[1, 2]", 6};
    return std::strcmp(quern_version(), QUERN_VERSION) == 0 && message.data.len == 6 ? 0 : 1;
}
