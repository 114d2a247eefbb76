// Goal: whoever sends a command with an id hears what became of it, on whichever relay; the same id is forwarded once;
// what is too old is dropped and its sender told; a robot's heartbeats reach those who drive it, and only them.
import { after, afterEach, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Cluster, assertRecent, pause, until } from './lib/harness.mjs';

describe('receipts', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 2, flags: ['--website-rate', '0', '--robot-rate', '0'] });
    });
    afterEach(() => cluster.clear());
    after(() => cluster.stop());

    const pair = async (websiteAt = 1, robotAt = 2) => {
        const robot = await cluster.robot(robotAt, 'robot_01');
        const website = await cluster.website(websiteAt);
        await website.sees(['robot_01']);
        return { robot, website };
    };
    const receipt = (website, id, more = {}) => website.seen((m) => m.type === 'ack' && m.id === id && m.status !== 'received' &&
        Object.entries(more).every(([key, value]) => m[key] === value));

    for (const [name, at] of [['the same relay', [1, 1]], ['different relays', [1, 2]]]) {
        it(`tells applied, rejected and expired to the sender, on ${name}`, async () => {
            const { robot, website } = await pair(...at);
            const bystander = await cluster.website(at[1]);
            for (const [status, reason] of [['applied', undefined], ['rejected', 'old'], ['expired', 'hb']]) {
                const id = `c-${status}`;
                await website.ask({ type: 'robot_move', x: 0, y: 0.5, id, hb: 3 });
                const got = await robot.next('robot_move');
                assert.equal(got.id, id);
                assert.equal(got.hb, 3);
                robot.send({ type: 'ack', id, seq: got.seq, status, reason });
                const told = await receipt(website, id);
                const { timestamp, latency_ms: latency, ...rest } = told;
                assertRecent(timestamp);
                assert.ok(Number.isInteger(latency) && latency >= 0 && latency < 2000, `latency_ms ${latency}`);
                assert.deepEqual(rest, { type: 'ack', original_type: 'robot_move', id, status, ...(reason && { reason }), device_id: 'robot_01' });
            }
            await bystander.settled();
            assert.equal(bystander.count('ack'), 0);
        });
    }

    it('goes by the id when the robot names no seq, and tells each once', async () => {
        const { robot, website } = await pair();
        const other = await cluster.website(2);
        await website.ask({ type: 'set_speed', value: 10, id: 'same' });
        await other.ask({ type: 'set_speed', value: 20, id: 'same' });
        await robot.seen({ value: 20 });
        robot.send({ type: 'ack', id: 'same', status: 'applied' }); // the older one
        await receipt(website, 'same');
        robot.send({ type: 'ack', id: 'same', status: 'rejected', reason: 'old' });
        await receipt(other, 'same', { status: 'rejected' });
        robot.send({ type: 'ack', id: 'same', status: 'applied' });
        robot.send({ type: 'ack', id: 'never', status: 'applied' });
        await robot.settled();
        await website.settled();
        assert.equal(website.count({ id: 'same', status: 'applied' }), 1);
        assert.equal(other.count((m) => m.id === 'same' && m.status !== 'received'), 1);
    });

    it('forwards an id once, and says so', async () => {
        const { robot, website } = await pair();
        await website.ask({ type: 'set_speed', value: 10, id: 'd' });
        const again = await website.ask({ type: 'set_speed', value: 10, id: 'd' });
        assert.equal(again.duplicate, true);
        assert.equal(again.robots, 0);
        const other = await cluster.website(1); // its ids are its own
        assert.equal((await other.ask({ type: 'set_speed', value: 11, id: 'd' })).robots, 1);
        await robot.seen({ value: 11 });
        assert.deepEqual(robot.commands().map((one) => one.value), [10, 11]);
        const refused = await website.ask({ type: 'set_speed', value: 12, id: 'e', device_id: 'robot_99' });
        assert.equal(refused.code, 'no_robot');
        assert.equal((await website.ask({ type: 'set_speed', value: 12, id: 'e' })).robots, 1); // was not forwarded before
    });

    it('says what nobody will ever know: the robot went before it answered', async () => {
        const { robot, website } = await pair();
        robot.send({ type: 'heartbeat', hb: 1 }); // it knows how to answer
        await robot.settled();
        await website.ask({ type: 'set_speed', value: 10, id: 'gone' });
        await robot.seen({ value: 10 });
        robot.drop();
        const told = await receipt(website, 'gone');
        assert.equal(told.status, 'expired');
        assert.equal(told.reason, 'disconnected');
    });

    it('numbers commands without end: seq rises over kinds, senders and relays', async () => {
        const { robot, website } = await pair();
        const other = await cluster.website(2);
        for (let i = 1; i <= 20; i++) {
            await website.ask({ type: 'set_speed', value: i });
            await other.ask({ type: 'set_brightness', value: i });
        }
        await robot.seen({ type: 'set_brightness', value: 20 });
        const numbers = robot.commands().map((one) => one.seq);
        assert.equal(numbers.length, 40);
        for (let i = 1; i < numbers.length; i++) assert.ok(numbers[i] > numbers[i - 1], `${numbers[i - 1]}, ${numbers[i]}`);
    });

    it('refuses a bad ttl_ms or hb, and takes a short one', async () => {
        const { robot, website } = await pair();
        for (const [more, code] of [[{ ttl_ms: 0 }, 'out_of_range'], [{ ttl_ms: 1e9 }, 'out_of_range'], [{ ttl_ms: 'x' }, 'invalid_message'],
            [{ ttl_ms: 1.5 }, 'invalid_message'], [{ hb: -1 }, 'out_of_range'], [{ hb: '7' }, 'invalid_message']]) {
            const answer = await website.ask({ type: 'robot_move', x: 0, y: 0, ...more });
            assert.equal(answer.code, code, JSON.stringify({ more, answer }));
        }
        assert.equal((await website.ask({ type: 'robot_move', x: 0, y: 0, ttl_ms: 400 })).robots, 1);
        await robot.next('robot_move');
    });

    it('passes heartbeats to those who sent a command, and to watchers, and adds the newest to each command', async () => {
        const { robot, website } = await pair(1, 2);
        const onlooker = await cluster.website(1);
        const watcher = await cluster.website(1, { query: '?watch=robot_01,robot_02' });
        const near = await cluster.website(2);
        robot.send({ type: 'heartbeat', hb: 100 });
        await robot.settled();
        await website.ask({ type: 'set_speed', value: 10, device_id: 'robot_01' });
        await near.ask({ type: 'set_speed', value: 11 });
        assert.equal((await robot.seen({ value: 10 })).relay_hb, 100);
        let hb = 100;
        const beat = setInterval(() => robot.send({ type: 'heartbeat', hb: ++hb }), 50);
        try {
            const got = await website.seen('robot_heartbeat');
            assert.deepEqual(got, { type: 'robot_heartbeat', device_id: 'robot_01', hb: got.hb });
            await near.seen('robot_heartbeat');
            await watcher.seen('robot_heartbeat', 6000);
            const from = website.history.length;
            await website.seen((m) => m.type === 'robot_heartbeat' && m.hb >= got.hb + 10, 3000, from);
        } finally {
            clearInterval(beat);
        }
        await onlooker.settled();
        assert.equal(onlooker.count('robot_heartbeat'), 0);
        const beats = near.all('robot_heartbeat').map((m) => m.hb);
        assert.deepEqual(beats, [...new Set(beats)], 'each once');
    });

    it('answers a ping at once, to websites and robots', async () => {
        const { robot, website } = await pair();
        for (const peer of [website, robot]) {
            peer.skip();
            peer.send({ type: 'ping', id: 'p-1' });
            const { timestamp, ...rest } = await peer.next('pong');
            assertRecent(timestamp);
            assert.deepEqual(rest, { type: 'pong', id: 'p-1' });
            peer.send({ type: 'ping' });
            assert.equal((await peer.next('pong')).id, undefined);
        }
    });

    it('watch narrows what a website hears, and an empty list widens it again', async () => {
        const one = await cluster.robot(1, 'robot_01');
        const two = await cluster.robot(2, 'robot_02');
        const all = await cluster.website(1);
        const some = await cluster.website(1, { query: '?watch=robot_02' });
        await all.sees(['robot_01', 'robot_02']);
        await some.sees(['robot_02']);
        await one.telemetry({ battery: 11 });
        await two.telemetry({ battery: 22 });
        await all.seen({ type: 'telemetry_update', battery: 11 });
        await some.seen({ type: 'telemetry_update', battery: 22 });
        one.send({ type: 'status', status: 's', message: 'm' });
        await all.seen('robot_status');
        await some.settled();
        assert.deepEqual(some.all((m) => m.device_id === 'robot_01'), []);
        assert.equal((await some.ask({ type: 'watch', device_ids: [], id: 'w' })).id, 'w');
        await some.sees(['robot_01', 'robot_02']);
        await one.telemetry({ battery: 12 });
        await some.seen({ type: 'telemetry_update', battery: 12 });
        assert.equal((await some.ask({ type: 'watch', device_ids: ['a b'] })).code, 'invalid_message');
        assert.equal((await some.ask({ type: 'watch', device_ids: Array(65).fill('a') })).code, 'invalid_message');
        await assert.rejects(cluster.website(1, { query: '?watch=a,,b' }), /HTTP 400/);
    });

    it('joins messages for who takes batches, in order, and acks at once', async () => {
        const robot = await cluster.robot(2, 'robot_01');
        const plain = await cluster.website(1);
        const lines = [];
        const { default: WebSocket } = await import('ws');
        const ws = new WebSocket(cluster.url(1), ['telerelay.batch'], { perMessageDeflate: false });
        let frames = 0;
        ws.on('message', (data) => {
            frames++;
            lines.push(...data.toString().split('\n').map((line) => JSON.parse(line)));
        });
        try {
            await until(() => lines.some((m) => m.device_id === 'robot_01'), 3000, 'greeting');
            assert.equal(ws.protocol, 'telerelay.batch');
            const before = frames;
            for (let i = 1; i <= 200; i++) robot.send({ type: 'telemetry', battery: i % 100, n: i });
            await plain.seen({ n: 200 });
            await until(() => lines.some((m) => m.n === 200), 3000, 'all of them');
            assert.deepEqual(lines.filter((m) => m.n).map((m) => m.n), plain.all((m) => m.n).map((m) => m.n));
            assert.ok(frames - before < 150, `${frames - before} frames for 200 messages`);
            const sent = performance.now();
            ws.send('{"type":"ping","id":"b"}');
            await until(() => lines.some((m) => m.type === 'pong'), 1000, 'pong', 1);
            assert.ok(performance.now() - sent < 500);
        } finally {
            ws.terminate();
        }
    });
});

