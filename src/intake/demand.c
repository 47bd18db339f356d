/* SPDX-License-Identifier: MIT */
#include "intake/demand.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "intake/tap.h"
#include "queue/done.h"

enum { MEAN_WEIGHT = 4 };

bool demand_open(struct demand *demand, const struct dispatcher_needs *needs)
{
    *demand = (struct demand){.needs = needs};
    demand->reserve.jobs = malloc(slots_count(needs->slots) * sizeof *demand->reserve.jobs);
    return demand->reserve.jobs != NULL;
}

void demand_close(struct demand *demand)
{
    demand_release(demand, (struct in_flight){0});
    free(demand->reserve.jobs);
}

void demand_see_idleness(struct demand *demand)
{
    if (ready_sleepers(demand->needs->ready)) demand->progress_ns = clock_now_ns();
}

static uint32_t measure(struct demand *demand)
{
    uint32_t threads;
    int64_t jobs, run_ns;
    demand->needs->read_crew(demand->needs->crew, &threads, &jobs, &run_ns);
    if (jobs > demand->jobs_before) {
        int64_t of_late_ns = (run_ns - demand->run_ns_before) / (jobs - demand->jobs_before);
        demand->mean_ns = demand->mean_ns ? demand->mean_ns + (of_late_ns - demand->mean_ns) / MEAN_WEIGHT : of_late_ns;
        if (demand->mean_ns < 1) demand->mean_ns = 1;
        demand->progress_ns = clock_now_ns();
    }
    demand_see_idleness(demand);
    demand->jobs_before = jobs;
    demand->run_ns_before = run_ns;
    return threads;
}

/* What a job takes. Where every thread is busy and none has ended a job for a while, it takes at least so long by now, whatever the
 * jobs before it took: what is fetched then would only wait. */
static int64_t expected_ns(const struct demand *demand)
{
    if (!demand->mean_ns || ready_sleepers(demand->needs->ready)) return demand->mean_ns;
    int64_t standing_ns = clock_now_ns() - demand->progress_ns;
    return standing_ns > demand->mean_ns ? standing_ns : demand->mean_ns;
}

bool demand_holds_nothing(const struct demand *demand)
{
    return slots_free_count(demand->needs->slots) + demand->reserve.count == slots_count(demand->needs->slots);
}

static uint32_t free_slots(const struct demand *demand, struct in_flight in_flight)
{
    return slots_free_count(demand->needs->slots) + demand->reserve.count - in_flight.slots - demand->admitting;
}

uint32_t demand_room(const struct demand *demand, struct in_flight in_flight)
{
    uint32_t room = free_slots(demand, in_flight) / STREAMS;
    return room < demand->needs->batch_size ? room : demand->needs->batch_size;
}

struct plan demand_plan(struct demand *demand, struct in_flight in_flight)
{
    const struct dispatcher_needs *needs = demand->needs;
    uint32_t threads = measure(demand);
    struct plan made = plan(&(struct plan_facts){
        .threads = threads,
        .idle_threads = ready_sleepers(needs->ready),
        .waiting = ready_length(needs->ready) + demand->admitting,
        .asked = in_flight.jobs,
        .free = free_slots(demand, in_flight),
        .settling = (uint32_t)done_unfreed(needs->done),
        .mean_ns = expected_ns(demand),
        .prefetch_ns = needs->is_unpended ? 0 : needs->prefetch_ns,
        .prefetch_max = needs->prefetch_max,
        .batch_size = needs->batch_size,
        .entry_bytes = demand->entry_bytes,
        .holds_nothing = demand_holds_nothing(demand) && !in_flight.slots,
        .used_bytes = chunk_pool_used_bytes(needs->chunks),
        .max_bytes = needs->prefetch_bytes,
    });
    ready_set_worth(needs->ready, made.worth);
    return made;
}

bool demand_reserve(struct demand *demand, struct in_flight in_flight, uint32_t slots)
{
    uint32_t needed = in_flight.slots + slots + demand->admitting;
    while (demand->reserve.count < needed) {
        struct quern_job *job = slots_reserve(demand->needs->slots);
        if (!job) return false;
        demand->reserve.jobs[demand->reserve.count++] = job;
    }
    return true;
}

void demand_release(struct demand *demand, struct in_flight in_flight)
{
    while (demand->reserve.count > in_flight.slots)
        slots_unreserve(demand->needs->slots, demand->reserve.jobs[--demand->reserve.count]);
}
