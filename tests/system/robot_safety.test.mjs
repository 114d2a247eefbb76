// Goal: telerelay-robot does nothing that is stale, stopped, doubled or from before, says of each command what became of it,
// and is still stopped after kill -9, on a full disk and with a broken file.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { Proc, Stack, pause, program, until, within } from './lib/harness.mjs';
import { Relay, atRest, dir, moving, ms, now, startRobot } from './lib/robot.mjs';

let spools = 0;
const newSpool = () => path.join(dir, `spool${(spools += 1)}`);
const forward = (fields) => ({ type: 'robot_move', x: 0, y: 1, ...fields });
const pick = ({ status, reason }) => (reason ? `${status} ${reason}` : status);
const state = async (link, count = 1) => (await link.get('stop_state', count)).at(-1);
// The trace has a thread of its own and may come after the answer.
const endsAtRest = (robot) => until(() => atRest(robot.drive().at(-1)), 1000, 'at rest');

// A robot with its connection, once the first heartbeat is there.
async function start({ flags = [], spool = newSpool(), relay, n = 1, ...options } = {}) {
    relay ??= await Relay.listen();
    const robot = startRobot(relay.port, { flags: ['--spool', spool, ...flags], ...options });
    const link = await relay.link(n, 5000);
    await link.get('heartbeat');
    return { relay, robot, link, spool };
}

describe('robot: heartbeats', () => {
    it('come at once and then five times a second, in one row, each run in another', async () => {
        const { relay, robot, link } = await start();
        assert.equal(link.messages[0].type, 'stop_state');
        assert.deepEqual(link.messages[0], { type: 'stop_state', stopped: false });
        const from = now();
        const beats = (await link.get('heartbeat', 11)).map(({ hb }) => hb);
        assert.ok(ms(now() - from) > 1700 && ms(now() - from) < 2500, `${ms(now() - from)} ms for ten`);
        beats.forEach((hb, i) => assert.equal(hb, beats[0] + i));
        assert.ok(Number.isSafeInteger(beats[0]));
        link.ws.terminate();
        const [again] = await (await relay.link(2)).get('heartbeat');
        assert.ok(again.hb > beats.at(-1) && again.hb < beats.at(-1) + 10, 'goes on where it was');
        await robot.proc.terminate();
        const other = await start();
        const [{ hb }] = await other.link.get('heartbeat');
        assert.ok(Math.abs(hb - beats[0]) > 1e6, 'a new row');
    });
});

