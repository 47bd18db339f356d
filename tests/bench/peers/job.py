# SPDX-License-Identifier: MIT
"""bench/peers/job: what a job does with its number and how jobs are timed, in Python; see jobs.h for the words and the marks."""
import json
import os
import sys
import time

BURN_NS = 1_000_000


def do(at, marks):
    if at < 0:
        end_ns = time.thread_time_ns() + BURN_NS
        while time.thread_time_ns() < end_ns:
            pass
    elif at > 0:
        line = f"{time.monotonic_ns()} {at}\n"
        fd = os.open(marks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(fd, line.encode())
        os.close(fd)


def enqueue(count, at, at_once, put):
    """put(ats) enqueues one job, or several in one call."""
    put([time.monotonic_ns()])
    from_ns = time.monotonic_ns()
    for left in range(count, 0, -at_once):
        put([at] * min(left, at_once))
    seconds = (time.monotonic_ns() - from_ns) / 1e9
    put([time.monotonic_ns()])
    print(json.dumps({"per_s": round(count / seconds)}))


def pace(count, every_us, put):
    next_ns = time.monotonic_ns()
    for _ in range(count):
        next_ns += every_us * 1000
        time.sleep(max(0, next_ns - time.monotonic_ns()) / 1e9)
        put([time.monotonic_ns()])


def run(words, put, serve, at_once=1):
    """words: the command line after SERVER and MARKS."""
    word, numbers = words[0], [int(number) for number in words[1:]]
    if word == "one":
        enqueue(*numbers, 1, put)
    elif word == "bulk" and at_once > 1:
        enqueue(*numbers, at_once, put)
    elif word == "pace":
        pace(*numbers, put)
    elif word == "serve":
        serve(*numbers)
    else:
        sys.exit(f"there is no {word} here")
