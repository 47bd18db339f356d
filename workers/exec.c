/* SPDX-License-Identifier: MIT */

/* workers/exec: a command per job.
 * Idea       the payload is on the command's standard input; what the job is, in QUERN_ID, QUERN_EVENT, QUERN_RETRIES, QUERN_ENTRY,
 *            QUERN_DELIVERIES and QUERN_HOLDER of its environment; its exit code decides; its standard output is the result. A job that is
 *            cancelled takes its whole process group with it and is tried again. child.h says how it is run.
 * Options    command: a list of words, where {id}, {event} and {retries} are replaced, but not in the first: no job may choose
 *              the program (words.h says what else none may).
 *            shell (false): command is one text for /bin/sh -c instead, and nothing in it is replaced: "$QUERN_ID" is safe
 *              there, a pasted id is not.
 *            input ("data"): what is on standard input; "message": the whole job as one JSON object (message.h).
 *            exit ({"0": "done", "65": "dead"}, any other "retry"): exit code → "done", "retry" or "dead".
 *            result_max_bytes (16384): standard output beyond it is thrown away, and the result says so in its last line.
 *            kill_grace_ms (2000): from SIGTERM to SIGKILL.
 * Never      hands on a QUERN_ variable of this process's own environment: they are configuration, and may hold a password. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "message.h"
#include "options.h"
#include "words.h"

extern char **environ;

enum { EXIT_CODES = 256, ERRORS_BYTES = 500, CUT_NOTE_BYTES = 64, RESULT_BYTES = 64 * 1024 };

struct exec {
    char **words, **environment; /* NULL-terminated */
    int64_t result_max_bytes, kill_grace_ms;
    bool takes_message;
    quern_verdict verdicts[EXIT_CODES];
};

/* A worker thread's buffers. */
struct exec_thread {
    char errors[ERRORS_BYTES];
    char output[]; /* result_max_bytes + CUT_NOTE_BYTES */
};

/* ── Options ── */

static int words_read(const json_t *command, char ***words, quern_error *error)
{
    size_t count = json_array_size(command);
    if (count == 0) return options_wrong(error, "command: must be a list of words, or one text beside \"shell\": true");
    *words = calloc(count + 1, sizeof **words);
    if (!*words) return options_no_memory(error);
    for (size_t i = 0; i < count; i++) {
        const char *word = json_string_value(json_array_get(command, i));
        if (!word) return options_wrong(error, "command: word %zu is not a text", i + 1);
        if (!((*words)[i] = strdup(word))) return options_no_memory(error);
    }
    if (!**words[0]) return options_wrong(error, "command: its first word, the program, is empty");
    if (words_have_placeholder(*words[0]))
        return options_wrong(error, "command: no job may choose the program: no {…} in the first word");
    return QUERN_OK;
}

static int shell_read(const json_t *command, char ***words, quern_error *error)
{
    const char *text = json_string_value(command);
    if (!text || !*text) return options_wrong(error, "command: with \"shell\": true it must be one text");
    if (words_have_placeholder(text))
        return options_wrong(error, "command: nothing is replaced in a shell's text: write \"$QUERN_ID\" for {id}, "
                                    "\"$QUERN_EVENT\" for {event}, \"$QUERN_RETRIES\" for {retries}");
    *words = calloc(4, sizeof **words);
    if (!*words) return options_no_memory(error);
    const char *const all[] = {"/bin/sh", "-c", text};
    for (size_t i = 0; i < 3; i++)
        if (!((*words)[i] = strdup(all[i]))) return options_no_memory(error);
    return QUERN_OK;
}

static quern_verdict verdict_named(const char *name)
{
    if (name && strcmp(name, "done") == 0) return QUERN_DONE;
    if (name && strcmp(name, "retry") == 0) return QUERN_RETRY;
    return name && strcmp(name, "dead") == 0 ? QUERN_DEAD : 0;
}

