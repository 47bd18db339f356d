/* SPDX-License-Identifier: MIT */
#include "inspect/doctor.h"

#include "base/bytes.h"
#include "base/err.h"
#include "config/queues.h"
#include "inspect/show.h"

/* What was looked at so far. */
struct visit {
    json_t *server; /* members of the answer that tell of it; NULL: not asked yet */
    json_t *queues;
    struct findings findings;
};

static bool show_server(struct visit *visit, const struct look *look, const struct facts *facts)
{
    bool is_told = facts->has_version;
    visit->server = json_pack("{s:s, s:s}", "redis", look->url.shown, "server", facts_product(facts));
    return visit->server && (is_told ? show_bytes(visit->server, "version", bytes_of(facts->version_text))
                                     : show_null(visit->server, "version"));
}

/* Once: all queues are on one server. */
static int visit_server(struct visit *visit, struct look *look, bool *may_go_on, quern_error *err)
{
    struct facts facts;
    int code = facts_read(look, &facts, err);
    if (code) return code;
    doctor_server(&facts, &visit->findings, may_go_on);
    if (!show_server(visit, look, &facts)) code = err_set(err, QUERN_E_MEMORY, "no memory for what was seen");
    facts_close(&facts);
    return code;
}

static int visit_queue(struct visit *visit, struct look *look, bool *may_go_on, quern_error *err)
{
    json_t *row = json_pack("{s:s, s:s}", "stream", look->source.stream, "group", look->source.group);
    bool has_group;
    if (json_array_append_new(visit->queues, row)) return err_set(err, QUERN_E_MEMORY, "no memory for what was seen");
    int code = visit->server ? QUERN_OK : visit_server(visit, look, may_go_on, err);
    if (code || !*may_go_on) return code;
    visit->findings.stream = look->source.stream;
    code = doctor_queue(look, &visit->findings, &has_group, err);
    if (!code && has_group) code = doctor_group(look, look->config, &visit->findings, err);
    visit->findings.stream = NULL;
    return code;
}

static int visit_all(struct visit *visit, const struct served *served, quern_error *err)
{
    bool may_go_on = true;
    int code = QUERN_OK;
    for (size_t i = 0; i < served->count && may_go_on && !code; i++) {
        struct look look;
        if ((code = look_open_unjudged(&look, served->at[i], "quern:look", err))) break;
        code = visit_queue(visit, &look, &may_go_on, err);
        look_close(&look);
    }
    return code;
}

/* Takes what was shown. */
static json_t *object_of(struct visit *visit)
{
    json_t *object = json_incref(visit->server);
    bool is_whole = !json_object_set(object, "queues", visit->queues) &&
                    !json_object_set_new(object, "findings", findings_sorted(&visit->findings));
    if (is_whole) return object;
    json_decref(object);
    return NULL;
}

char *quern_queue_doctor(const quern_config *config, quern_error *err)
{
    struct visit visit = {.queues = json_array()};
    struct served served;
    quern_error own;
    char *text = NULL;
    if (!err) err = &own;
    int code = config ? served_open(config, &served, err) : err_set(err, QUERN_E_ARGUMENT, "no configuration was given");
    if (!code) {
        if (!(code = visit_all(&visit, &served, err))) text = show_text(object_of(&visit), err);
        served_close(&served);
    }
    findings_close(&visit.findings);
    json_decref(visit.server);
    json_decref(visit.queues);
    return text;
}
