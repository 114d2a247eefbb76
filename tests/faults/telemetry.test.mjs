// Goal: a sample that was acknowledged is in the history, whatever is killed while robots send: relays, Redis, robots. Redis
// writes before it answers here (appendfsync always): with "everysec" it may answer first while the disk is busy, and a
// kill in that moment loses what it answered, as a loss of power does.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Rig, Robot, often, pause, say } from './lib/rig.mjs';

describe('acknowledged telemetry', () => {
    let rig;
    before(async () => {
        rig = await Rig.start({ robots: 0, flags: ['--robot-rate', '0', '--stream-maxlen', '0'] });
        await writeFirst();
    });
    after(() => rig.stop());

    const writeFirst = async () => (await rig.cluster.redis()).call('CONFIG', 'SET', 'appendfsync', 'always');

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
                        await writeFirst();
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
