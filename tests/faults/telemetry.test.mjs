// Goal: a sample that was acknowledged is in the history, whatever is killed while robots send: relays, Redis, robots. Redis
// is set up as it is shipped (appendfsync no): it writes before it answers, and a kill loses nothing that was written. Its
// disk is slow here, since that is when "everysec" answers first and loses what it answered.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { ROOT, Rig, Robot, often, pause, say, temporaryDirectory } from './lib/rig.mjs';

describe('acknowledged telemetry', () => {
    let rig;
    let dir;
    before(async () => {
        dir = temporaryDirectory();
        const library = path.join(dir, 'slowsync.so');
        execFileSync('gcc', ['-shared', '-fPIC', '-O2', '-D_GNU_SOURCE', '-o', library, path.join(ROOT, 'tests/faults/lib/slowsync.c')]);
        process.env.LD_PRELOAD = library;
        rig = await Rig.start({ robots: 0, flags: ['--robot-rate', '0', '--stream-maxlen', '0'] });
        const [, appendfsync] = await (await rig.cluster.redis()).call('CONFIG', 'GET', 'appendfsync');
        const shipped = /^appendfsync (\w+)$/m.exec(fs.readFileSync(path.join(ROOT, 'deploy/redis.conf.in'), 'utf8'))[1];
        assert.equal(appendfsync, shipped);
    });
    after(async () => {
        await rig?.stop();
        delete process.env.LD_PRELOAD;
        fs.rmSync(dir, { recursive: true, force: true });
    });

    // Sends samples numbered from 1 over one connection after another until told to end; a number is never sent twice.
    class Sender {
        acknowledged = new Set();
        n = 0;
        async run(id) {
            while (!this.done) {
                try {
                    this.robot = await Robot.connect(rig.url({ host: rig.host, port: rig.port }, `?device_id=${id}`), id, { ms: 1000 });
                    for (; !this.done && this.robot.open;) await this.#sample();
                } catch {
                    await pause(20); // nobody answers yet, or no longer
                }
            }
            this.robot?.drop();
        }

        // Some at once, as a robot that does not wait.
        async #sample() {
            const from = this.robot.history.length;
            const first = this.n + 1;
            for (let i = 0; i < 8; i++) this.robot.send({ type: 'telemetry', battery: 50, n: ++this.n });
            const answers = () => this.robot.all(({ type }) => type === 'ack' || type === 'error', from);
            try {
                await this.robot.seen(() => answers().length >= 8, 3000, from);
            } finally {
                // Answers come in the order of the samples.
                answers().forEach(({ type }, i) => { if (type === 'ack') this.acknowledged.add(first + i); });
            }
        }
    }

    it('is all there after kills of relays, Redis and robots', async () => {
        const senders = Array.from({ length: 4 }, () => new Sender());
        const running = senders.map((sender, i) => sender.run(`robot_${i + 1}`));
        const total = () => senders.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0);
        const kills = { relay: 0, Redis: 0, robot: 0 };
        const rounds = often(2, 25);
        try {
            for (let round = 0; round < rounds; round++)
                for (const victim of ['robot', 'relay', 'Redis']) {
                    await pause(100 + rig.dice.int(300));
                    kills[victim]++;
                    if (victim === 'robot') rig.dice.pick(senders).robot?.drop();
                    else if (victim === 'Redis') {
                        await rig.cluster.killRedis();
                        await rig.cluster.startRedis();
                    } else {
                        const n = rig.dice.pick(rig.relays);
                        await rig.cluster.killRelay(n);
                        await rig.cluster.startRelay(n);
                    }
                }
            await pause(300);
        } finally {
            for (const sender of senders) sender.done = true;
            await Promise.all(running);
        }
        const redis = await rig.cluster.redis();
        const missing = [];
        const twice = [];
        for (const [i, { acknowledged }] of senders.entries()) {
            const stored = (await redis.samples(`robot_${i + 1}`)).map(({ metrics }) => metrics.n);
            const set = new Set(stored);
            missing.push(...[...acknowledged].filter((n) => !set.has(n)));
            if (set.size !== stored.length) twice.push(`robot_${i + 1}: ${stored.length - set.size}`);
        }
        say(`${total()} samples acknowledged over kills of ${JSON.stringify(kills)}: ${missing.length} missing`);
        assert.ok(total() > 200 * rounds, `${total()} acknowledged`);
        assert.deepEqual(missing, []);
        assert.deepEqual(twice, []);
    });
});
