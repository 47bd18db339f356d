# SPDX-License-Identifier: MIT
"""bench/peers/celery_jobs: Celery on Redis with its defaults (prefork), no results kept. It has no call that enqueues in bulk."""
import sys

import celery

import job

SERVER, MARKS = sys.argv[1:3]
app = celery.Celery("bench", broker=f"redis+socket://{SERVER}")
app.conf.task_ignore_result = True


@app.task(name="bench.noop")
def work(at):
    job.do(at, MARKS)


def put(ats):
    work.delay(ats[0])


def serve(processes):
    app.worker_main(["worker", f"--concurrency={processes}", "--loglevel=WARNING"])


if __name__ == "__main__":
    if sys.argv[3] == "version":
        print(celery.__version__)
    else:
        job.run(sys.argv[3:], put, serve)
