/* SPDX-License-Identifier: MIT */
#include "inspect/doctor.h"

#include "base/bytes.h"
#include "inspect/show.h"

static int look_at_all(struct look *look, const quern_config *config, const struct facts *facts, struct findings *findings,
                       quern_error *err)
{
    bool may_go_on;
    doctor_server(facts, findings, &may_go_on);
    if (!may_go_on) return QUERN_OK;
    int code = doctor_queue(look, findings, &may_go_on, err);
    return code || !may_go_on ? code : doctor_group(look, config, findings, err);
}

static json_t *object_of(const struct look *look, const struct facts *facts, const struct findings *findings)
{
    json_t *object = json_pack("{s:s, s:s, s:s, s:s}", "stream", look->source.stream, "group", look->source.group, "redis",
                               look->url.shown, "server", facts_product(facts));
    bool is_whole =
        object &&
        (facts->has_version ? show_bytes(object, "version", bytes_of(facts->version_text)) : show_null(object, "version")) &&
        !json_object_set_new(object, "findings", findings_sorted(findings));
    if (is_whole) return object;
    json_decref(object);
    return NULL;
}

char *quern_queue_doctor(const quern_config *config, quern_error *err)
{
    struct look look;
    struct facts facts;
    struct findings findings = {0};
    quern_error own;
    if (!err) err = &own;
    if (look_open_unjudged(&look, config, "quern:look", err)) return NULL;
    int code = facts_read(&look, &facts, err);
    if (code) {
        look_close(&look);
        return NULL;
    }
    code = look_at_all(&look, config, &facts, &findings, err);
    char *text = code ? NULL : show_text(object_of(&look, &facts, &findings), err);
    findings_close(&findings);
    facts_close(&facts);
    look_close(&look);
    return text;
}
