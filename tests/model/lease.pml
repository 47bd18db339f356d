/* SPDX-License-Identifier: MIT */

/* tests/model/lease: who may end, prolong or move a lease, in every order in which it can happen.
 * Idea       two pools of one thread each, two jobs. What Redis does at once is one step, as its scripts are; between two steps
 *            anything may come: a lease that runs out (of a process that is stopped, or slow, or by a clock that was set), a process
 *            that dies, an answer that is lost. How many of these come is bounded: what is promised to happen happens after them.
 * Names      a script of src/wire/scripts that is a step here says so ("Model"), and the step has that name: tests/model/run looks
 *            whether both agree. read is a command and has no script.
 * Numbers    an entry that is moved is a new one, with a number of its own: a lease is {entry, owner, deliveries}, as in the scripts.
 * Safety     a job is at one place and ends once; it is started again only for a reason; a lease that is not over is ended by its
 *            owner alone; who hears that its lease was lost has settled nothing, and has it no more.
 * Liveness   once faults are over every job ends (settled, under weak fairness).
 * Variants   each of these takes a check away, and must be found out: UNFENCED_DONE, UNFENCED_RETRY, UNFENCED_DEAD, UNFENCED_RENEW,
 *            UNFENCED_RECLAIM, UNFENCED_BLAME, FORGETFUL (no settles key), HEEDLESS (an answer marks whatever job its slot has by now).
 *            IDLE takes away the reaper: then not every job ends.
 * Not here   groups that vanish, failovers, batches, keys, what operators do. */

#define POOLS   2
#define JOBS    2
#define RETRIES 1 /* how often a job is tried again */
#define NOBODY  9
#define DIED    8 /* a process that is no more: the next one has another name */

#ifndef OVERDUE
#define OVERDUE 2 /* leases that run out though their owner lives */
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef LOSSES
#define LOSSES 1
#endif

mtype = { NOWHERE, STREAM, RETRY, ALONE, DELAYED, ENDED };
mtype = { FREE, RUNS, TO_DONE, TO_RETRY, TO_DEAD };
mtype = { UNKNOWN, TAKEN, LOST };

/* What Redis has of a job; and behind that what only this model counts. */
typedef entry {
    mtype at;
    byte id, owner, count;
    bit is_over; /* idle for a lease */
    byte retries;
    byte copies, ends;
    bit is_started, is_excused;
};
entry e[JOBS];

mtype settles[POOLS]; /* S:G:settles: what became of a pool's last batch */

/* What a pool knows: of its job, of the renewal that it has sent; and what the reaper has seen. */
typedef slot {
    mtype state;
    byte job, id, count;
    bit is_alone, was_asked, was_taken;
};
typedef sight {
    bit is_out;
    byte job, id, owner, count;
};
slot s[POOLS];
sight renewal[POOLS], seen;

byte overdue = OVERDUE, crashes = CRASHES, losses = LOSSES;

#define is_in(k)     (e[k].at == STREAM || e[k].at == RETRY || e[k].at == ALONE)
#define is_held(k)   (is_in(k) && e[k].owner != NOBODY)
#define is_unread(k) ((e[k].at == STREAM || e[k].at == RETRY) && e[k].owner == NOBODY)

/* The fence (owner.lua): the same entry, owner and delivery. */
#define is_there(k, number) (is_held(k) && e[k].id == number)
#define is_ours(k, number, holder, times) (is_there(k, number) && e[k].owner == holder && e[k].count == times)
#define is_mine(p) is_ours(s[p].job, s[p].id, p, s[p].count)

/* ── what a step is made of ──────────────────────────────────────────────────────────────────────────────────────── */

/* A lease ends by somebody else's hand. */
inline take(k)
{
    assert(e[k].is_over || e[k].owner == DIED);
    e[k].is_excused = 1
}

inline leave(k, to)
{
    e[k].at = to;
    e[k].id++;
    e[k].owner = NOBODY;
    e[k].count = 0;
    e[k].is_over = 0
}

inline finish(k)
{
    leave(k, ENDED);
    e[k].ends++;
    e[k].copies--
}

