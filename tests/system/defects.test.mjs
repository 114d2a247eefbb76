// Goal: each thing that the system before this one got wrong has a test here that it would fail. What
// concerns the page alone is in the browser tests.
import { after, afterEach, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Cluster, Refused, Stack, assertRecent, robotCame, robotWent, until, Peer } from './lib/harness.mjs';

describe('what the original got wrong', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 2 });
    });
    afterEach(() => cluster.clear());
    after(() => cluster.stop());

    it('only the newest dashboard got telemetry, and closing any dashboard cut the rest off', async () => {
        const websites = [await cluster.website(1), await cluster.website(1), await cluster.website(2), await cluster.website(1)];
        const robot = await cluster.robot(1, 'robot_01');
        await robot.telemetry({ battery: 60 });
        for (const website of websites) await website.next({ type: 'telemetry_update', battery: 60 });
        await websites.pop().leave();
        await websites.shift().leave();
        await robot.telemetry({ battery: 59 });
        for (const website of websites) await website.next({ type: 'telemetry_update', battery: 59 });
    });

    it('the late end of an old connection unregistered the newer one of the same robot', async () => {
        const website = await cluster.website(1);
        const old = await cluster.robot(1, 'robot_01');
        const robot = await cluster.robot(1, 'robot_01');
        await old.closed();
        const marker = await cluster.robot(1, 'marker');
        await marker.leave();
        await website.next(robotWent('marker'));
        assert.equal(website.count({ device_id: 'robot_01', status: 'disconnected' }), 0);
        assert.equal((await website.ask({ type: 'set_speed', value: 12 })).robots, 1);
        await robot.next({ value: 12 });
    });

    it('acks came before forwarding, also without any robot, and had no timestamp', async () => {
        const website = await cluster.website(1);
        const alone = await website.ask({ type: 'set_speed', value: 13 });
        assert.equal(alone.robots, 0);
        assertRecent(alone.timestamp);
        await cluster.robot(2, 'robot_01');
        await website.sees(['robot_01']);
        const answer = await website.ask({ type: 'set_speed', value: 14 });
        assert.equal(answer.robots, 1);
        assertRecent(answer.timestamp);
    });

    it('Redis was configured but unused: one process knew everything', async () => {
        const website = await cluster.website(1);
        const robot = await cluster.robot(2, 'robot_01');
        await website.next(robotCame('robot_01'));
        assert.notEqual(cluster.relay(1).pid, cluster.relay(2).pid);
        assert.equal((await website.ask({ type: 'robot_move', x: 0, y: 0.5 })).robots, 1);
        await robot.next('robot_move');
        await robot.telemetry({ battery: 41 });
        await website.next({ type: 'telemetry_update', battery: 41 });
    });

    it('nothing was validated: x="<b>" and y=1e9 reached the robot', async () => {
        const robot = await cluster.robot(2, 'robot_01');
        const website = await cluster.website(1);
        await website.sees(['robot_01']);
        assert.equal((await website.ask({ type: 'robot_move', x: '<b>', y: 0 })).code, 'invalid_message');
        assert.equal((await website.ask({ type: 'robot_move', x: 0, y: 1e9 })).code, 'out_of_range');
        assert.equal((await website.ask({ type: 'set_speed', value: 99 })).robots, 1);
        await robot.next({ value: 99 });
        assert.equal(robot.commands().length, 1);
    });

    it('partial telemetry was a database error, and error texts leaked SQL', async () => {
        const robot = await cluster.robot(1, 'robot_01');
        for (const metrics of [{ battery: 5 }, { cpu: 5 }, { temperature: 5 }, { signal: 5 }])
            assert.equal((await robot.telemetry(metrics)).type, 'ack');
        for (const text of ['{', '{"type":"telemetry","battery":"x"}', '{"type":"telemetry","battery":500}', '{"type":"\'; DROP TABLE x"}']) {
            const answer = await robot.ask(text);
            assert.equal(answer.type, 'error');
            assert.doesNotMatch(answer.error, /sql|insert|redis|xadd|errno|\.c:|0x[0-9a-f]{4}|traceback/i);
        }
    });

    it('the stop on release could be lost among the moves before it', async () => {
        const robot = await cluster.robot(2, 'robot_01');
        const website = await cluster.website(1);
        await website.sees(['robot_01']);
        for (let round = 0; round < 20; round++) {
            const from = robot.history.length;
            for (const x of [0.2, 0.4, 0.6, 0.8]) website.send({ type: 'robot_move', x, y: 0 });
            website.send({ type: 'robot_move', x: 0, y: 0 });
            await robot.seen({ type: 'robot_move', x: 0, y: 0 }, 1000, from);
            assert.deepEqual(robot.commands().at(-1).x, 0);
        }
    });

    it('cpu, temperature and signal never updated', async () => {
        const website = await cluster.website(1);
        const robot = await cluster.robot(2, 'robot_01');
        for (const [cpu, temperature, signal] of [[10, 20.5, 30], [11, 21.5, 31]]) {
            await robot.telemetry({ battery: 50, cpu, temperature, signal });
            const update = await website.next('telemetry_update');
            assert.deepEqual([update.cpu, update.temperature, update.signal], [cpu, temperature, signal]);
        }
    });

    it('a status frame could fake a disconnect', async () => {
        const website = await cluster.website(1);
        await cluster.robot(1, 'robot_01');
        const liar = await cluster.robot(2, 'robot_02');
        await website.sees(['robot_01', 'robot_02']);
        liar.send({
            type: 'status', status: 'disconnected', device_type: 'robot', device_id: 'robot_01', message: 'Robot robot_01 has disconnected',
        });
        const status = await website.next('robot_status');
        assert.equal(status.device_id, 'robot_02');
        assert.deepEqual(website.online(), ['robot_01', 'robot_02']);
        assert.equal((await liar.ask({ type: 'connection', status: 'disconnected', device_id: 'robot_01' })).type, 'error');
        await website.settled();
        assert.equal(website.count({ type: 'connection', status: 'disconnected' }), 0);
    });

    it('binary frames raised an exception', async () => {
        for (const peer of [await cluster.website(1), await cluster.robot(1, 'robot_01')]) {
            assert.equal((await peer.ask(Buffer.from([0, 255, 1, 254]))).code, 'invalid_message');
            await peer.settled();
            assert.ok(peer.open);
        }
    });

    it('every frame of video was printed to the log', async () => {
        const website = await cluster.website(1);
        const robot = await cluster.robot(1, 'robot_01');
        await website.sees(['robot_01']);
        const logs = () => [1, 2].map((n) => cluster.relay(n).log()).join('');
        const before = logs().length;
        const data = 'U2VjcmV0'.repeat(500);
        for (let n = 1; n <= 20; n++) await robot.ask({ type: 'video_frame', frame_data: data, frame_number: n });
        await website.seen({ type: 'video_frame', frame_number: 20 });
        await robot.telemetry({ battery: 3, device_name: 'secret-name' });
        await robot.ask({ type: 'secret-type' });
        const text = logs();
        assert.ok(!text.includes('U2VjcmV0') && !text.includes('secret'), 'no payload in the log');
        assert.ok(text.length - before < 500, text.slice(before));
    });
});