describe('the relay as a dead-man', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 2 });
    });
    afterEach(() => cluster.clear());
    after(() => cluster.stop());
    const zero = (m) => m.type === 'robot_move' && m.x === 0 && m.y === 0;
    const arrival = (robot, test) => robot.history.find((entry) => test(entry.message)).at;

    it('stops what a website drove whose connection ends', async () => {
        const robot = await cluster.robot(2, 'robot_01');
        const website = await cluster.website(1);
        await website.sees(['robot_01']);
        await website.ask({ type: 'robot_move', x: 0, y: 1 });
        await website.ask({ type: 'camera_move', x: 1, y: 0, device_id: 'robot_01' });
        const dropped = performance.now();
        website.drop();
        await robot.seen(zero);
        await robot.seen({ type: 'camera_move', x: 0, y: 0 });
        assert.ok(arrival(robot, zero) - dropped < 250, `${arrival(robot, zero) - dropped} ms`);
    });

    it('stops what a website drove that falls silent for 250 ms, whatever else it says', async () => {
        const robot = await cluster.robot(2, 'robot_01');
        const website = await cluster.website(1);
        await website.sees(['robot_01']);
        for (let i = 0; i < 10; i++) {
            website.send({ type: 'robot_move', x: 0, y: 0.5 });
            await pause(50); // the pace at which a page repeats itself
        }
        const last = arrival(robot, (m) => m === robot.commands().at(-1));
        const pings = setInterval(() => website.send({ type: 'ping' }), 20);
        try {
            await robot.seen(zero);
        } finally {
            clearInterval(pings);
        }
        const after = arrival(robot, zero) - last;
        assert.ok(after >= 200 && after < 450, `${after} ms`);
        assert.equal(robot.count(zero), 1);
    });

    it('leaves alone a robot that somebody else drives by then', async () => {
        const robot = await cluster.robot(2, 'robot_01');
        const first = await cluster.website(1);
        const second = await cluster.website(2);
        await second.sees(['robot_01']);
        await first.ask({ type: 'robot_move', x: 0, y: 0.1 });
        await second.ask({ type: 'robot_move', x: 0, y: 0.2 });
        first.drop();
        for (let i = 0; i < 10; i++) {
            second.send({ type: 'robot_move', x: 0, y: 0.2 });
            await pause(40);
        }
        assert.equal(robot.count(zero), 0);
    });

    it('does not stop what was stopped already', async () => {
        const robot = await cluster.robot(2, 'robot_01');
        const website = await cluster.website(1);
        await website.sees(['robot_01']);
        await website.ask({ type: 'robot_move', x: 0, y: 1 });
        await website.ask({ type: 'robot_move', x: 0, y: 0 });
        await website.leave();
        const other = await cluster.website(1);
        await other.ask({ type: 'set_speed', value: 5 });
        await robot.seen({ value: 5 });
        assert.equal(robot.count(zero), 1);
    });
});