/* The entry is handed out; where its answer is lost, nobody starts it. */
inline hand_out(p, k)
{
    e[k].owner = p;
    e[k].count++;
    e[k].is_over = 0;
    if
    :: assert(!e[k].is_started || e[k].is_excused);
       e[k].is_started = 1;
       e[k].is_excused = 0;
       s[p].state = RUNS;
       s[p].job = k;
       s[p].id = e[k].id;
       s[p].count = e[k].count;
       s[p].is_alone = (e[k].at == ALONE)
    :: losses > 0 -> losses--
    fi
}

inline taken(p, k)
{
    settles[p] = TAKEN;
    s[p].was_taken = 1;
    assert(e[k].copies <= 1 && e[k].ends <= 1)
}

/* ── steps ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

inline publish(k)
{
    e[k].at = STREAM;
    e[k].owner = NOBODY;
    e[k].copies++
}

inline read(p, k)
{
    hand_out(p, k)
}

/* It is ours, and we know nothing of it. */
inline adopt(p, k)
{
    hand_out(p, k)
}

/* One that runs with nothing else beside it: nobody has it, or who had it has let it go. */
inline alone(p, k)
{
    if
    :: e[k].owner != NOBODY && e[k].owner != p -> take(k)
    :: else
    fi;
    hand_out(p, k)
}

/* As XACK: whoever's it is by now. What it reports is done. */
inline ack(p, k, number)
{
    if
    :: is_there(k, number) -> finish(k); s[p].was_taken = 1
    :: else
    fi
}

/* With its record, which comes right before it: of what is in no doubt, and so whoever's it is. A late one may leave a second record in
 * the log, of what it has done; it ends nothing twice. */
inline logged(p, k, number)
{
    ack(p, k, number);
    if
    :: s[p].was_taken -> settles[p] = TAKEN
    :: else -> settles[p] = LOST
    fi
}

#ifdef UNFENCED_DONE
#define may_end(p, k, number, times) true
#else
#define may_end(p, k, number, times) is_ours(k, number, p, times)
#endif
inline done(p, k, number, times)
{
    if
    :: settles[p] != UNKNOWN
    :: settles[p] == UNKNOWN && !may_end(p, k, number, times) -> settles[p] = LOST
    :: settles[p] == UNKNOWN && may_end(p, k, number, times) ->
       if
       :: is_there(k, number) -> finish(k)
       :: else -> e[k].ends++ /* unfenced: its record in the completed log */
       fi;
       taken(p, k)
    fi
}

/* To where it waits for its time, or at once into the retry stream. */
#ifdef UNFENCED_RETRY
#define may_retry(p, k, number, times) true
#else
#define may_retry(p, k, number, times) is_ours(k, number, p, times)
#endif
inline retry(p, k, number, times)
{
    if
    :: settles[p] != UNKNOWN
    :: settles[p] == UNKNOWN && !may_retry(p, k, number, times) -> settles[p] = LOST
    :: settles[p] == UNKNOWN && may_retry(p, k, number, times) ->
       if
       :: is_there(k, number) ->
          if
          :: e[k].owner != p -> take(k)
          :: else
          fi;
          e[k].retries++;
          e[k].is_excused = 1;
          if
          :: leave(k, DELAYED)
          :: leave(k, RETRY)
          fi
       :: else -> e[k].copies++ /* unfenced */
       fi;
       taken(p, k)
    fi
}

#ifdef UNFENCED_DEAD
#define may_bury(p, k, number, times) true
#else
#define may_bury(p, k, number, times) is_ours(k, number, p, times)
#endif
inline dead(p, k, number, times)
{
    if
    :: settles[p] != UNKNOWN
    :: settles[p] == UNKNOWN && !may_bury(p, k, number, times) -> settles[p] = LOST
    :: settles[p] == UNKNOWN && may_bury(p, k, number, times) ->
       if
       :: is_there(k, number) ->
          if
          :: e[k].owner != p -> take(k)
          :: else
          fi;
          finish(k)
       :: else -> e[k].ends++ /* unfenced: its letter */
       fi;
       taken(p, k)
    fi
}

