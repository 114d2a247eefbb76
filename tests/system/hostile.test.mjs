// Goal: whatever a peer sends — malformed, oversized, fragmented, binary, endless, or nothing at all —
// it gets a clear error or a clean close. Nothing of it reaches a robot or the history, no relay
// crashes, and file descriptors and memory are back where they were.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Cluster, RawPeer, ROOT, SANITIZED, pause, random, until } from './lib/harness.mjs';
import { OP, fragments, frame, upgrade } from './lib/raw.mjs';

const CODES = ['invalid_json', 'invalid_message', 'unknown_type', 'out_of_range', 'too_large', 'not_allowed', 'no_robot',
    'not_stored', 'rate_limited', 'expired'];
const CLEAN = [1000, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 4008, 4009];

// Messages that are surely wrong, from a website or a robot alike.
function wrong({ next, int, pick, bytes }) {
    const junk = () => Array.from({ length: 1 + int(40) }, () => String.fromCharCode(33 + int(90))).join('');
    const valid = () => JSON.stringify(pick([
        { type: 'robot_move', x: next(), y: -next() }, { type: 'set_speed', value: 1 + int(99) },
        { type: 'telemetry', battery: int(100), cpu: int(100) }, { type: 'status', status: 'ok', message: junk() },
    ]));
    return pick([
        () => valid().slice(0, -1 - int(5)), // cut off
        () => valid() + pick(['}', ']', ',', '{}', 'x', '"']), // something behind
        () => junk() + valid(),
        () => valid().replace(':', pick(['', '=', '::', ';'])),
        () => valid().replace('"', pick(['', "'", '\u201c'])),
        () => '['.repeat(1 + int(2000)),
        () => '{"a":'.repeat(1 + int(400)),
        () => `{"type":"robot_move","x":${'9'.repeat(400)},"y":0}`,
        () => JSON.stringify({ type: junk() }),
        () => JSON.stringify({ type: pick([1, null, true, [], {}, 0.5]) }),
        () => JSON.stringify({ type: 'robot_move', x: pick([2, -1.01, 1e9, '0', null, true, [], {}, '<b>']), y: 0 }),
        () => JSON.stringify({ type: 'set_speed', value: pick([0, -1, 101, 1e300, '5', null, [5]]) }),
        () => JSON.stringify({ type: 'telemetry', battery: pick([-1, 101, '5', true, [5], {}]) }),
        () => JSON.stringify({ type: 'status', status: pick([5, [], {}, true, 'x'.repeat(2000)]) }),
        () => JSON.stringify(pick([1, 'x', null, true, [], [1, 2], {}])),
        () => `{"type":"robot_move","x":0,"y":0,"__proto__":${'{"a":'.repeat(20)}1${'}'.repeat(20)}}`,
        () => '{"type":"set_speed","value":5,"value":6}',
        () => '{"type":"telemetry","battery":5,"battery":6}',
        () => '{"type":"\\ud800","x":1}',
        () => '{"type":"set_speed\\u0000","value":5}',
        () => bytes(1 + int(200)).toString('latin1').replace(/[\u0080-\uffff]/g, '?') + '}',
    ])();
}

// The invalid messages of tests/golden: {name, from, text, expect: {code, error, original_type, id}}.
const golden = () => {
    const dir = path.join(ROOT, 'tests/golden');
    return fs.readdirSync(dir).filter((name) => /^bad_.*\.json$/.test(name)).map((name) =>
        ({ name, ...JSON.parse(fs.readFileSync(path.join(dir, name), 'utf8')) }));
};

