// SPDX-License-Identifier: MIT
//
// bench/peers/bullmq_jobs: BullMQ, which is found by NODE_PATH; jobs leave Redis when they are done. See jobs.h for
// words and marks.
'use strict';
const fs = require('fs');
const { Queue, Worker } = require('bullmq');

const [server, marks, word, first, second] = process.argv.slice(2).map((text, i) => (i < 3 ? text : Number(text)));
const BURN_US = 1000, AT_ONCE = 500;
const connection = { path: server, maxRetriesPerRequest: null };
const options = { removeOnComplete: true, removeOnFail: true };

// A count of nanoseconds is too big for a number: it travels as text.
const now = () => process.hrtime.bigint();
const cpuUs = () => {
    const { user, system } = process.cpuUsage();
    return user + system;
};

async function run(job) {
    const at = job.data.at;
    if (at === '-1') {
        for (const end = cpuUs() + BURN_US; cpuUs() < end;) continue;
    } else if (at !== '0') fs.appendFileSync(marks, `${now()} ${at}\n`);
}

const put = (queue, at) => queue.add('noop', { at: String(at) }, options);
const putMany = (queue, at, length) =>
    queue.addBulk(Array.from({ length }, () => ({ name: 'noop', data: { at: String(at) }, opts: options })));

async function enqueue(queue, count, at, atOnce) {
    await put(queue, now());
    const from = now();
    for (let left = count; left > 0; left -= atOnce) {
        if (atOnce === 1) await put(queue, at);
        else await putMany(queue, at, Math.min(left, atOnce));
    }
    const seconds = Number(now() - from) / 1e9;
    await put(queue, now());
    console.log(JSON.stringify({ per_s: Math.round(count / seconds) }));
}

async function pace(queue, count, everyUs) {
    const from = now();
    for (let i = 1; i <= count; i++) {
        const leftMs = Number(from + BigInt(i * everyUs * 1000) - now()) / 1e6;
        await new Promise((resolve) => setTimeout(resolve, Math.max(0, leftMs)));
        await put(queue, now());
    }
}

async function main() {
    if (word === 'version') return console.log(JSON.parse(fs.readFileSync(require.resolve('bullmq/package.json'))).version);
    if (word === 'serve') return new Worker('bench', run, { connection, concurrency: first });
    const queue = new Queue('bench', { connection });
    if (word === 'one') await enqueue(queue, first, second, 1);
    if (word === 'bulk') await enqueue(queue, first, second, AT_ONCE);
    if (word === 'pace') await pace(queue, first, second);
    await queue.close();
}

main().catch((error) => {
    console.error(error.message);
    process.exit(1);
});