describe('robot: what became of a command', () => {
    it('is told: applied, old, epoch, hb, out_of_range', async () => {
        const { robot, link } = await start();
        const applied = await link.order(forward({ seq: 100, epoch: 5 }));
        assert.deepEqual(applied, { type: 'ack', id: applied.id, seq: 100, status: 'applied' });
        await robot.driveAfter(0, moving);
        assert.equal(pick(await link.order(forward({ seq: 100, epoch: 5, y: 0.5 }))), 'rejected old');
        assert.equal(pick(await link.order(forward({ seq: 99, epoch: 5, y: 0.5 }))), 'rejected old');
        assert.equal(pick(await link.order(forward({ seq: 101, epoch: 4, y: 0.5 }))), 'rejected epoch');
        assert.equal(pick(await link.order(forward({ seq: 101, epoch: 5, y: 0.5, hb: 1 }))), 'expired hb');
        assert.equal(pick(await link.order(forward({ seq: 102, epoch: 5, y: 0.5, relay_hb: 1 }))), 'expired hb');
        assert.equal(pick(await link.order(forward({ seq: 103, y: 7 }))), 'rejected out_of_range');
        assert.equal(pick(await link.order({ type: 'set_speed', value: 60, seq: 104, hb: 1 })), 'applied');
        assert.equal(pick(await link.order({ type: 'set_speed', value: 70, seq: 104 })), 'rejected old');
        assert.equal(pick(await link.order({ type: 'set_speed', value: 70, seq: 105, relay_hb: 1 })), 'expired hb');
        assert.equal(pick(await link.order({ type: 'request_frame', seq: 105 })), 'rejected no_camera');
        await robot.driveAfter(0, ({ left }) => left === 0.6);
        assert.deepEqual(robot.drive().filter(({ cause }) => cause === 'command').map(({ left }) => left), [1, 0.6]);
        assert.equal(pick(await link.order(forward({ seq: 3, epoch: 6, y: 0.5 }))), 'applied'); // begins anew
        assert.equal(pick(await link.order(forward({ seq: 200, epoch: 5, y: 0.1 }))), 'rejected epoch');
        assert.equal(pick(await link.order(forward({ seq: 200, epoch: 5, y: 0 }))), 'rejected epoch');
        const answered = link.messages.filter(({ type }) => type === 'ack').length;
        link.drive(0, 0.25); // no id, no answer
        await robot.driveAfter(0, ({ left }) => left === 0.15);
        assert.equal(link.messages.filter(({ type }) => type === 'ack').length, answered);
    });

    it('can insist on heartbeats', async () => {
        const { link } = await start({ flags: ['--require-fresh', 'yes'] });
        assert.equal(pick(await link.order(forward({ seq: 1, hb: null }))), 'expired no_hb');
        assert.equal(pick(await link.order(forward({ seq: 2 }))), 'applied');
        assert.equal(pick(await link.order(forward({ seq: 3, hb: null, y: 0 }))), 'applied');
    });

    it('of copies and what was overtaken only the newest is done, over 500 in random order', async () => {
        const { robot, link } = await start();
        let random = 42;
        const chance = (n) => (random = (random * 1103515245 + 12345) % 2147483648) % n;
        const sent = [];
        for (let i = 0; i < 500; i++) {
            const seq = i + 10 - chance(5);
            sent.push({ seq, y: (seq % 100) / 100, answer: link.order(forward({ seq, y: (seq % 100) / 100 })) });
        }
        let last = -1;
        for (const { seq, answer } of sent) {
            const want = seq > last ? 'applied' : 'rejected old';
            assert.equal(pick(await answer), want, `seq ${seq} after ${last}`);
            last = Math.max(last, seq);
        }
        const done = robot.drive().filter(({ cause }) => cause === 'command').length;
        assert.ok(done > 100 && done < 500, `${done}`);
    });
});

