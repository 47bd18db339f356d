# SPDX-License-Identifier: MIT
"""bench/peers/rq_jobs: RQ, with its SimpleWorker: it runs jobs in its own process, where the default forks one for each job."""
import sys

import redis
import rq

import job

SERVER, MARKS = sys.argv[1:3] if len(sys.argv) > 2 else (None, None)
AT_ONCE = 500


def work(at, marks):
    job.do(at, marks)


def main():
    if sys.argv[3] == "version":
        return print(rq.__version__)
    link = redis.Redis(unix_socket_path=SERVER)
    queue = rq.Queue("bench", connection=link)
    options = {"result_ttl": 0}

    def put(ats):
        if len(ats) == 1:
            queue.enqueue("rq_jobs.work", ats[0], MARKS, **options)
        else:
            queue.enqueue_many([rq.Queue.prepare_data("rq_jobs.work", args=(at, MARKS), **options) for at in ats])

    def serve(_):
        rq.SimpleWorker([queue], connection=link).work(logging_level="WARNING")

    job.run(sys.argv[3:], put, serve, AT_ONCE)


if __name__ == "__main__":
    main()
