// Goal: a command of a website reaches exactly the robots it is meant for, as type, numbers and time
// and nothing else, and the ack says truthfully what was understood and how many robots get it.
import { after, afterEach, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Cluster, assertCommand, assertRecent, assertStamped } from './lib/harness.mjs';

const ack = (type, message, robots, more = {}) =>
    ({ type: 'ack', original_type: type, status: 'received', message, robots, ...more });

describe('commands', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 2, flags: ['--website-rate', '0', '--robot-rate', '0'] });
    });
    afterEach(() => cluster.clear());
    after(() => cluster.stop());

    // what is sent, what the robot gets, text of the ack
    const forms = [
        [{ type: 'robot_move', x: 0.5, y: -0.3 }, { type: 'robot_move', x: 0.5, y: -0.3 }, 'Robot move x=0.5, y=-0.3'],
        [{ type: 'camera_move', x: -1, y: 1 }, { type: 'camera_move', x: -1, y: 1 }, 'Camera move x=-1, y=1'],
        [{ type: 'set_speed', value: 60 }, { type: 'set_speed', value: 60 }, 'Speed set to 60%'],
        [{ type: 'set_brightness', value: 100 }, { type: 'set_brightness', value: 100 }, 'Brightness set to 100%'],
        [{ type: 'set', name: 'speed', value: 45 }, { type: 'set_speed', value: 45 }, 'Speed set to 45%'],
        [{ type: 'set', name: 'brightness', value: 1 }, { type: 'set_brightness', value: 1 }, 'Brightness set to 1%'],
        [{ type: 'request_frame' }, { type: 'request_frame' }, 'Frame requested'],
    ];
    for (const [name, websiteAt, robotAt] of [['the same relay', 1, 1], ['different relays', 1, 2], ['different relays, the other way', 2, 1]]) {
        it(`forwards every command and alias, on ${name}`, async () => {
            const robot = await cluster.robot(robotAt, 'robot_01');
            const website = await cluster.website(websiteAt);
            await website.sees(['robot_01']);
            for (const [sent, got, text] of forms) {
                const answer = await website.ask(sent);
                assertStamped(answer, ack(sent.type, `Command received: ${text}`, 1));
                assertCommand(await robot.next(), got);
            }
        });
    }

    it('writes numbers in their shortest exact form', async () => {
        const robot = await cluster.robot(2, 'robot_01');
        const website = await cluster.website(1);
        await website.sees(['robot_01']);
        for (const [text, short] of [
            ['0.1', '0.1'], ['1', '1'], ['-0.3', '-0.3'], ['1e-7', '1e-7'], ['0.30000000000000004', '0.30000000000000004'],
            ['1.0', '1'], ['-0', '0'], ['-0.0', '0'], ['0.10', '0.1'], ['1E0', '1'], ['5e-1', '0.5'], ['0.3333333333333333', '0.3333333333333333'],
            ['0', '0'], ['-1', '-1'], ['0.125', '0.125'], ['1e-300', '1e-300'],
        ]) {
            website.skip();
            website.send(`{"type":"robot_move","x":${text},"y":0}`);
            const answer = await website.next('ack');
            const written = /^Command received: Robot move x=(\S+), y=0$/.exec(answer.message)?.[1];
            assert.ok(written === short, `${text}: ${answer.message}`);
            const got = await robot.next('robot_move');
            assert.ok(Object.is(got.x, Number(text)) || (got.x === 0 && Number(text) === 0), `${text}: ${got.x}`);
            assert.ok(robot.raw(got).includes(`"x":${written},`), robot.raw(got));
        }
        for (const [value, text] of [[60.5, '60.5'], [1, '1'], [99.9, '99.9'], [100, '100']]) {
            assertStamped(await website.ask({ type: 'set_speed', value }), ack('set_speed', `Command received: Speed set to ${text}%`, 1));
            assert.equal((await robot.next('set_speed')).value, value);
        }
    });

    it('counts the robots truthfully: none, one, two, one of two', async () => {
        const website = await cluster.website(1);
        assertStamped(await website.ask({ type: 'set_speed', value: 60 }), ack('set_speed', 'Command received: Speed set to 60%', 0));
        const first = await cluster.robot(1, 'robot_01');
        await website.sees(['robot_01']);
        assert.equal((await website.ask({ type: 'set_speed', value: 61 })).robots, 1);
        const second = await cluster.robot(2, 'robot_02');
        await website.sees(['robot_01', 'robot_02']);
        assert.equal((await website.ask({ type: 'set_speed', value: 62 })).robots, 2);
        assertStamped(await website.ask({ type: 'set_speed', value: 63, device_id: 'robot_02' }),
            ack('set_speed', 'Command received: Speed set to 63%', 1));
        assert.equal((await website.ask({ type: 'set_speed', value: 64 })).robots, 2);
        for (const robot of [first, second]) await robot.seen({ value: 64 });
        assert.deepEqual(first.commands().map((one) => one.value), [61, 62, 64]);
        assert.deepEqual(second.commands().map((one) => one.value), [62, 63, 64]);
    });

    it('says that an addressed robot is offline', async () => {
        const robot = await cluster.robot(2, 'robot_01');
        const website = await cluster.website(1);
        await website.sees(['robot_01']);
        const answer = await website.ask({ type: 'robot_move', x: 0, y: 1, device_id: 'robot_99', id: 'c-1' });
        assert.equal(answer.type, 'error');
        assert.equal(answer.code, 'no_robot');
        assert.equal(answer.original_type, 'robot_move');
        assert.equal(answer.id, 'c-1');
        assert.equal(typeof answer.error, 'string');
        // One that was here and left.
        await robot.leave();
        await website.sees([]);
        assert.equal((await website.ask({ type: 'set_speed', value: 5, device_id: 'robot_01' })).code, 'no_robot');
    });

    it('ignores client_ts and other keys, and forwards none of them', async () => {
        const robot = await cluster.robot(2, 'robot_01');
        const website = await cluster.website(1);
        await website.sees(['robot_01']);
        await website.ask({
            type: 'robot_move', x: 0.25, y: 0.5, client_ts: 1768473045123, timestamp: '1999-01-01T00:00:00Z', source: 'website',
            value: 'x', nested: { a: [1, 2, { b: null }] }, device_id: 'robot_01', '<script>': 1,
        });
        const got = await robot.next();
        assert.deepEqual(Object.keys(got).sort(), ['seq', 'timestamp', 'type', 'x', 'y']);
        assertCommand(got, { type: 'robot_move', x: 0.25, y: 0.5 });
        const raw = robot.raw(got);
        assert.ok(!raw.includes('script') && !raw.includes('client_ts') && !raw.includes('1999'), raw);
    });

    it('echoes the id in the ack', async () => {
        const website = await cluster.website(1);
        for (const id of ['a', 'x'.repeat(64), 'ü"\\☃', '7f3c-…'])
            assertStamped(await website.ask({ type: 'set_brightness', value: 2, id }),
                ack('set_brightness', 'Command received: Brightness set to 2%', 0, { id }));
    });

    it('refuses what is out of range or of the wrong kind, and forwards none of it', async () => {
        const robot = await cluster.robot(2, 'robot_01');
        const website = await cluster.website(1);
        await website.sees(['robot_01']);
        const bad = [
            [{ type: 'robot_move', x: 1.0000001, y: 0 }, 'out_of_range'],
            [{ type: 'robot_move', x: 0, y: 1e9 }, 'out_of_range'],
            [{ type: 'camera_move', x: -1.5, y: 0 }, 'out_of_range'],
            [{ type: 'set_speed', value: 0 }, 'out_of_range'],
            [{ type: 'set_speed', value: 100.5 }, 'out_of_range'],
            [{ type: 'set_brightness', value: -3 }, 'out_of_range'],
            [{ type: 'set', name: 'speed', value: 101 }, 'out_of_range'],
            [{ type: 'robot_move', x: '0.5', y: 0 }, 'invalid_message'],
            [{ type: 'robot_move', x: '<b>', y: 0 }, 'invalid_message'],
            [{ type: 'robot_move', x: true, y: 0 }, 'invalid_message'],
            [{ type: 'robot_move', x: null, y: 0 }, 'invalid_message'],
            [{ type: 'robot_move', x: [1], y: 0 }, 'invalid_message'],
            [{ type: 'robot_move', y: 0 }, 'invalid_message'],
            [{ type: 'set_speed' }, 'invalid_message'],
            [{ type: 'set_speed', value: '60' }, 'invalid_message'],
            [{ type: 'set', value: 5 }, 'invalid_message'],
            [{ type: 'set', name: 7, value: 5 }, 'invalid_message'],
            [{ type: 'set_speed', value: 5, id: 7 }, 'invalid_message'],
            [{ type: 'set_speed', value: 5, id: 'x'.repeat(65) }, 'invalid_message'],
            [{ type: 'set_speed', value: 5, device_id: 7 }, 'invalid_message'],
            [{ type: 'set_speed', value: 5, device_id: '' }, 'invalid_message'],
            [{ type: 'set_speed', value: 5, device_id: 'a/b' }, 'invalid_message'],
            [{ type: 'teleport', x: 1 }, 'unknown_type'],
            [{ type: '' }, 'unknown_type|invalid_message'],
            [{ x: 1 }, 'invalid_message'],
            [{ type: 5 }, 'invalid_message'],
            ['[]', 'invalid_message'],
            ['"robot_move"', 'invalid_message|invalid_json'],
            ['{"type":"robot_move","x":0,"y":0', 'invalid_json'],
            ['{"type":"robot_move","x":NaN,"y":0}', 'invalid_json'],
            ['{"type":"robot_move","x":1e999,"y":0}', 'invalid_json|invalid_message|out_of_range'],
            ['{"type":"robot_move","x":0,"y":0,"x":1}', 'invalid_json|invalid_message'],
            ['', 'invalid_json|invalid_message'],
            // What only robots say.
            [{ type: 'telemetry', battery: 5 }, 'not_allowed|unknown_type'],
            [{ type: 'status', status: 'disconnected' }, 'not_allowed|unknown_type'],
            [{ type: 'video_frame', frame_data: 'AAAA' }, 'not_allowed|unknown_type'],
            [{ type: 'connection', status: 'disconnected', device_type: 'robot', device_id: 'robot_01' }, 'not_allowed|unknown_type'],
        ];
        for (const [message, codes] of bad) {
            const answer = await website.ask(message);
            assert.equal(answer.type, 'error', JSON.stringify(message));
            assert.ok(codes.split('|').includes(answer.code), `${JSON.stringify(message)}: ${JSON.stringify(answer)}`);
            assert.equal(typeof answer.error, 'string');
        }
        assert.equal((await website.ask('{bad')).error, 'Invalid JSON format');
        const binary = await website.ask(Buffer.from('{"type":"robot_move","x":0,"y":0}'));
        assert.equal(binary.code, 'invalid_message');
        await website.ask({ type: 'set_speed', value: 77 });
        await robot.next({ value: 77 });
        assert.equal(robot.commands().length, 1);
        assert.ok(website.open);
    });

    it('names type and id of what it refuses where they are known', async () => {
        const website = await cluster.website(1);
        const answer = await website.ask({ type: 'set_speed', value: 500, id: 'cmd-9' });
        assert.equal(answer.original_type, 'set_speed');
        assert.equal(answer.id, 'cmd-9');
        assert.equal((await website.ask({ type: 'fly', id: 'cmd-10' })).original_type, 'fly');
    });

    it('lets no robot command another', async () => {
        const one = await cluster.robot(1, 'robot_01');
        const two = await cluster.robot(2, 'robot_02');
        for (const message of [{ type: 'robot_move', x: 1, y: 1 }, { type: 'set_speed', value: 3, device_id: 'robot_02' }])
            assert.match((await one.ask(message)).code, /^(not_allowed|unknown_type)$/);
        const website = await cluster.website(1);
        await website.sees(['robot_01', 'robot_02']);
        await website.ask({ type: 'set_speed', value: 50 });
        await two.next({ value: 50 });
        assert.equal(two.commands().length, 1);
    });

    it('keeps the order of settings and delivers a burst of moves up to the newest', async () => {
        const robot = await cluster.robot(2, 'robot_01');
        const website = await cluster.website(1);
        await website.sees(['robot_01']);
        const from = website.skip();
        for (let value = 1; value <= 100; value++) {
            website.send({ type: 'set_speed', value });
            website.send({ type: 'robot_move', x: value / 100, y: 0 });
        }
        await robot.seen({ type: 'set_speed', value: 100 });
        await robot.seen({ type: 'robot_move', x: 1 });
        assert.deepEqual(robot.all('set_speed').map((one) => one.value), Array.from({ length: 100 }, (_, i) => i + 1));
        const moves = robot.all('robot_move').map((one) => one.x);
        assert.deepEqual(moves, [...moves].sort((a, b) => a - b));
        await website.seen(() => website.count('ack', from) === 200, 3000, from);
        for (const answer of website.all('ack', from)) {
            assert.equal(answer.robots, 1);
            assertRecent(answer.timestamp);
        }
    });
});
