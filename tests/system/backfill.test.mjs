// Goal: samples that a robot could not deliver come late, but come: each once, under its own time, in order, whatever was
// away or killed meanwhile; websites see that they are late, and nobody waits for them.
import { after, afterEach, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { Cluster, assertStamped, pause, until } from './lib/harness.mjs';
import { Relay, dir, startRobot } from './lib/robot.mjs';

const SAVED = 'Telemetry data received and saved';
const iso = (ms) => new Date(ms).toISOString();
const batch = (samples, more) => ({ type: 'telemetry_batch', ...more, samples: samples.map(([ms, metrics]) => ({ timestamp: iso(ms), ...metrics })) });

describe('a batch of samples', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 2, flags: ['--website-rate', '0', '--robot-rate', '0'] });
    });
    afterEach(async () => {
        await cluster.clear();
        const redis = await cluster.redis();
        for (const key of await redis.call('KEYS', 'tr:[tb][ea]*:*')) await redis.call('DEL', key);
    });
    after(() => cluster.stop());

    const stored = async () => (await (await cluster.redis()).samples('robot_01')).map(({ ms, metrics }) => [ms, metrics]);

    it('is stored, then acknowledged once, then shown as late on every relay', async () => {
        const websites = [await cluster.website(1), await cluster.website(2)];
        const robot = await cluster.robot(2, 'robot_01');
        const now = Date.now();
        const samples = [[now - 3000, { battery: 85, cpu: 3 }], [now - 2000, { battery: 84, wheel_rpm: 1.5 }], [now - 1000, {}]];
        const from = robot.skip();
        assertStamped(await robot.ask(batch(samples, { id: 'b-1', device_name: 'Left' })),
            { type: 'ack', original_type: 'telemetry_batch', id: 'b-1', status: 'received', message: SAVED, stored: 3 });
        assert.deepEqual(await stored(), samples);
        for (const website of websites)
            for (const [ms, metrics] of samples)
                assert.deepEqual(await website.next('telemetry_update'),
                    { type: 'telemetry_update', device_id: 'robot_01', device_name: 'Left', ...metrics, timestamp: iso(ms), late: true });
        await robot.settled();
        assert.equal(robot.count('ack', from), 1);
    });

    it('that comes again is acknowledged again, and nothing else happens', async () => {
        const website = await cluster.website(1);
        const robot = await cluster.robot(1, 'robot_01');
        const now = Date.now();
        const samples = Array.from({ length: 100 }, (_, i) => [now - 10000 + 50 * i, { n: i }]);
        assert.equal((await robot.ask(batch(samples.slice(0, 70)))).stored, 70);
        const other = await cluster.robot(2, 'robot_01'); // through another relay
        assert.equal((await other.ask(batch(samples))).stored, 100);
        assert.equal((await other.ask(batch(samples))).stored, 100);
        assert.deepEqual(await stored(), samples);
        assert.deepEqual(await other.telemetry({ battery: 1 }).then(({ type }) => type), 'ack');
        await website.next({ type: 'telemetry_update', battery: 1 });
        assert.deepEqual(website.all('telemetry_update').map(({ n, battery }) => n ?? `battery ${battery}`),
            [...samples.map(([, { n }]) => n), 'battery 1']);
    });

    it('is known again when one of its samples came by itself, and the other way round', async () => {
        const robot = await cluster.robot(1, 'robot_01');
        const now = Date.now();
        await robot.telemetry({ battery: 1, timestamp: iso(now - 5000) });
        await robot.telemetry({ battery: 2, timestamp: iso(now - 4000) });
        assert.equal((await robot.ask(batch([[now - 5000, { battery: 1 }], [now - 4000, { battery: 2 }], [now - 3000, { battery: 3 }]]))).stored, 3);
        // A relay that stood still brings an old one late.
        assert.equal((await robot.telemetry({ battery: 2, timestamp: iso(now - 4000) })).type, 'ack');
        assert.equal((await robot.telemetry({ battery: 3, timestamp: iso(now - 3000) })).type, 'ack');
        assert.deepEqual((await stored()).map(([, { battery }]) => battery), [1, 2, 3]);
        assert.equal((await robot.telemetry({ battery: 4, timestamp: iso(now - 3000) })).type, 'ack'); // another one
        assert.equal((await stored()).length, 4);
    });

    it('is refused as a whole for one bad sample, which is named', async () => {
        const website = await cluster.website(1);
        const robot = await cluster.robot(1, 'robot_01');
        const now = Date.now();
        for (const [samples, code, error] of [
            [[[now, { battery: 1 }], [now, { battery: 101 }]], 'out_of_range', /^samples\[1\]\.battery must be/],
            [[[now, { battery: 1 }], [now - 1, { battery: 1 }]], 'out_of_range', /^samples\[1\]\.timestamp/],
            [Array.from({ length: 101 }, () => [now, {}]), 'invalid_message', /1 to 100/],
            [Array.from({ length: 150 }, () => [now, Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`m${i}`, i]))]), 'invalid_message', /1 to 100/],
        ]) {
            const answer = await robot.ask(batch(samples, { id: 'x' }));
            assert.deepEqual([answer.type, answer.code, answer.original_type, answer.id], ['error', code, 'telemetry_batch', 'x']);
            assert.match(answer.error, error);
        }
        assert.deepEqual(await stored(), []);
        await robot.telemetry({ battery: 7 });
        await website.next({ type: 'telemetry_update', battery: 7 });
        assert.equal(website.count('telemetry_update'), 1);
    });

    it('may be long, and nothing else may', async () => {
        const robot = await cluster.robot(1, 'robot_01');
        const now = Date.now();
        const metrics = Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`a_name_with_thirty_letters_no_${String(i).padStart(2, '0')}`, i]));
        const message = batch(Array.from({ length: 100 }, (_, i) => [now - 9000 + i, { battery: i, ...metrics }]));
        assert.ok(JSON.stringify(message).length > 110000);
        assert.equal((await robot.ask(message)).stored, 100);
        assert.equal((await stored()).length, 100);
        for (const text of [
            JSON.stringify({ type: 'telemetry', note: 'x'.repeat(20000) }),
            JSON.stringify({ type: 'telemetry', note: `"telemetry_batch"${'x'.repeat(20000)}` }),
            JSON.stringify({ type: 'telemetry_batch', samples: [], note: 'x'.repeat(131072) }),
            `{"type":"telemetry_batch","samples":[${'{},'.repeat(10000)}{}]}`,
            `{"type":"telemetry_batch","samples":${'['.repeat(20000)}`,
        ]) {
            const other = await cluster.robot(2, 'robot_02');
            other.send(text);
            assert.equal((await other.next('error')).code, 'too_large', text.slice(0, 60));
            assert.equal(await other.closed(), 1009);
        }
    });

    it('counts by its samples', async () => {
        await cluster.startRelay(3, { flags: ['--robot-rate', '1', '--robot-burst', '25'] });
        const robot = await cluster.robot(3, 'robot_03');
        const now = Date.now();
        const of = (n) => batch(Array.from({ length: n }, (_, i) => [now - 1000 + i, { n: i }]));
        assert.equal((await robot.ask(of(100))).type, 'ack'); // 10
        assert.equal((await robot.ask(of(91))).type, 'ack'); // 10
        assert.equal((await robot.ask(of(100))).code, 'rate_limited');
        assert.equal((await robot.ask(of(10))).type, 'ack');
        await cluster.killRelay(3);
    });

    it('is not stored, not even in part, while Redis is away', async () => {
        const robot = await cluster.robot(1, 'robot_01');
        const now = Date.now();
        const message = batch([[now - 2000, { battery: 1 }], [now - 1000, { battery: 2 }]], { id: 'b-7' });
        await cluster.killRedis();
        const answer = await robot.ask(message);
        assert.deepEqual([answer.type, answer.code, answer.original_type, answer.id], ['error', 'not_stored', 'telemetry_batch', 'b-7']);
        await cluster.startRedis();
        await until(async () => (await robot.ask(message)).type === 'ack', 5000, 'stored');
        assert.deepEqual((await stored()).map(([, { battery }]) => battery), [1, 2]);
    });

    it('makes no room for itself at a slow website, and delays no command', async () => {
        const slow = await cluster.website(2);
        const fast = await cluster.website(2);
        const robots = [await cluster.robot(1, 'robot_01'), await cluster.robot(1, 'robot_02')];
        await slow.sees(['robot_01', 'robot_02']);
        slow.ws.pause();
        const filler = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`a_rather_long_metric_name_${i}`, i * 1.25]));
        const count = 60;
        const start = Date.now() - 1000 * count;
        for (let n = 1; n <= count; n++) {
            const samples = Array.from({ length: 100 }, (_, i) => [start + 1000 * n + i, { ...filler, n: n * 100 + i }]);
            assert.equal((await robots[0].ask(batch(samples))).stored, 100);
            assert.equal((await robots[1].telemetry({ battery: n })).type, 'ack');
            if (n % 20 === 0) {
                const at = performance.now();
                fast.send({ type: 'set_speed', value: n, device_id: 'robot_02' });
                await robots[1].seen({ type: 'set_speed', value: n });
                assert.ok(performance.now() - at < 250, `a command took ${performance.now() - at} ms`);
            }
        }
        slow.ws.resume();
        await slow.seen({ type: 'telemetry_update', battery: count }, 5000);
        await fast.seen({ type: 'telemetry_update', battery: count }, 5000);
        const late = slow.all({ type: 'telemetry_update', device_id: 'robot_01' }).length;
        assert.ok(late < 100 * count, `${late} of ${100 * count} late samples were kept for a website that did not read`);
        const metrics = await until(async () => {
            const text = await (await cluster.redis()).call('GET', 'tr:metrics:wsd-2');
            return /telerelay_wsd_backfill_dropped_total\{[^}]*\} (\d+)/.exec(text ?? '')?.[1] >= 100 * count - late;
        }, 3000, 'what was dropped is counted');
        assert.ok(metrics);
        assert.equal(await (await cluster.redis()).call('XLEN', 'tr:tel:robot_01'), 100 * count);
    });
});