static int exit_read(const json_t *options, quern_verdict *verdicts, quern_error *error)
{
    enum { EX_DATAERR_OF_SYSEXITS = 65 };
    for (int code = 0; code < EXIT_CODES; code++) verdicts[code] = QUERN_RETRY;
    verdicts[0] = QUERN_DONE;
    verdicts[EX_DATAERR_OF_SYSEXITS] = QUERN_DEAD;
    json_t *table = json_object_get(options, "exit"), *value;
    if (table && !json_is_object(table)) return options_wrong(error, "exit: must be an object: exit code → verdict");
    const char *key;
    json_object_foreach(table, key, value)
    {
        char *rest;
        unsigned long code = strtoul(key, &rest, 10);
        if (key[0] < '0' || key[0] > '9' || *rest || code >= EXIT_CODES)
            return options_wrong(error, "exit: \"%s\" is no exit code from 0 to 255", key);
        verdicts[code] = verdict_named(json_string_value(value));
        if (!verdicts[code]) return options_wrong(error, "exit: %s: must be \"done\", \"retry\" or \"dead\"", key);
    }
    return QUERN_OK;
}

static int input_read(const json_t *options, bool *takes_message, quern_error *error)
{
    const char *input = "data";
    int code = options_text(options, "input", &input, error);
    *takes_message = strcmp(input, "message") == 0;
    if (code || *takes_message || strcmp(input, "data") == 0) return code;
    return options_wrong(error, "input: must be \"data\" or \"message\"");
}

/* Copied once, on the thread that loads modules: environ may change under a worker. */
static int environment_copy(struct exec *exec, quern_error *error)
{
    size_t count = 0;
    for (char **at = environ; at && *at; at++) count++;
    exec->environment = calloc(count + 1, sizeof *exec->environment);
    if (!exec->environment) return options_no_memory(error);
    count = 0;
    for (char **at = environ; at && *at; at++) {
        if (strncmp(*at, "QUERN_", strlen("QUERN_")) == 0) continue;
        char *copy = strdup(*at);
        if (!copy) return options_no_memory(error);
        exec->environment[count++] = copy;
    }
    return QUERN_OK;
}

static int exec_read(const json_t *options, struct exec *exec, quern_error *error)
{
    bool is_shell = false;
    exec->result_max_bytes = 16384;
    exec->kill_grace_ms = 2000;
    int code = options_flag(options, "shell", &is_shell, error);
    const json_t *command = json_object_get(options, "command");
    if (code == QUERN_OK) code = is_shell ? shell_read(command, &exec->words, error) : words_read(command, &exec->words, error);
    if (code == QUERN_OK) code = input_read(options, &exec->takes_message, error);
    if (code == QUERN_OK) code = exit_read(options, exec->verdicts, error);
    if (code == QUERN_OK)
        code = options_integer(options, "result_max_bytes", 0, RESULT_BYTES - CUT_NOTE_BYTES, &exec->result_max_bytes, error);
    if (code == QUERN_OK) code = options_integer(options, "kill_grace_ms", 0, 3600000, &exec->kill_grace_ms, error);
    return code == QUERN_OK ? environment_copy(exec, error) : code;
}

/* ── One job ── */

/* Fit for one line: no control characters, no blanks at its end, no half character at its cut beginning. */
static void errors_tidy(struct child_output *errors)
{
    while (errors->dropped && errors->len > 0 && (*errors->at & 0xc0) == 0x80) errors->at++, errors->len--;
    for (size_t i = 0; i < errors->len; i++)
        if ((unsigned char)errors->at[i] < 0x20 || errors->at[i] == 0x7f) errors->at[i] = ' ';
    while (errors->len > 0 && errors->at[errors->len - 1] == ' ') errors->len--;
}

/* The command has done its work: that its output cannot be kept (no memory) is no reason to run it again. */
static void result_keep(quern_job *job, struct child_output *out)
{
    if (out->dropped)
        out->len += (size_t)snprintf(out->at + out->len, CUT_NOTE_BYTES, "\n[cut: %" PRIu64 " more bytes]", out->dropped);
    if (out->len > 0) quern_job_result(job, out->at, out->len);
}