/* A bare XCLAIM gives it to the asker, whoever has it. */
#ifdef UNFENCED_RENEW
#define may_renew(p, k, number, times) is_there(k, number)
#else
#define may_renew(p, k, number, times) is_ours(k, number, p, times)
#endif
inline renew(p, k, number, times, answer)
{
    if
    :: may_renew(p, k, number, times) ->
       if
       :: e[k].owner != p -> take(k)
       :: else
       fi;
       e[k].owner = p;
       e[k].is_over = 0;
       answer = TAKEN
    :: else -> answer = LOST
    fi
}

/* moved.lua: to the retry stream, or to those that run alone, by how often it has gone so (max_deliveries): both may be. */
inline move(k)
{
    take(k);
    if
    :: leave(k, RETRY)
    :: leave(k, ALONE)
    fi
}

/* Only if it still is as it was seen. */
#ifdef UNFENCED_RECLAIM
#define may_reclaim(k, number, holder, times) is_there(k, number)
#else
#define may_reclaim(k, number, holder, times) (is_ours(k, number, holder, times) && e[k].is_over)
#endif
inline reclaim(k, number, holder, times)
{
    if
    :: may_reclaim(k, number, holder, times) -> move(k)
    :: else
    fi
}

/* What a process held that has died, by its journal. */
#ifdef UNFENCED_BLAME
#define may_blame(k, number, times) is_there(k, number)
#else
#define may_blame(k, number, times) is_ours(k, number, DIED, times)
#endif
inline blame(k, number, times)
{
    if
    :: may_blame(k, number, times) -> move(k)
    :: else
    fi
}

inline due(k)
{
    leave(k, RETRY)
}

/* ── a pool: its thread and its settler ──────────────────────────────────────────────────────────────────────────── */

inline forget(p)
{
    s[p].state = FREE;
    s[p].job = 0;
    s[p].id = 0;
    s[p].count = 0;
    s[p].is_alone = 0;
    s[p].was_asked = 0;
    s[p].was_taken = 0;
    settles[p] = UNKNOWN
}

/* The answer comes, or it is lost and the same is asked again. */
inline hear(p, question)
{
    if
    :: assert(settles[p] == TAKEN || !s[p].was_taken || s[p].was_asked); forget(p)
    :: losses > 0 -> losses--; s[p].state = question;
#ifdef FORGETFUL
       settles[p] = UNKNOWN
#endif
    fi
}

/* Of a plain acknowledgement the script is asked, on the new connection; what that calls lost counts as ambiguous. */
inline hear_ack(p)
{
    if
    :: forget(p)
    :: losses > 0 -> losses--; s[p].state = TO_DONE; s[p].was_asked = 1
    fi
}

/* It is no more, and all that it has read is nobody's who lives. */
inline die(p)
{
    forget(p);
    renewal[p].is_out = 0;
    if
    :: is_held(0) && e[0].owner == p -> e[0].owner = DIED
    :: else
    fi;
    if
    :: is_held(1) && e[1].owner == p -> e[1].owner = DIED
    :: else
    fi
}

/* What a handler comes to is open until it is told. A plain acknowledgement is only for what does not run alone. */
#define may_ask(p, question) (s[p].state == RUNS || s[p].state == question)
#define may_read(p, k)  (s[p].state == FREE && is_unread(k))
#define may_adopt(p, k) (s[p].state == FREE && is_held(k) && e[k].owner == p)
#define may_alone(p, k) (s[p].state == FREE && e[k].at == ALONE && (e[k].owner == NOBODY || e[k].is_over))

proctype pool(byte p)
{
    do
    :: atomic { may_read(p, 0) -> read(p, 0) }
    :: atomic { may_read(p, 1) && !(e[0].at == STREAM && is_unread(0)) -> read(p, 1) } /* a stream has an order */
    :: atomic { may_adopt(p, 0) -> adopt(p, 0) }
    :: atomic { may_adopt(p, 1) -> adopt(p, 1) }
    :: atomic { may_alone(p, 0) -> alone(p, 0) }
    :: atomic { may_alone(p, 1) -> alone(p, 1) }
    :: atomic { s[p].state == RUNS && !s[p].is_alone -> ack(p, s[p].job, s[p].id); hear_ack(p) }
    :: atomic { s[p].state == RUNS && !s[p].is_alone -> logged(p, s[p].job, s[p].id); hear(p, TO_DONE) }
    :: atomic { may_ask(p, TO_DONE) -> done(p, s[p].job, s[p].id, s[p].count); hear(p, TO_DONE) }
    :: atomic { may_ask(p, TO_DEAD) -> dead(p, s[p].job, s[p].id, s[p].count); hear(p, TO_DEAD) }
    :: atomic {
           may_ask(p, TO_RETRY) && (s[p].state == TO_RETRY || e[s[p].job].retries < RETRIES) ->
           retry(p, s[p].job, s[p].id, s[p].count);
           hear(p, TO_RETRY)
       }
    od
}

