/* SPDX-License-Identifier: MIT */
#include "run/meter.h"

#include "job/bill.h"

/* What was taken since the clock was asked last goes to the lines; what rounding leaves, to the last one. Returns how much it was. */
static int64_t share_out(struct meter *meter, int64_t now_ns)
{
    int64_t cpu_ns = meter->cpu_ns(), took_ns = cpu_ns - meter->asked_cpu_ns, left_ns = took_ns;
    for (uint32_t i = 0; i < meter->count; i++) {
        const struct meter_share *share = &meter->shares[i];
        bool is_last = i + 1 == meter->count;
        int64_t part_ns = is_last ? left_ns : (int64_t)((double)took_ns * (double)share->run_ns / (double)meter->run_ns);
        bill_took(share->line, part_ns);
        left_ns -= part_ns;
    }
    meter->count = 0;
    meter->run_ns = 0;
    meter->asked_cpu_ns = cpu_ns;
    meter->asked_ns = now_ns;
    return took_ns;
}

static void add_share(struct meter *meter, struct bill_line *line, int64_t run_ns)
{
    uint32_t at = 0;
    if (run_ns < 1) run_ns = 1; /* else there might be nothing to divide by */
    while (at < meter->count && meter->shares[at].line != line) at++;
    if (at == meter->count) meter->shares[meter->count++] = (struct meter_share){.line = line};
    meter->shares[at].run_ns += run_ns;
    meter->run_ns += run_ns;
}

void meter_begin(struct meter *meter, int64_t mean_ns, int64_t now_ns)
{
    meter->is_single = mean_ns == 0 || mean_ns >= METER_NS;
    if (!meter->is_open || (meter->is_single && meter->count)) share_out(meter, now_ns);
    meter->is_open = true;
}

int64_t meter_end(struct meter *meter, struct bill_line *line, int64_t run_ns, int64_t now_ns)
{
    add_share(meter, line, run_ns);
    if (!meter->is_single && meter->count < METER_EVENTS && now_ns - meter->asked_ns < METER_SHARED_NS) return -1;
    int64_t took_ns = share_out(meter, now_ns);
    return meter->is_single ? took_ns : -1;
}

void meter_close(struct meter *meter)
{
    if (meter->count) share_out(meter, 0);
    meter->is_open = false;
}