describe('robot: stop', () => {
    it('goes before everything, holds, and needs a newer re-arm and a new command', async () => {
        const { robot, link, spool } = await start();
        for (let seq = 1; seq <= 5; seq++) link.order(forward({ seq, y: seq / 10 }));
        await robot.driveAfter(0, ({ left }) => left === 0.5);
        const told = now();
        const answer = link.order({ type: 'stop', by: 'guest-ab12cd', seq: 10, timestamp: '2026-01-15T10:30:45.123456Z' });
        const rest = await robot.driveAfter(told, atRest);
        assert.equal(rest.cause, 'stop');
        assert.ok(ms(rest.t_ns - Number(told)) < 100, `${ms(rest.t_ns - Number(told))} ms`);
        assert.deepEqual(await state(link, 2), { type: 'stop_state', stopped: true, seq: 10, by: 'guest-ab12cd' });
        assert.equal(pick(await answer), 'applied');
        assert.equal(JSON.parse(fs.readFileSync(path.join(spool, 'stop.json'), 'utf8')).stopped, true);
        await robot.says(/msg="COMMAND: Stop" by=guest-ab12cd/);
        assert.equal(pick(await link.order(forward({ seq: 11 }))), 'rejected stopped');
        assert.equal(pick(await link.order({ type: 'camera_move', x: 1, y: 1, seq: 12 })), 'rejected stopped');
        assert.equal(pick(await link.order({ type: 'set_brightness', value: 5, seq: 13 })), 'applied');
        assert.equal(pick(await link.order({ type: 'rearm', by: 'guest-2', seq: 10 })), 'rejected old');
        assert.equal((await state(link, 3)).stopped, true);
        assert.equal(pick(await link.order({ type: 'rearm', by: 'guest-2', seq: 20 })), 'applied');
        assert.deepEqual(await state(link, 4), { type: 'stop_state', stopped: false, seq: 20, by: 'guest-2' });
        await robot.says(/msg="COMMAND: Re-arm" by=guest-2/);
        assert.equal(pick(await link.order(forward({ seq: 11 }))), 'rejected old');
        assert.equal(pick(await link.order(forward({ seq: 19 }))), 'rejected old'); // given before the re-arm
        assert.ok(robot.drive().filter(({ t_ns }) => t_ns > Number(told)).every(atRest));
        const anew = now();
        assert.equal(pick(await link.order(forward({ seq: 21 }))), 'applied');
        await robot.driveAfter(anew, moving);
        assert.equal(pick(await link.order({ type: 'stop', seq: 15 })), 'applied'); // overtaken by the re-arm, but a stop
        assert.deepEqual(await state(link, 5), { type: 'stop_state', stopped: true, seq: 21 });
        await endsAtRest(robot);
    });

    it('outlives kill -9 once it has been answered, ten times', async () => {
        const relay = await Relay.listen();
        const spool = newSpool();
        let n = 0;
        for (let round = 1; round <= 10; round++) {
            const stopped = await start({ relay, spool, n: (n += 1) });
            stopped.link.drive(0, 1);
            await stopped.robot.driveAfter(0, moving);
            stopped.link.send({ type: 'stop', by: 'me', seq: 10 * round });
            await until(() => stopped.link.messages.some((m) => m.type === 'stop_state' && m.stopped), 3000, 'stopped');
            await stopped.robot.kill();
            const { robot, link } = await start({ relay, spool, n: (n += 1) });
            assert.deepEqual(link.messages[0], { type: 'stop_state', stopped: true, seq: 10 * round, by: 'me' });
            assert.match(robot.proc.log(), /event=started .*stopped=true/);
            assert.equal(pick(await link.order(forward({ seq: 10 * round + 1 }))), 'rejected stopped');
            assert.equal(pick(await link.order({ type: 'rearm', seq: 10 * round })), 'rejected old');
            assert.equal(pick(await link.order({ type: 'rearm', seq: 10 * round + 5 })), 'applied');
            assert.ok(robot.drive().every(atRest));
            await robot.kill();
        }
        const { link, robot } = await start({ relay, spool, n: n + 1 });
        assert.deepEqual(link.messages[0], { type: 'stop_state', stopped: false, seq: 105 });
        assert.equal(pick(await link.order(forward({ seq: 104 }))), 'rejected old');
        assert.equal(pick(await link.order(forward({ seq: 106 }))), 'applied');
        await robot.driveAfter(0, moving);
    });

    it('counts a broken file as stopped, until somebody re-arms', async () => {
        for (const text of ['', '{"type":"stop_state","stopped":fal', '\u0000'.repeat(100)]) {
            const spool = newSpool();
            fs.mkdirSync(spool);
            fs.writeFileSync(path.join(spool, 'stop.json'), text);
            const { robot, link } = await start({ spool });
            assert.deepEqual(link.messages[0], { type: 'stop_state', stopped: true });
            await robot.says(/event=latch_unreadable .*counts as stopped/);
            assert.equal(pick(await link.order(forward({ seq: 1 }))), 'rejected stopped');
            assert.equal(pick(await link.order({ type: 'rearm', seq: 2 })), 'applied');
            assert.equal(pick(await link.order(forward({ seq: 3 }))), 'applied');
        }
    });

    it('warns without a spool, and does not start with one that it cannot use', async () => {
        const relay = await Relay.listen();
        const robot = startRobot(relay.port);
        await robot.says(/event=no_spool/);
        const link = await relay.link();
        assert.equal(pick(await link.order({ type: 'stop', seq: 1 })), 'applied');
        const file = path.join(dir, 'a-file');
        fs.writeFileSync(file, '');
        for (const spool of [file, path.join(dir, 'no', 'such'), path.join(file, 'x')]) {
            const proc = new Proc('robot', program('telerelay-robot'), ['--spool', spool], { log: path.join(dir, `bad${now()}`) });
            assert.equal((await within(proc.exited, 3000, 'exit')).status, 1);
            assert.match(proc.log(), new RegExp(`event=start_failed part=spool reason="${spool}: `));
        }
    });

    it('is one robot\'s alone: a second one does not start with its directory, until the first is gone', async () => {
        const { relay, robot, link, spool } = await start();
        const second = new Proc('robot', program('telerelay-robot'), ['--spool', spool], { log: path.join(dir, `second${now()}`) });
        assert.equal((await within(second.exited, 3000, 'exit')).status, 1);
        assert.match(second.log(), new RegExp(`event=start_failed part=spool reason="${spool}: is in use by another robot`));
        assert.equal(pick(await link.order({ type: 'stop', by: 'me', seq: 7 })), 'applied');
        await robot.kill();
        const { link: again } = await start({ relay, spool, n: 2 });
        assert.deepEqual(again.messages[0], { type: 'stop_state', stopped: true, seq: 7, by: 'me' });
    });

    it('is obeyed and answered when its directory goes away, and stored once it is back', async () => {
        const { robot, link, spool } = await start();
        fs.rmSync(spool, { recursive: true });
        link.drive(0, 1);
        await robot.driveAfter(0, moving);
        assert.equal(pick(await link.order({ type: 'stop', by: 'me', seq: 7 })), 'applied');
        await endsAtRest(robot);
        await robot.says(/event=latch_not_stored .*No such file/);
        fs.mkdirSync(spool);
        await until(() => fs.existsSync(path.join(spool, 'stop.json')), 8000, 'the latch');
        assert.match(fs.readFileSync(path.join(spool, 'stop.json'), 'utf8'), /"stopped":true,"seq":7,"by":"me"/);
    });

    it('is forgotten with the program when nothing could be written, as its log says: then only Redis has it', async () => {
        const { relay, robot, link, spool } = await start();
        fs.rmSync(spool, { recursive: true });
        assert.equal(pick(await link.order({ type: 'stop', by: 'me', seq: 7 })), 'applied');
        await robot.says(/event=latch_not_stored .*stopped=true/);
        await robot.kill();
        const again = await start({ relay, spool, n: 2 });
        assert.deepEqual(again.link.messages[0], { type: 'stop_state', stopped: false });
        assert.ok(again.robot.drive().every(atRest));
    });

    it('outlives kill -9 on a full disk', async (t) => {
        const spool = newSpool();
        fs.mkdirSync(spool);
        const own = process.getuid() === 0 ? [] : ['--map-root-user'];
        const fill = `mount -t tmpfs -o size=16k none ${spool} && head -c 1M /dev/zero >${spool}/fill; echo full; exec sleep 120`;
        if (spawnSync('unshare', ['-m', ...own, 'mount', '-t', 'tmpfs', 'none', spool]).status !== 0) return t.skip('may not mount');
        const disk = new Proc('disk', 'unshare', ['-m', ...own, 'sh', '-c', fill], { log: path.join(dir, 'disk.log') });
        try {
            await until(() => /full/.test(disk.log()), 3000, 'a full disk');
            const inside = ['nsenter', '-t', `${disk.pid}`, '-m', ...(own.length ? ['-U', '--preserve-credentials'] : [])];
            const relay = await Relay.listen();
            const first = await start({ relay, spool, within: inside });
            assert.equal(pick(await first.link.order({ type: 'stop', by: 'me', seq: 7 })), 'applied');
            await first.robot.says(/event=latch_not_stored .*No space left/);
            await first.robot.kill();
            const { link, robot } = await start({ relay, spool, n: 2, within: inside });
            assert.deepEqual(link.messages[0], { type: 'stop_state', stopped: true });
            assert.equal(pick(await link.order(forward({ seq: 9 }))), 'rejected stopped');
            fs.rmSync(`/proc/${disk.pid}/root${spool}/fill`);
            assert.equal(pick(await link.order({ type: 'rearm', seq: 10 })), 'applied');
            await robot.kill();
            const again = await start({ relay, spool, n: 3, within: inside });
            assert.deepEqual(again.link.messages[0], { type: 'stop_state', stopped: false, seq: 10 });
        } finally {
            await disk.kill();
        }
    });
});