/* Its heartbeat: between what it looks up and what it asks, and between that and what it marks, the slot may have moved on. */
#ifdef HEEDLESS
#define is_same(p) (s[p].state != FREE)
#else
#define is_same(p) (s[p].state != FREE && s[p].job == renewal[p].job && s[p].id == renewal[p].id && s[p].count == renewal[p].count)
#endif
proctype heartbeat(byte p)
{
    mtype answer;
    do
    :: atomic {
           s[p].state != FREE && !renewal[p].is_out ->
           renewal[p].is_out = 1;
           renewal[p].job = s[p].job;
           renewal[p].id = s[p].id;
           renewal[p].count = s[p].count
       }
    :: atomic {
           renewal[p].is_out ->
           renew(p, renewal[p].job, renewal[p].id, renewal[p].count, answer);
           if
           :: answer == LOST && is_same(p) -> assert(!is_mine(p)) /* marked as lost */
           :: else
           fi;
           answer = 0;
           renewal[p].is_out = 0;
           renewal[p].job = 0;
           renewal[p].id = 0;
           renewal[p].count = 0
       }
    od
}

/* ── the group's upkeep, whoever does it ─────────────────────────────────────────────────────────────────────────── */

inline see(k)
{
    seen.is_out = 1;
    seen.job = k;
    seen.id = e[k].id;
    seen.owner = e[k].owner;
    seen.count = e[k].count
}

#define may_see(k) (!seen.is_out && is_held(k) && (e[k].is_over || e[k].owner == DIED))

proctype reaper()
{
    do
    :: atomic { may_see(0) -> see(0) }
    :: atomic { may_see(1) -> see(1) }
    :: atomic {
           seen.is_out ->
           if
           :: seen.owner == DIED -> blame(seen.job, seen.id, seen.count)
           :: reclaim(seen.job, seen.id, seen.owner, seen.count)
           fi;
           seen.is_out = 0;
           seen.job = 0;
           seen.id = 0;
           seen.owner = 0;
           seen.count = 0
       }
    :: atomic { e[0].at == DELAYED -> due(0) }
    :: atomic { e[1].at == DELAYED -> due(1) }
    od
}

/* ── what happens to them ────────────────────────────────────────────────────────────────────────────────────────── */

#define may_run_out(k) (is_held(k) && !e[k].is_over && (e[k].owner == DIED || overdue > 0))

inline run_out(k)
{
    e[k].is_over = 1;
    if
    :: e[k].owner != DIED -> overdue--
    :: else
    fi
}

proctype fate()
{
    do
    :: atomic { may_run_out(0) -> run_out(0) }
    :: atomic { may_run_out(1) -> run_out(1) }
    :: atomic { crashes > 0 && s[0].state != FREE -> crashes--; die(0) }
    :: atomic { crashes > 0 && s[1].state != FREE -> crashes--; die(1) }
    od
}

#define has_ended(k) (e[k].at == ENDED)
#define is_whole(k)  (e[k].ends <= 1 && e[k].copies <= 1 && e[k].ends + e[k].copies >= 1)

ltl settled { <>[] (has_ended(0) && has_ended(1)) }

init
{
    atomic {
        publish(0);
        publish(1);
        forget(0);
        forget(1);
        run pool(0);
        run pool(1);
        run heartbeat(0);
        run heartbeat(1);
#ifndef IDLE
        run reaper();
#endif
        run fate()
    }
    do
    :: is_whole(0) && is_whole(1) /* and time goes on */
    :: else -> assert(false)
    od
}