static quern_verdict exec_judge(const struct exec *exec, quern_job *job, const struct child_end *end, struct child_output *out,
                                struct child_output *errors)
{
    quern_verdict verdict = end->cancelled || end->was_signalled ? QUERN_RETRY : exec->verdicts[end->status & 0xff];
    if (verdict == QUERN_DONE) {
        result_keep(job, out);
        return verdict;
    }
    errors_tidy(errors);
    const char *signal = end->was_signalled ? sigabbrev_np(end->status) : NULL;
    const char *colon = errors->len > 0 ? ": " : "";
    int len = (int)errors->len;
    if (end->cancelled) {
        quern_job_error(job, "stopped, because %s%s%.*s", end->cancelled, colon, len, errors->at);
    } else if (end->was_signalled) {
        quern_job_error(job, "ended by SIG%s%s%.*s", signal ? signal : "?", colon, len, errors->at);
    } else {
        quern_job_error(job, "exit code %d%s%.*s", end->status, colon, len, errors->at);
    }
    return verdict;
}

/* A command that this machine lacks may be there on another; only what the job itself made too long is hopeless. */
static quern_verdict exec_failed(const struct exec *exec, quern_job *job, int code)
{
    quern_job_error(job,
                    code == ECHILD ? "%s: its exit code is unknown: something else in this process reaped it%s"
                                   : "cannot start %s: %s",
                    exec->words[0], code == ECHILD ? "" : strerror(code));
    return code == E2BIG ? QUERN_DEAD : QUERN_RETRY;
}

/* With what is to be on standard input. */
static quern_verdict exec_with(const struct exec *exec, quern_job *job, struct exec_thread *mine, quern_bytes input)
{
    struct words words;
    quern_verdict verdict = words_make(&words, job, exec->words, exec->environment);
    if (verdict) return verdict;
    struct child_command command = {words.argv, words.environment, input, exec->kill_grace_ms};
    struct child_output out = {.at = mine->output, .size = (size_t)exec->result_max_bytes};
    struct child_output errors = {.at = mine->errors, .size = sizeof mine->errors, .keeps_last = true};
    struct child_end end;
    int code = child_run(job, &command, &out, &errors, &end);
    words_free(&words);
    return code ? exec_failed(exec, job, code) : exec_judge(exec, job, &end, &out, &errors);
}

static quern_verdict exec_run(quern_job *job, void *thread, void *user)
{
    const struct exec *exec = user;
    char *message = NULL;
    quern_bytes input = quern_job_data(job);
    quern_verdict verdict = exec->takes_message ? message_make(job, &message, &input.len) : 0;
    if (verdict) return verdict;
    if (message) input.at = message;
    verdict = exec_with(exec, job, thread, input);
    free(message);
    return verdict;
}

/* ── The module ── */

static int exec_thread_open(void **thread, void *user)
{
    const struct exec *exec = user;
    *thread = malloc(sizeof(struct exec_thread) + (size_t)exec->result_max_bytes + CUT_NOTE_BYTES);
    return *thread ? 0 : -1;
}

static void exec_thread_close(void *thread, void *user)
{
    (void)user;
    free(thread);
}

static void exec_close(quern_handler *handler)
{
    struct exec *exec = handler->user;
    if (!exec) return;
    words_list_free(exec->words);
    words_list_free(exec->environment);
    free(exec);
    handler->user = NULL;
}

static int exec_open(const char *options_json, quern_handler *handler, quern_error *error)
{
    static const char *const known[] = {"command", "shell", "input", "exit", "result_max_bytes", "kill_grace_ms", NULL};
    struct exec *exec = calloc(1, sizeof *exec);
    if (!exec) return options_no_memory(error);
    handler->run = exec_run;
    handler->thread_open = exec_thread_open;
    handler->thread_close = exec_thread_close;
    handler->user = exec;
    json_t *options = options_read(options_json, known, error);
    int code = options ? exec_read(options, exec, error) : QUERN_E_CONFIG;
    json_decref(options);
    if (code != QUERN_OK) exec_close(handler);
    return code;
}

QUERN_PUBLIC const quern_module quern_module_entry = {
    .abi = QUERN_MODULE_ABI, .size = sizeof(quern_module), .name = "exec", .open = exec_open, .close = exec_close};