describe('what the original got wrong, behind nginx', () => {
    let stack;
    before(async () => {
        stack = await Stack.start({ relays: 2, robots: 0 });
    });
    after(() => stack?.stop());

    it('there was no Origin check on the socket', async () => {
        for (const Origin of ['https://evil.example', 'null', `http://localhost.evil.example:${stack.port}`, 'http://localhost:1']) {
            const peer = await stack.raw('/ws/telemetry/', { headers: { Host: `localhost:${stack.port}`, Origin } });
            assert.equal(peer.status, 403, Origin);
            peer.destroy();
        }
        for (const Origin of [`http://localhost:${stack.port}`, undefined]) {
            const peer = await stack.raw('/ws/telemetry/', { headers: { Host: `localhost:${stack.port}`, Origin } });
            assert.equal(peer.status, 101, Origin);
            peer.destroy();
        }
        await assert.rejects(Peer.connect(stack.url(), { origin: 'https://evil.example' }),
            (error) => error instanceof Refused && error.status === 403);
    });

    it('a query could carry bytes that end a header', async () => {
        for (const query of ['?device_id=a%0d%0aX-User:%20admin', '?x=%0Aupgrade:%20h2c', '?device_id=a%00', '?device_id=a%', '?device_id=%zz', '?device_id=a%0D']) {
            const peer = await stack.raw(`/ws/telemetry/${query}`, { headers: { Host: `localhost:${stack.port}` } });
            assert.equal(peer.status, 400, query);
            peer.destroy();
        }
    });

    it('history had no device column: robots were mixed up', async () => {
        const one = await stack.robot('robot_01');
        const two = await stack.robot('robot_02');
        for (let n = 1; n <= 5; n++) {
            await one.telemetry({ battery: n });
            await two.telemetry({ battery: 50 + n });
        }
        for (const [id, list] of [['robot_01', [5, 4, 3, 2, 1]], ['robot_02', [55, 54, 53, 52, 51]]]) {
            const { items, count } = await stack.get(`/api/telemetry?device_id=${id}`);
            assert.equal(count, 5);
            assert.deepEqual(items.map((item) => item.battery), list);
            assert.ok(items.every((item) => item.device_id === id));
        }
    });

    it('queries, which name devices and may hold tokens, were in the logs', async () => {
        const robot = await stack.robot('very-secret-device');
        await robot.leave();
        await stack.get('/api/telemetry?device_id=very-secret-device');
        await assert.rejects(stack.get('/api/telemetry?device_id=robot_01&token=very-secret-token'), /HTTP 400/);
        const dir = path.join(stack.env.RUN_DIR, 'log');
        await until(() => stack.log('access.log').includes('/api/telemetry'), 3000, 'the request is logged');
        for (const name of fs.readdirSync(dir).filter((file) => /access|nginx/.test(file)))
            assert.ok(!stack.log(name).includes('very-secret'), name);
    });
});