describe('hostile peers', () => {
    let cluster, robot, website, baseline;
    const flags = ['--website-rate', '0', '--robot-rate', '0', '--blocked-ms', '1000'];
    before(async () => {
        cluster = await Cluster.start({ relays: 2, flags });
        robot = await cluster.robot(2, 'witness');
        website = await cluster.website(2);
        await website.sees(['witness']);
        // Warm up what is allocated once.
        const warm = await Promise.all(Array.from({ length: 60 }, () => cluster.website(1)));
        for (const one of warm) await one.leave();
        await until(() => cluster.relay(1).openFiles() < 60, 3000, 'connections are gone');
        baseline = { files: cluster.relay(1).openFiles(), memory: cluster.relay(1).memory() };
    });
    after(() => cluster.stop());

    // The relay still works, and nothing reached the robot or the history.
    async function unharmed() {
        assert.ok(cluster.relay(1).alive && cluster.relay(2).alive);
        const probe = await cluster.website(1);
        const value = 1 + Math.floor(Math.random() * 99);
        const heard = robot.history.length;
        await probe.sees(['witness']);
        assert.equal((await probe.ask({ type: 'set_speed', value, device_id: 'witness' })).robots, 1);
        await robot.seen({ type: 'set_speed', value }, 3000, heard);
        assert.deepEqual(robot.commands(heard).map((one) => [one.type, one.value]), [['set_speed', value]]);
        await probe.leave();
        const redis = await cluster.redis();
        for (const key of await redis.call('KEYS', 'tr:tel:*')) assert.equal(await redis.call('XLEN', key), 0, key);
        assert.equal(website.count('telemetry_update'), 0);
        assert.equal(website.count('video_frame'), 0);
        await until(() => cluster.relay(1).openFiles() <= baseline.files, 6000,
            `file descriptors are back to ${baseline.files}`);
    }

    it('7,500 malformed messages: an error each', async () => {
        const generator = random(1);
        const senders = [await cluster.website(1), await cluster.robot(1, 'evil_robot')];
        for (let round = 0; round < 75; round++) {
            const sender = senders[round % 2];
            const from = sender.skip();
            const sent = Array.from({ length: 100 }, () => wrong(generator));
            for (const message of sent) sender.send(message);
            await sender.seen(() => sender.count('error', from) === 100, 5000, from).catch((error) => {
                throw new Error(`${sender.count('error', from)} errors for 100 messages (closed: ${sender.closeCode}): ${error.message}\n` +
                    `${sent.slice(0, 100).join('\n').slice(0, 3000)}`);
            });
            for (const answer of sender.all('error', from)) {
                assert.ok(CODES.includes(answer.code), JSON.stringify(answer));
                assert.ok(typeof answer.error === 'string' && answer.error.length > 0 && answer.error.length < 300);
            }
        }
        for (const sender of senders) {
            assert.ok(sender.open);
            assert.equal(sender.count('ack'), 0);
            await sender.leave();
        }
        await unharmed();
    });

    it('the invalid samples that all tests share: the error they name', async () => {
        const senders = { website: await cluster.website(1), robot: await cluster.robot(1, 'evil_robot') };
        for (const { name, from, text, expect } of golden()) {
            if (!senders[from]) continue;
            const answer = await senders[from].ask(text).catch((error) => assert.fail(`${name}: ${error.message}`));
            assert.equal(answer.type, 'error', name);
            for (const [key, value] of Object.entries(expect)) assert.deepEqual(answer[key] ?? null, value, `${name}: ${JSON.stringify(answer)}`);
        }
        for (const sender of Object.values(senders)) await sender.leave();
        await unharmed();
    });

    it('1,000 binary frames: invalid_message each', async () => {
        const { bytes, int } = random(2);
        const sender = await cluster.website(1);
        for (let round = 0; round < 10; round++) {
            const from = sender.skip();
            for (let i = 0; i < 100; i++) sender.send(i % 2 ? bytes(int(500)) : Buffer.from('{"type":"robot_move","x":1,"y":1}'));
            await sender.seen(() => sender.count({ type: 'error', code: 'invalid_message' }, from) === 100, 3000, from);
        }
        await sender.leave();
        await unharmed();
    });

    it('600 fragmented messages: joined up to 8 frames, closed from 9 on', async () => {
        const generator = random(3);
        const peer = await cluster.raw(1);
        await peer.message((message) => message.type === 'connection');
        for (let n = 0; n < 600; n++) {
            const text = wrong(generator);
            const count = 1 + generator.int(8);
            for (const part of fragments(OP.text, text, count)) {
                peer.write(part);
                if (generator.next() < 0.1) peer.write(frame(OP.ping, 'x')); // allowed in between
            }
            if (n % 50 === 49) await peer.message(() => peer.messages().filter((one) => one.type === 'error').length === n + 1);
        }
        // A valid one in 8 frames works.
        for (const part of fragments(OP.text, '{"type":"set_speed","value":50,"device_id":"nobody"}', 8)) peer.write(part);
        assert.equal((await peer.message((message) => message.original_type === 'set_speed' && message.code === 'no_robot')).type, 'error');
        for (const part of fragments(OP.text, '{"type":"set_speed","value":51,"device_id":"witness"}', 9)) peer.write(part);
        assert.ok(CLEAN.includes(await peer.closed()));
        // A frame of another kind, or a new message, in the middle of one.
        for (const second of [OP.text, OP.binary]) {
            const other = await cluster.raw(1);
            other.write(frame(OP.text, '{"type":', { fin: false }));
            other.write(frame(second, '"set_speed","value":52}'));
            assert.ok(CLEAN.includes(await other.closed()));
        }
        // A continuation of nothing.
        const lone = await cluster.raw(1);
        lone.write(frame(OP.more, '{"type":"set_speed","value":53}'));
        assert.ok(CLEAN.includes(await lone.closed()));
        await unharmed();
    });

    it('300 messages that are too large: too_large, then 1009', async () => {
        const { int } = random(4);
        for (let n = 0; n < 30; n++) {
            await Promise.all(Array.from({ length: 10 }, async (_, i) => {
                const isRobot = i % 2 === 1;
                const peer = isRobot ? await cluster.robot(1, `big_${i}`) : await cluster.website(1);
                const size = (isRobot ? 16384 : 4096) + 1 + int(20000);
                peer.send(isRobot
                    ? JSON.stringify({ type: 'telemetry', battery: 5, note: 'x'.repeat(size) })
                    : JSON.stringify({ type: 'robot_move', x: 1, y: 1, note: 'x'.repeat(size) }));
                assert.equal(await peer.closed(), 1009);
                assert.equal(peer.all('error').at(-1)?.code, 'too_large');
            }));
        }
        await unharmed();
    });

    it('frames that lie about their length', async () => {
        const cases = [2 ** 40, 2 ** 32, 2 ** 53 - 1, 10 ** 6, 528385].flatMap((declared) =>
            ['/ws/telemetry/', '/ws/telemetry/?device_id=liar'].map((target) => ({ declared, target })));
        for (const { declared, target } of cases) {
            const peer = await cluster.raw(1, target);
            peer.write(frame(OP.text, '{"type":"telemetry","x":"', { declared }));
            // It may wait for the rest within message_ms, but not take in more than the largest message.
            const chunk = Buffer.alloc(65536, 0x20);
            for (let i = 0; i < 12 && !peer.ended; i++) peer.write(chunk);
            const code = await peer.closed(5000);
            assert.ok(CLEAN.includes(code), `${declared} ${target}: ${code}`);
        }
        const top = await cluster.raw(1); // the top bit of a 64 bit length must be zero
        const bytes = frame(OP.text, '', { declared: 2 ** 40 });
        bytes[2] = 0xff;
        top.write(bytes);
        assert.ok(CLEAN.includes(await top.closed(4000)));
        await unharmed();
    });

    it('half a message: closed after message_ms, also when the peer then says nothing any more', async () => {
        const peers = [];
        for (const half of [
            frame(OP.text, '{"type":"set_speed"', { fin: false }), // no last fragment
            frame(OP.text, '{"type":', { declared: 100 }), // no last byte
        ])
            for (const mute of [false, true]) {
                const peer = await cluster.raw(1);
                peer.mute = mute;
                peer.write(half);
                peers.push(peer);
            }
        const at = performance.now();
        for (const peer of peers) {
            const code = await peer.closed(5000);
            assert.ok(CLEAN.includes(code), `closed with ${code}`);
        }
        assert.ok(performance.now() - at <= 4000);
        await unharmed();
    });

    it('a message that trickles: closed after message_ms', async () => {
        const peer = await cluster.raw(1);
        const text = frame(OP.text, '{"type":"set_speed","value":54,"device_id":"witness"}');
        const at = performance.now();
        for (let i = 0; i < text.length && !peer.ended; i++) {
            peer.write(text.subarray(i, i + 1));
            await pause(60);
        }
        assert.ok(CLEAN.includes(await peer.closed(3000)));
        assert.ok(performance.now() - at <= 5000);
        await unharmed();
    });

    it('frames against the standard: unmasked, reserved, bad UTF-8, bad control frames', async () => {
        const control = Buffer.alloc(126, 0x61);
        const cases = {
            unmasked: frame(OP.text, '{"type":"set_speed","value":155}', { mask: false }),
            rsv1: frame(OP.text, '{"type":"set_speed","value":55}', { rsv: 4 }),
            rsv3: frame(OP.text, '{"type":"set_speed","value":55}', { rsv: 1 }),
            'bad UTF-8': frame(OP.text, Buffer.from([0x7b, 0xff, 0xfe, 0x7d])),
            'cut UTF-8': frame(OP.text, Buffer.from([0x22, 0xe2, 0x82])),
            'overlong UTF-8': frame(OP.text, Buffer.from([0x22, 0xc0, 0x80, 0x22])),
            surrogate: frame(OP.text, Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])),
            'long ping': frame(OP.ping, control),
            'fragmented ping': frame(OP.ping, 'x', { fin: false }),
            'close with one byte': frame(OP.close, 'x'),
            'close with a forbidden code': frame(OP.close, Buffer.from([0x03, 0xed])), // 1005
            'close with bad UTF-8': frame(OP.close, Buffer.from([0x03, 0xe8, 0xff])),
            close: frame(OP.close, Buffer.from([0x03, 0xe8])),
        };
        for (const op of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) cases[`opcode ${op}`] = frame(op, '{"type":"set_speed","value":55}');
        for (const [name, bytes] of Object.entries(cases)) {
            const peer = await cluster.raw(1);
            await peer.message((message) => message.type === 'connection');
            peer.write(bytes);
            // An error answer is fine as well, as long as nothing goes through; then the connection still works or ends.
            const answer = await peer.message((message) => message.type === 'error', 4000);
            assert.ok(answer || peer.ended, name);
            if (answer) assert.ok(CODES.includes(answer.code), `${name}: ${JSON.stringify(answer)}`);
            assert.equal(peer.messages().filter((message) => message.type === 'ack').length, 0, name);
            peer.destroy();
        }
        await unharmed();
    });

    it('300 connections that send noise', async () => {
        const { bytes, int } = random(5);
        for (let round = 0; round < 15; round++)
            await Promise.all(Array.from({ length: 20 }, async (_, i) => {
                const peer = await RawPeer.dial(cluster.socketPath(1));
                // Noise before the handshake, or as frames after it.
                if (i % 2) {
                    peer.write(upgrade(`/ws/telemetry/${int(2) ? '?device_id=noise' : ''}`));
                    await peer.answered();
                }
                for (let n = 0; n < 4; n++) peer.write(bytes(1 + int(2000)));
                peer.socket.end();
                await peer.ending(8000);
                peer.destroy();
            }));
        await unharmed();
    });

    it('100 handshakes that make no sense', async () => {
        const heads = [
            'GET /ws/telemetry/ HTTP/1.1\r\n\r\n', 'POST /ws/telemetry/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000000\r\n\r\n',
            'GET /ws/telemetry/ HTTP/9.9\r\nHost: x\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '\0\0\0\0', '\r\n\r\n\r\n',
            `GET /ws/telemetry/${'x'.repeat(20000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
            `GET /ws/telemetry/ HTTP/1.1\r\n${'X-Y: z\r\n'.repeat(3000)}\r\n`,
            `GET /ws/telemetry/ HTTP/1.1\r\nHost: ${'x'.repeat(30000)}\r\n\r\n`,
            upgrade('/ws/telemetry/', { 'Sec-WebSocket-Version': '8' }), upgrade('/ws/telemetry/', { 'Sec-WebSocket-Key': '' }),
            upgrade('/ws/telemetry/', { 'Sec-WebSocket-Key': undefined }), upgrade('/ws/telemetry/', { Upgrade: 'h2c' }),
            upgrade('/ws/telemetry/', { Upgrade: undefined }), upgrade('/ws/telemetry/', { Connection: 'close' }),
            upgrade('/ws/telemetry/', { 'Sec-WebSocket-Protocol': 'x, '.repeat(500) }),
            upgrade('/ws/telemetry/', { 'Sec-WebSocket-Extensions': 'permessage-deflate; '.repeat(200) }),
            upgrade('/ws/telemetry/', { Upgrade: 'websocket, foo', Connection: 'keep-alive, Upgrade' }),
            upgrade('/ws/telemetry/', { 'Content-Length': '5' }), upgrade('/ws/telemetry/', { 'Transfer-Encoding': 'chunked' }),
        ];
        for (let round = 0; round < 5; round++)
            await Promise.all(heads.map(async (head) => {
                const peer = await RawPeer.dial(cluster.socketPath(1));
                peer.write(head);
                peer.socket.end();
                await peer.ending(8000).catch((error) => assert.fail(`${JSON.stringify(head.slice(0, 120))}: ${error.message}`));
                peer.destroy();
            }));
        await unharmed();
    });

    it('slow handshakes do not hold others up, and end', async () => {
        const slow = [];
        for (let i = 0; i < 50; i++) {
            const peer = await RawPeer.dial(cluster.socketPath(1));
            peer.write('GET /ws/telemetry/ HTTP/1.1\r\nHost: x\r\nX-Slow: ');
            slow.push(peer);
        }
        const at = performance.now();
        const other = await cluster.website(1);
        assert.equal((await other.ask({ type: 'set_speed', value: 56, device_id: 'nobody' })).code, 'no_robot');
        assert.ok(performance.now() - at < 1000);
        await other.leave();
        await Promise.all(slow.map((peer) => peer.ending(10000)));
        await unharmed();
    });

    it('a flood of pings is answered or closed, and bounded', async () => {
        const peer = await cluster.raw(1);
        const ping = frame(OP.ping, 'x'.repeat(100));
        peer.socket.pause();
        const block = Buffer.concat(Array.from({ length: 500 }, () => ping));
        for (let i = 0; i < 40; i++) peer.write(block);
        const other = await cluster.website(1);
        assert.equal((await other.ask({ type: 'set_speed', value: 57, device_id: 'nobody' })).code, 'no_robot');
        await other.leave();
        peer.destroy();
        await unharmed();
    });

    it('a website that never reads costs little, and is closed', async () => {
        const stuck = await Promise.all(Array.from({ length: 10 }, () => cluster.website(1)));
        for (const one of stuck) one.ws.pause();
        const before = cluster.relay(1).memory();
        const sender = await cluster.robot(1, 'talker');
        const data = 'QUJD'.repeat(10000);
        const end = performance.now() + 15000;
        let n = 0;
        // Telemetry would be stored, status is not.
        while (cluster.relay(1).openFiles() > baseline.files + 1 && performance.now() < end) {
            for (let i = 0; i < 20; i++) sender.send({ type: 'status', status: 'talk', message: 'x'.repeat(1000) });
            await sender.ask({ type: 'video_frame', frame_data: data, frame_number: ++n });
        }
        const grown = cluster.relay(1).memory() - before;
        assert.ok(grown < (SANITIZED ? 40 : 10) * 1024, `${grown} KiB more`);
        for (const one of stuck) {
            one.ws.resume();
            const code = await one.closed(4000);
            assert.ok(code === 4008 || code === 1006, `closed with ${code}`);
        }
        await sender.leave();
        const late = await cluster.website(2); // forget the frames in the witness website's history
        await late.leave();
        website.history.length = 0;
        await unharmed();
    });

    it('everything together left no trace in memory', async () => {
        const grown = cluster.relay(1).memory() - baseline.memory;
        console.log(`memory of the relay: ${baseline.memory} KiB before, ${grown} KiB more after`);
        assert.ok(grown < (SANITIZED ? 64 : 4) * 1024, `${grown} KiB more`);
    });
});

describe('floods, with limits on', () => {
    let cluster;
    before(async () => {
        cluster = await Cluster.start({ relays: 1, flags: ['--website-rate', '20', '--website-burst', '40', '--robot-rate', '50', '--robot-burst', '100'] });
    });
    after(() => cluster.stop());

    for (const [kind, connect, message] of [
        ['website', () => cluster.website(1), { type: 'set_speed', value: 5 }],
        ['robot', () => cluster.robot(1, 'flooder'), { type: 'status', status: 'x', message: 'y' }],
        ['website with rubbish', () => cluster.website(1), '{rubbish'],
    ])
        it(`a ${kind} gets rate_limited, and is closed when it goes on`, async () => {
            const peer = await connect();
            let sent = 0;
            const end = performance.now() + 20000;
            while (peer.open && performance.now() < end) {
                for (let i = 0; i < 50 && peer.open; i++, sent++) peer.send(message);
                await new Promise((resolve) => setImmediate(resolve));
            }
            const code = await peer.closed();
            assert.ok(peer.count({ type: 'error', code: 'rate_limited' }) > 0, `closed with ${code} after ${sent} messages`);
            assert.ok(CLEAN.includes(code) || code >= 4000, `closed with ${code}`);
        });

    it('a stick that comes to rest is heard, however much was sent before', async () => {
        const robot = await cluster.robot(1, 'robot_01');
        const website = await cluster.website(1);
        await website.sees(['robot_01']);
        for (const type of ['robot_move', 'camera_move']) {
            website.send({ type, x: 0.5, y: 0.5 });
            await robot.seen({ type, x: 0.5 });
        }
        await until(() => {
            for (let n = 1; n <= 10; n++) website.send({ type: 'set_speed', value: n });
            return website.count({ code: 'rate_limited' }) > 0;
        }, 5000, 'the limit is reached', 1);
        for (const type of ['robot_move', 'camera_move']) {
            website.send({ type, x: 0, y: 0 });
            await robot.seen({ type, x: 0, y: 0 }, 1000);
        }
        assert.ok(website.open);
    });
});