describe('robot: nothing from before', () => {
    // Everything between relay and robot passes here; while it is held, nothing does.
    async function strait(port) {
        const sockets = new Set();
        const server = net.createServer((near) => {
            const far = net.connect(port, '127.0.0.1');
            for (const [from, to] of [[near, far], [far, near]]) {
                sockets.add(from);
                from.on('data', (data) => to.write(data));
                from.on('close', () => to.destroy());
                from.on('error', () => {});
            }
        });
        server.listen(0, '127.0.0.1');
        await within(new Promise((resolve) => server.once('listening', resolve)), 2000, 'listening');
        return {
            port: server.address().port,
            hold: () => sockets.forEach((socket) => socket.pause()),
            release: () => sockets.forEach((socket) => socket.resume()),
            close: () => { sockets.forEach((socket) => socket.destroy()); server.close(); },
        };
    }

    const allExpired = async (answers) => {
        for (const answer of answers) assert.equal(pick(await answer), 'expired hb');
    };

    it('after a stall of the network: a burst of 800 moves, none done, each answered', async () => {
        const relay = await Relay.listen();
        const between = await strait(relay.port);
        try {
            const robot = startRobot(between.port, { flags: ['--spool', newSpool()] });
            const link = await relay.link();
            await link.get('heartbeat', 3);
            let seq = 1768473045123456;
            assert.equal(pick(await link.order(forward({ seq }))), 'applied');
            await robot.driveAfter(0, moving);
            const held = now();
            between.hold();
            const answers = [];
            const { hb } = link.messages.findLast(({ type }) => type === 'heartbeat');
            for (let i = 0; i < 800; i++) { // as long as they come: all answers together are more than the robot queues
                const id = randomUUID();
                answers.push(link.answer(id));
                link.send(forward({ id, seq: (seq += 1), y: 0.5, hb, relay_hb: hb }));
                if (i % 20 === 0) await pause(20);
            }
            answers.forEach((answer) => answer.catch(() => {}));
            const rest = await robot.driveAfter(held, atRest);
            assert.ok(ms(rest.t_ns - Number(held)) <= 350);
            assert.ok(ms(now() - held) > 700);
            between.release();
            await allExpired(answers);
            assert.ok(robot.drive().filter(({ t_ns }) => t_ns > Number(held)).every(atRest), 'none of them was done');
            await link.get('heartbeat', link.messages.filter(({ type }) => type === 'heartbeat').length + 1);
            assert.equal(pick(await link.order(forward({ seq: (seq += 1) }))), 'applied'); // and who drives now, drives
            assert.equal(relay.links.length, 1);
        } finally {
            between.close();
        }
    });

    it('after SIGSTOP and SIGCONT of the robot itself: none of what waited', async () => {
        const { robot, link } = await start();
        for (let seq = 1; seq <= 3; seq++) await link.order(forward({ seq, y: seq / 10 }));
        robot.proc.signal('SIGSTOP');
        const answers = [];
        const from = now();
        for (let seq = 4; ms(now() - from) < 1500; seq++) {
            answers.push(link.order(forward({ seq, y: 0.5 + (seq % 10) / 100 })));
            await pause(20);
        }
        const resumed = now();
        robot.proc.signal('SIGCONT');
        await allExpired(answers);
        await endsAtRest(robot);
        const after = robot.drive().filter(({ t_ns }) => t_ns > Number(from));
        assert.ok(after.length === 1 && atRest(after[0]), JSON.stringify(after));
        assert.ok(ms(after[0].t_ns - Number(resumed)) < 100);
        await link.get('heartbeat', link.messages.filter(({ type }) => type === 'heartbeat').length + 1);
        assert.equal(pick(await link.order(forward({ seq: 1000 }))), 'applied');
    });

    it('after a new connection: not the motion, not a heartbeat, not a number', async () => {
        const { relay, robot, link } = await start();
        assert.equal(pick(await link.order(forward({ seq: 50, epoch: 3 }))), 'applied');
        const { hb } = link.messages.findLast(({ type }) => type === 'heartbeat');
        const lost = now();
        link.ws.terminate();
        const again = await relay.link(2);
        await again.get('heartbeat');
        assert.equal(pick(await again.order(forward({ seq: 51, epoch: 3, hb }))), 'expired hb');
        assert.equal(pick(await again.order(forward({ seq: 50, epoch: 3 }))), 'rejected old');
        assert.equal(pick(await again.order(forward({ seq: 60, epoch: 2 }))), 'rejected epoch');
        assert.equal(pick(await again.order({ type: 'set_speed', value: 30, seq: 51, relay_hb: hb })), 'expired hb');
        assert.equal(pick(await again.order({ type: 'set_brightness', value: 30, seq: 51, relay_hb: hb })), 'expired hb');
        await endsAtRest(robot);
        const after = robot.drive().filter(({ t_ns }) => t_ns > Number(lost));
        assert.ok(after.length === 1 && after[0].cause === 'link' && atRest(after[0]), JSON.stringify(after));
        assert.equal(pick(await again.order(forward({ seq: 61, epoch: 3 }))), 'applied');
    });
});