// A wire between the robot and its relay, which can be cut.
class Wire {
    #sockets = new Set();
    static async to(target) {
        const wire = new Wire();
        wire.target = target;
        wire.server = net.createServer((near) => {
            if (wire.isCut) return near.destroy();
            const far = net.connect(wire.target());
            for (const [a, b] of [[near, far], [far, near]]) {
                wire.#sockets.add(a);
                a.on('data', (data) => (wire.loses === a ? null : b.write(data)));
                a.on('error', () => {});
                a.on('close', () => {
                    wire.#sockets.delete(a);
                    b.destroy();
                });
            }
            wire.near = near;
            wire.far = far;
        });
        wire.server.listen(0, '127.0.0.1');
        await new Promise((resolve) => wire.server.once('listening', resolve));
        wire.port = wire.server.address().port;
        return wire;
    }

    cut() {
        this.isCut = true;
        for (const socket of this.#sockets) socket.destroy();
    }

    mend() {
        this.isCut = false;
        this.loses = null;
    }

    async close() {
        this.cut();
        await new Promise((resolve) => this.server.close(resolve));
    }
}

describe('telerelay-robot', () => {
    let cluster, wire, relay;
    before(async () => {
        cluster = await Cluster.start({ relays: 2 });
        wire = await Wire.to(() => ({ path: cluster.socketPath(relay) }));
        relay = 1;
    });
    afterEach(() => wire.mend());
    after(async () => {
        await wire?.close();
        await cluster?.stop();
    });

    const start = (id, spool, more = []) => startRobot(wire.port, { id, host: '127.0.0.1',
        flags: ['--interval', '0.05', '--log-level', 'debug', ...(spool ? ['--spool', spool] : []), ...more] });
    // Times of all samples that these runs have taken.
    const taken = (...robots) => [...new Set(robots.flatMap(({ proc }) =>
        [...proc.log().matchAll(/event=telemetry_(?:sent|kept) .*at_ms=(\d+)/g)].map(([, ms]) => Number(ms))))].sort((a, b) => a - b);
    const history = async (id) => (await (await cluster.redis()).samples(id)).map(({ ms }) => ms);
    // So many more of them from now on.
    const says = async (robot, event, count = 1) => {
        const lines = () => robot.proc.log().split(`event=${event} `).length;
        const want = lines() + count;
        try {
            await until(() => lines() >= want, 15000, `${count} × ${event}`);
        } catch (error) {
            throw new Error(`${error.message} in\n${robot.proc.log().slice(-3000)}`);
        }
    };
    const wentOn = (robot) => says(robot, 'telemetry_sent', 3);
    // Everything that was taken is in the history, once, in order, under its own time.
    const assertComplete = async (id, ...robots) => {
        const all = taken(...robots);
        const there = await until(async () => {
            const now = await history(id);
            return now.length >= all.length && now;
        }, 5000, `${all.length} samples`).catch(() => history(id));
        assert.deepEqual(there, all);
        return all;
    };

    it('delivers what it took while relay, Redis and robot itself were away', async () => {
        const id = 'robot_01';
        const spool = path.join(dir, 'spool-all');
        const website = await cluster.website(2);
        const live = [];
        website.ws.on('message', (data) => {
            const message = JSON.parse(data);
            if (message.type === 'telemetry_update' && !message.late) live.push(Date.now() - Date.parse(message.timestamp));
        });
        const one = start(id, spool);
        await says(one, 'telemetry_sent', 5);
        wire.cut(); // the link
        await says(one, 'telemetry_kept', 10);
        wire.mend();
        await says(one, 'telemetry_caught_up');
        await wentOn(one);
        await cluster.killRedis();
        await says(one, 'telemetry_kept', 15);
        cluster.relay(1).signal('SIGSTOP'); // the website's relay is the first to be back, or it would not hear what the other has stored
        await cluster.startRedis();
        await website.seen({ type: 'relay_status', redis: true }, 5000);
        cluster.relay(1).signal('SIGCONT');
        await says(one, 'telemetry_caught_up');
        await wentOn(one);
        await cluster.killRelay(1); // and on through the other one
        await says(one, 'telemetry_kept', 15);
        relay = 2;
        await says(one, 'telemetry_caught_up');
        await cluster.startRelay(1);
        wire.cut();
        await says(one, 'telemetry_kept', 15);
        await one.kill();
        const two = start(id, spool);
        await two.says(/event=spool_found .*samples=\d+/);
        await says(two, 'telemetry_kept', 20);
        await two.kill();
        const three = start(id, spool);
        await says(three, 'telemetry_kept', 5);
        wire.mend();
        await says(three, 'telemetry_caught_up');
        await until(() => !fs.readdirSync(spool).some((name) => name.startsWith('samples.')), 2000, 'nothing is left');
        await wentOn(three);
        await three.proc.terminate();
        const all = await assertComplete(id, one, two, three);
        assert.ok(all.length > 100, `${all.length}`);
        await until(() => website.all({ type: 'telemetry_update', device_id: id }).length >= all.length, 3000, 'all shown');
        assert.ok(website.all({ type: 'telemetry_update', late: true }).length >= 80);
        assert.ok(Math.max(...live) < 1500, `a live value was ${Math.max(...live)} ms old`);
    });

    it('is known again when its answers were lost', async () => {
        const id = 'robot_02';
        const one = start(id, path.join(dir, 'spool-answers'));
        await says(one, 'telemetry_sent', 5);
        for (let round = 0; round < 5; round++) {
            wire.loses = wire.far; // from here on it hears nothing
            await pause(300 + 70 * round);
            wire.cut();
            await says(one, 'telemetry_kept', 3);
            wire.mend();
            await says(one, 'telemetry_caught_up');
        }
        await one.proc.terminate();
        await assertComplete(id, one);
    });

    it('sends again what a relay that stands still has not answered, and once is enough', async () => {
        const id = 'robot_03';
        relay = 1;
        const one = start(id, path.join(dir, 'spool-still'));
        await says(one, 'telemetry_sent', 5);
        cluster.relay(1).signal('SIGSTOP');
        await says(one, 'telemetry_kept', 10);
        relay = 2;
        await says(one, 'telemetry_caught_up');
        cluster.relay(1).signal('SIGCONT'); // and brings what it had still in its hands
        await wentOn(one);
        await wentOn(one);
        await one.proc.terminate();
        await assertComplete(id, one);
    });

    it('keeps the newest in memory without a spool directory', async () => {
        const id = 'robot_04';
        const one = start(id);
        await says(one, 'telemetry_sent', 5);
        wire.cut();
        await says(one, 'telemetry_kept', 20);
        wire.mend();
        await says(one, 'telemetry_caught_up');
        await one.proc.terminate();
        await assertComplete(id, one);
    });

    it('drops the oldest when the spool is full, and says so', async () => {
        const id = 'robot_05';
        const spool = path.join(dir, 'spool-small');
        const one = start(id, spool, ['--spool-bytes', '65536']);
        await says(one, 'telemetry_sent', 1);
        wire.cut();
        await says(one, 'telemetry_kept', 20);
        await one.kill();
        // More than it takes: lines of another run.
        const [file] = fs.readdirSync(spool).filter((name) => name.startsWith('samples.'));
        const text = fs.readFileSync(path.join(spool, file));
        for (let n = 1; n <= 40; n++) fs.writeFileSync(path.join(spool, `samples.${String(n).padStart(12, '0')}`), text);
        const two = start(id, spool, ['--spool-bytes', '65536']);
        await says(two, 'telemetry_kept', 2);
        const bytes = fs.readdirSync(spool).reduce((sum, name) => sum + fs.statSync(path.join(spool, name)).size, 0);
        assert.ok(bytes < 66000, `${bytes}`);
        wire.mend();
        await says(two, 'telemetry_caught_up');
        await until(() => /event=telemetry_pushed_out .*samples=\d+/.test(two.proc.log()), 3000, 'it says so');
        await two.proc.terminate();
    });
});

describe('telerelay-robot with relays of other kinds', () => {
    it('sends nothing more in batches to one that does not know them, and goes on', async () => {
        const relay = await Relay.listen();
        const robot = startRobot(relay.port, { flags: ['--interval', '0.1'] });
        const first = await relay.link();
        const sample = (await first.get('telemetry', 2)).at(-1);
        first.send({ type: 'ack', original_type: 'telemetry', status: 'received', message: SAVED });
        first.ws.terminate();
        const second = await relay.link(2);
        const [sent] = await second.get('telemetry_batch');
        assert.ok(sent.samples.some(({ timestamp }) => timestamp === sample.timestamp));
        second.send({ type: 'error', error: 'unknown type; a robot may send …', code: 'unknown_type', original_type: 'telemetry_batch', id: sent.id });
        await robot.says(/event=relay_old/);
        await second.get('telemetry', 5);
        assert.equal(second.messages.filter(({ type }) => type === 'telemetry_batch').length, 1);
        first.ws.terminate();
        second.ws.close(1001);
        const third = await relay.link(3); // which may know better
        const [again] = await third.get('telemetry_batch');
        assert.equal(again.samples[0].timestamp, sent.samples[0].timestamp);
    });

    it('goes on with one that never answers', async () => {
        const relay = await Relay.listen();
        const robot = startRobot(relay.port, { flags: ['--interval', '0.1'] });
        const first = await relay.link();
        await first.get('telemetry', 2);
        first.ws.terminate();
        const second = await relay.link(2);
        await second.get('telemetry', 3, 2000); // it tries a batch first, and then knows
        assert.equal(second.messages.filter(({ type }) => type === 'telemetry_batch').length, 1);
        await robot.says(/event=relay_mute/);
        second.ws.terminate();
        const third = await relay.link(3);
        await third.get('telemetry', 1, 500);
        assert.equal(third.messages.filter(({ type }) => type === 'telemetry_batch').length, 0);
    });

    it('waits when its samples are not stored, and longer each time', async () => {
        const relay = await Relay.listen();
        startRobot(relay.port, { flags: ['--interval', '0.1'] });
        const link = await relay.link();
        await link.get('telemetry');
        link.send({ type: 'ack', original_type: 'telemetry', status: 'received', message: SAVED });
        await link.get('telemetry', 3);
        link.send({ type: 'error', error: 'away', code: 'not_stored', original_type: 'telemetry' });
        const at = [];
        for (let n = 1; n <= 2; n++) {
            const sent = (await link.get('telemetry_batch', n, 8000)).at(-1);
            at.push(performance.now());
            link.send({ type: 'error', error: 'away', code: 'not_stored', original_type: 'telemetry_batch', id: sent.id });
        }
        const good = (await link.get('telemetry_batch', 3, 8000)).at(-1);
        at.push(performance.now());
        assert.ok(at[1] - at[0] > 800 && at[2] - at[1] > 1600, `${at}`);
        assert.equal(link.messages.filter(({ type }) => type === 'telemetry').length, 3); // nothing overtook them
        link.send({ type: 'ack', original_type: 'telemetry_batch', id: good.id, status: 'received', message: SAVED, stored: good.samples.length });
        const next = (await link.get('telemetry_batch', 4)).at(-1);
        assert.ok(next.samples[0].timestamp > good.samples.at(-1).timestamp);
    });

    it('does without a sample that a relay will never take', async () => {
        const relay = await Relay.listen();
        const robot = startRobot(relay.port, { flags: ['--interval', '0.05'] });
        const link = await relay.link();
        const [bad] = await link.get('telemetry', 4);
        link.send({ type: 'error', error: 'away', code: 'not_stored', original_type: 'telemetry' });
        let stored = [];
        link.ws.on('message', (data) => {
            const message = JSON.parse(data);
            if (message.type !== 'telemetry_batch') return;
            const times = message.samples.map(({ timestamp }) => timestamp);
            if (times.includes(bad.timestamp)) {
                link.send({ type: 'error', error: 'samples[0].battery …', code: 'out_of_range', original_type: 'telemetry_batch', id: message.id });
                return;
            }
            stored = stored.concat(times);
            link.send({ type: 'ack', original_type: 'telemetry_batch', id: message.id, status: 'received', message: SAVED, stored: times.length });
        });
        await robot.says(/event=telemetry_caught_up/, 6000);
        assert.deepEqual(stored, [...stored].sort());
        assert.ok(!stored.includes(bad.timestamp) && stored.length > 5);
    });
});
