// Goal: when Redis dies, hangs or pauses, nobody is disconnected and nothing is promised that is not
// kept: telemetry is refused, commands are refused and never delivered late, websites are told. When it
// is back everything works again within a second, and no acknowledged sample is missing.
import { afterEach, after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Cluster, pause, until } from './lib/harness.mjs';

const refused = (answer, type) => {
    assert.equal(answer.type, 'error', `expected an error, got ${JSON.stringify(answer)}`);
    assert.equal(answer.original_type, type);
};

describe('without Redis', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 2, flags: ['--website-rate', '0', '--robot-rate', '0'] });
    });
    afterEach(() => cluster.clear());
    after(() => cluster.stop());

    // Resolves when telemetry is stored, commands arrive and presence is right again; gives the ms it took.
    async function works({ robots, websites }) {
        const at = performance.now();
        await Promise.all(robots.map((robot) => until(async () =>
            (await robot.telemetry({ battery: 50 })).type === 'ack', 5000, `${robot.deviceId} is stored again`)));
        const mark = Math.floor(Math.random() * 1e6);
        await until(async () => {
            const y = (1 + Math.floor(Math.random() * 1e6)) / 1e6;
            const answer = await websites[0].ask({ type: 'robot_move', x: mark / 1e6, y });
            if (answer.robots !== robots.length) return false;
            await Promise.all(robots.map((robot) => robot.seen({ type: 'robot_move', x: mark / 1e6, y }, 1000)));
            return true;
        }, 5000, 'commands reach all robots again');
        const battery = (1 + Math.floor(Math.random() * 1e6)) / 1e5;
        await until(async () => {
            await robots[0].telemetry({ battery });
            return websites.every((website) => website.count({ type: 'telemetry_update', battery }) > 0);
        }, 5000, 'all websites get telemetry again');
        return performance.now() - at;
    }

    async function people() {
        const websites = [await cluster.website(1), await cluster.website(2)];
        const robots = [await cluster.robot(1, 'robot_01'), await cluster.robot(2, 'robot_02')];
        for (const website of websites) await website.sees(['robot_01', 'robot_02']);
        return { websites, robots };
    }

    // Goes through one absence: `away` begins it, `back` ends it and resolves when Redis answers.
    async function absence({ away, back }) {
        const all = await people();
        const { websites, robots } = all;
        const from = websites.map((website) => website.skip());
        const heard = robots.map((robot) => robot.history.length);
        const at = performance.now();
        await away();
        await Promise.all(websites.map((website, i) => website.seen({ type: 'relay_status', redis: false }, 3000, from[i])));
        const noticed = performance.now() - at;
        for (const robot of robots) assert.equal((await robot.telemetry({ battery: 11 })).code, 'not_stored');
        for (const [i, website] of websites.entries()) {
            refused(await website.ask({ type: 'set_speed', value: 90 + i }), 'set_speed');
            refused(await website.ask({ type: 'robot_move', x: 0.9, y: 0.9, id: 'late' }), 'robot_move');
            refused(await website.ask({ type: 'set_speed', value: 95, device_id: 'robot_01' }), 'set_speed');
        }
        // A website that comes now is greeted, and told.
        const late = await cluster.website(1);
        await late.seen({ type: 'relay_status', redis: false });
        const backFrom = websites.map((website) => website.history.length);
        await back();
        const took = await works(all);
        await Promise.all(websites.map((website, i) => website.seen({ type: 'relay_status', redis: true }, 3000, backFrom[i])));
        for (const [i, robot] of robots.entries()) {
            assert.ok(robot.open, 'robots stay connected');
            assert.deepEqual(robot.all('set_speed', heard[i]), [], 'nothing of the time without Redis arrives late');
            assert.equal(robot.count({ type: 'robot_move', x: 0.9 }, heard[i]), 0);
        }
        for (const website of [...websites, late]) {
            assert.ok(website.open, 'websites stay connected');
            await website.sees(['robot_01', 'robot_02']);
        }
        for (const website of websites) assert.equal(website.count({ status: 'disconnected' }), 0, 'nobody is told gone');
        const stored = await (await cluster.redis()).samples('robot_01');
        assert.ok(!stored.some((sample) => sample.metrics.battery === 11), 'what was refused is not stored');
        return { noticed, took };
    }

    it('killed and started again: works within 1 s of its return', async () => {
        const { noticed, took } = await absence({
            away: () => cluster.killRedis(),
            back: () => cluster.startRedis(),
        });
        console.log(`Redis killed: noticed after ${Math.round(noticed)} ms, everything works ${Math.round(took)} ms after its return`);
        assert.ok(noticed <= 1000, `noticed after ${noticed} ms`);
        assert.ok(took <= 1000, `works after ${took} ms`);
    });

    it('stopped (it hangs): noticed, and works within 1 s of its return', async () => {
        const { noticed, took } = await absence({
            away: () => cluster.redisProc.signal('SIGSTOP'),
            back: async () => {
                cluster.redisProc.signal('SIGCONT');
                await cluster.redisAnswers();
            },
        });
        console.log(`Redis hung: noticed after ${Math.round(noticed)} ms, everything works ${Math.round(took)} ms after its return`);
        assert.ok(noticed <= 1250, `noticed after ${noticed} ms`);
        assert.ok(took <= 1000, `works after ${took} ms`);
    });

    it('loses no acknowledged sample over several kills', async () => {
        const robots = [await cluster.robot(1, 'robot_11'), await cluster.robot(2, 'robot_12')];
        let running = true;
        const acknowledged = robots.map(() => new Set());
        const streams = robots.map(async (robot, i) => {
            for (let n = 1; running; n++) {
                const answer = await robot.telemetry({ battery: 50, n }, 5000);
                if (answer.type === 'ack') acknowledged[i].add(n);
                else {
                    assert.equal(answer.code, 'not_stored');
                    await pause(5);
                }
            }
        });
        try {
            for (let round = 0; round < 4; round++) {
                const before = acknowledged.map((set) => set.size);
                await until(() => acknowledged.every((set, i) => set.size > before[i] + 50), 10000, 'samples flow');
                await cluster.killRedis();
                await cluster.startRedis();
            }
            const before = acknowledged.map((set) => set.size);
            await until(() => acknowledged.every((set, i) => set.size > before[i] + 20), 5000, 'samples flow again');
        } finally {
            running = false;
            await Promise.all(streams);
        }
        const redis = await cluster.redis();
        for (const [i, robot] of robots.entries()) {
            const stored = new Set((await redis.samples(robot.deviceId)).map((sample) => sample.metrics.n));
            const missing = [...acknowledged[i]].filter((n) => !stored.has(n));
            assert.deepEqual(missing, [], `${missing.length} of ${acknowledged[i].size} acknowledged samples are missing`);
            assert.ok(robot.open);
        }
        console.log(`${acknowledged[0].size + acknowledged[1].size} samples acknowledged over 4 kills of Redis, none missing`);
    });

    it('paused for writing (PING still answers): noticed, and no command outlives its time', async () => {
        const { websites: [website, other], robots: [robot] } = await people();
        const ttl = 500;
        const redis = await cluster.redis();
        const from = website.skip();
        await redis.call('CLIENT', 'PAUSE', '3000', 'WRITE');
        const pausedAt = performance.now();
        const refusal = robot.telemetry({ battery: 12 });
        const sent = new Map(); // x → when it was sent
        const stream = (async () => {
            for (let n = 1; performance.now() - pausedAt < 4200; n++) {
                sent.set(n / 10000, performance.now());
                website.send({ type: 'robot_move', x: n / 10000, y: 0 });
                await pause(50); // a stick held at 20 Hz
            }
        })();
        assert.equal((await refusal).code, 'not_stored');
        assert.ok(performance.now() - pausedAt <= 1500, 'the sample is refused soon');
        await website.seen({ type: 'relay_status', redis: false }, 3000, from);
        console.log(`Redis paused: noticed after ${Math.round(performance.now() - pausedAt)} ms`);
        await website.seen({ type: 'error', original_type: 'robot_move' }, 1000, from);
        await stream;
        await until(async () => {
            const answer = await other.ask({ type: 'set_brightness', value: 42 });
            return answer.robots === 2;
        }, 3000, 'commands work again');
        await robot.seen({ type: 'set_brightness', value: 42 });
        for (const { message, at } of robot.history) {
            if (message.type !== 'robot_move') continue;
            const age = at - sent.get(message.x);
            assert.ok(age <= ttl + 100, `a motion arrived ${Math.round(age)} ms after it was sent`);
        }
        const arrived = robot.count('robot_move');
        assert.ok(arrived > 0 && arrived < sent.size, `${arrived} of ${sent.size} arrived`);
        assert.ok(website.open && robot.open);
    });

    it('a relay that is started meanwhile works as soon as Redis comes', async () => {
        const fresh = await Cluster.start({ relays: 2, flags: ['--website-rate', '0', '--robot-rate', '0'], redis: false });
        try {
            const website = await fresh.website(1);
            await website.seen({ type: 'relay_status', redis: false });
            refused(await website.ask({ type: 'set_speed', value: 5 }), 'set_speed');
            await fresh.startRedis();
            const at = performance.now();
            await website.seen({ type: 'relay_status', redis: true });
            const robot = await fresh.robot(2, 'robot_01');
            await website.sees(['robot_01']);
            assert.equal((await website.ask({ type: 'set_speed', value: 6 })).robots, 1);
            await robot.next({ value: 6 });
            assert.equal((await robot.telemetry({ battery: 3 })).type, 'ack');
            const took = performance.now() - at;
            assert.ok(took <= 1000, `${took} ms`);
        } finally {
            await fresh.stop();
        }
    });

    it('a robot that connects meanwhile is online once Redis is back', async () => {
        const website = await cluster.website(2);
        await cluster.killRedis();
        await website.seen({ type: 'relay_status', redis: false });
        const robot = await cluster.robot(1, 'robot_01');
        assert.equal((await robot.telemetry({ battery: 1 })).code, 'not_stored');
        await cluster.startRedis();
        await website.sees(['robot_01'], 1500);
        assert.equal((await website.ask({ type: 'set_speed', value: 9 })).robots, 1);
        await robot.next({ value: 9 });
    });
});