describe('robot: the whole stack', () => {
    it('a robot that was stopped from a browser is still stopped after kill -9, and drives after a re-arm', async () => {
        const stack = await Stack.start({ relays: 2, robots: 1 });
        try {
            const website = await stack.website();
            const drives = () => stack.log('robot_01.trace').split('\n').filter(Boolean).map((line) => JSON.parse(line)).filter(({ output }) => output === 'drive');
            const told = (id) => website.seen({ type: 'ack', id, device_id: 'robot_01' }, 5000);
            website.send(forward({ id: 'go', device_id: 'robot_01' }));
            assert.equal((await told('go')).status, 'applied');
            website.send({ type: 'stop', id: 'stop', device_id: 'robot_01' });
            await website.seen({ type: 'stop_state', device_id: 'robot_01', stopped: true, confirmed: true }, 5000);
            stack.signal('robot_01', 'SIGKILL');
            await website.seen({ type: 'connection', device_id: 'robot_01', status: 'disconnected' }, 6000);
            assert.equal((await stack.run('start', 'robot_01')).status, 0);
            assert.match(stack.log('robot_01.log'), /event=starts_stopped/);
            const from = now();
            website.send(forward({ id: 'no', device_id: 'robot_01' }));
            assert.equal((await website.seen({ type: 'error', id: 'no' }, 5000)).code, 'stopped');
            website.send({ type: 'rearm', id: 'rearm', device_id: 'robot_01' });
            await website.seen({ type: 'stop_state', device_id: 'robot_01', stopped: false, confirmed: true }, 5000);
            assert.ok(drives().filter(({ t_ns }) => t_ns > Number(from)).every(atRest));
            website.send(forward({ id: 'again', device_id: 'robot_01' }));
            assert.equal((await told('again')).status, 'applied');
            await until(() => drives().some((line) => line.t_ns > Number(from) && moving(line)), 2000, 'motion');
        } finally {
            await stack.stop();
        }
    });
});
