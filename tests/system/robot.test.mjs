// Goal: telerelay-robot at the seam to its relay, which a plain WebSocket server plays here: it obeys,
// reports, comes back after every kind of loss, and its outputs rest whenever nobody asks for motion.
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { Proc, ROOT, freePort, pause, program, until, within } from './lib/harness.mjs';
import { Relay, atRest, dir, moving, ms, now, startRobot } from './lib/robot.mjs';

describe('robot: handshake', () => {
    it('names itself, sends no Origin and takes no extension although it is offered one', async () => {
        const relay = await Relay.listen();
        startRobot(relay.port, { id: 'robot.A-1_x' });
        const link = await relay.link();
        assert.equal(link.request.url, '/ws/telemetry/?device_id=robot.A-1_x');
        assert.equal(link.request.headers.host, `localhost:${relay.port}`);
        for (const header of ['origin', 'authorization', 'sec-websocket-extensions', 'sec-websocket-protocol'])
            assert.equal(link.request.headers[header], undefined, header);
        assert.match(relay.answers[0], /^HTTP\/1.1 101/);
        assert.doesNotMatch(relay.answers[0], /extensions/i);
        assert.equal(link.ws.extensions, '');
    });

    it('shows its token, read anew for each connection', async () => {
        const file = path.join(dir, 'token');
        fs.writeFileSync(file, 'first-token\n', { mode: 0o600 });
        const relay = await Relay.listen();
        const robot = startRobot(relay.port, { flags: ['--token-file', file] });
        assert.equal((await relay.link()).request.headers.authorization, 'Bearer first-token');
        fs.writeFileSync(file, 'second-token\n');
        relay.links[0].ws.close(1001);
        assert.equal((await relay.link(2)).request.headers.authorization, 'Bearer second-token');
        assert.doesNotMatch(robot.proc.log(), /(first|second)-token/);
    });

    it('says the HTTP status when it is refused, and tries again', async () => {
        const relay = await Relay.listen({ status: 401 });
        const robot = startRobot(relay.port);
        await until(() => relay.refused >= 2, 3000, 'a second attempt');
        await robot.says(/event=connect_failed .*status=401/);
    });
});

describe('robot: telemetry', () => {
    it('comes right after the greeting and then in its interval, with everything in range', async () => {
        const relay = await Relay.listen();
        const robot = startRobot(relay.port, { flags: ['--interval', '0.2', '--device-name', 'Stairs 1'] });
        const link = await relay.link();
        const [first] = await link.get('telemetry', 1, 500);
        const [status] = await link.get('status');
        assert.equal(status.status, 'ready');
        assert.equal(typeof status.message, 'string');
        assert.equal(first.device_id, 'robot_01');
        assert.equal(first.device_name, 'Stairs 1');
        for (const name of ['battery', 'cpu', 'signal']) {
            assert.ok(first[name] >= 0 && first[name] <= 100, name);
            assert.equal(first[name], Number(first[name].toFixed(1)), name);
        }
        assert.ok(first.temperature > 0 && first.temperature < 80);
        for (const name of ['x', 'y', 'heading', 'speed_mps']) assert.equal(typeof first[name], 'number', name);
        assert.ok(Math.abs(Date.parse(first.timestamp) - Date.now()) < 5000);
        const from = now();
        await link.get('telemetry', 6);
        assert.ok(ms(now() - from) > 500, 'not faster than the interval');
        await robot.says(/event=telemetry_sent msg="Telemetry sent: Battery=\d+\.\d%, CPU=\d+\.\d%, Temp=\d+\.\d°C, Signal=\d+\.\d%"/);
    });

    it('drains the battery and warms up while it drives', async () => {
        const relay = await Relay.listen();
        startRobot(relay.port, { flags: ['--interval', '0.2'] });
        const link = await relay.link();
        const [first] = await link.get('telemetry');
        for (let i = 0; i < 60; i++) {
            link.drive(0.1, 0.9);
            await pause(50);
        }
        const last = link.messages.filter(({ type }) => type === 'telemetry').at(-1);
        assert.ok(last.battery < first.battery, `battery ${first.battery} → ${last.battery}`);
        assert.ok(last.temperature > first.temperature, `temperature ${first.temperature} → ${last.temperature}`);
        assert.ok(last.speed_mps > 0.4);
    });

    it('logs what the relay refuses, and goes on', async () => {
        const relay = await Relay.listen();
        const robot = startRobot(relay.port, { flags: ['--interval', '0.1'] });
        const link = await relay.link();
        await link.get('telemetry');
        link.send({ type: 'error', error: 'Not stored', code: 'not_stored', original_type: 'telemetry' });
        await robot.says(/event=telemetry_refused code=not_stored/);
        await link.get('telemetry', link.messages.length + 2);
        assert.equal(relay.links.length, 1);
    });
});

describe('robot: SIGHUP', () => {
    it('takes a new interval from the file, and keeps its connection', async () => {
        const file = path.join(dir, 'telerelay.conf');
        fs.writeFileSync(file, '[robot]\ninterval = 60\n');
        const relay = await Relay.listen();
        const robot = startRobot(relay.port, { flags: ['--config', file] });
        const link = await relay.link();
        await link.get('telemetry');
        fs.writeFileSync(file, '[robot]\ninterval = 0.1\n');
        robot.proc.signal('SIGHUP');
        await robot.says(/event=reloaded/);
        await link.get('telemetry', 5);
        fs.writeFileSync(file, '[robot]\ninterval = soon\n');
        robot.proc.signal('SIGHUP');
        await robot.says(/event=reload_failed/);
        await link.get('telemetry', 10);
        assert.equal(relay.links.length, 1);
    });
});

describe('robot: commands', () => {
    it('obeys each and says so on one line each', async () => {
        const relay = await Relay.listen();
        const robot = startRobot(relay.port);
        const link = await relay.link();
        const from = now();
        link.drive(0.5, -0.3);
        link.send({ type: 'camera_move', x: -1, y: 0.25 });
        link.send({ type: 'set_speed', value: 60 });
        link.send({ type: 'set_brightness', value: 7 });
        link.send({ type: 'request_frame' });
        await robot.says(/msg="COMMAND: Robot move x=0\.5, y=-0\.3"/);
        await robot.says(/msg="COMMAND: Camera move x=-1, y=0\.25"/);
        await robot.says(/msg="COMMAND: Set speed to 60%"/);
        await robot.says(/msg="COMMAND: Set brightness to 7%"/);
        assert.equal((await link.get('status', 2))[1].status, 'no_camera');
        await robot.driveAfter(from, atRest);
        await until(() => robot.trace().at(-1).output === 'camera' && robot.trace().at(-1).pan === 0, 2000, 'camera at rest');
        const trace = robot.trace().map(({ t_ns, ...line }) => line);
        assert.deepEqual(trace.filter(({ output }) => output === 'drive'), [
            { output: 'drive', left: 0, right: 0, cause: 'start' },
            { output: 'drive', left: 0.2, right: -0.8, cause: 'command' },
            { output: 'drive', left: 0.12, right: -0.48, cause: 'command' },
            { output: 'drive', left: 0, right: 0, cause: 'deadman' },
        ].map((line) => line));
        assert.deepEqual(trace.filter(({ output }) => output === 'camera'), [
            { output: 'camera', pan: 0, tilt: 0, cause: 'start' },
            { output: 'camera', pan: -1, tilt: 0.25, cause: 'command' },
            { output: 'camera', pan: 0, tilt: 0, cause: 'deadman' },
        ]);
        assert.deepEqual(trace.filter(({ output }) => output === 'speed').map(({ value }) => value), [100, 60]);
        assert.deepEqual(trace.filter(({ output }) => output === 'brightness').map(({ value }) => value), [100, 7]);
        // No command was delivered twice (a compressed one used to come without end).
        assert.equal(robot.proc.log().match(/COMMAND: Robot move/g).length, 1);
    });

    it('takes a message in pieces, and ignores what is too large, malformed or binary', async () => {
        const relay = await Relay.listen();
        const robot = startRobot(relay.port);
        const link = await relay.link();
        const bad = [
            'nonsense', '', '[]', '{"type":"robot_move","x":"<b>","y":0}', '{"type":"robot_move","x":1e9,"y":0}',
            '{"type":"fly"}', `{"type":"robot_move","x":0,"y":1,"pad":"${'a'.repeat(17 * 1024)}"}`, '\u0000\u0001',
        ];
        for (const text of bad) link.send(text);
        link.ws.send(Buffer.from('{"type":"robot_move","x":0,"y":1}'), { binary: true });
        await robot.says(/event=message_ignored reason=invalid_json/);
        await robot.says(/event=message_ignored reason="too large"/);
        await robot.says(/event=message_ignored reason=binary/);
        assert.ok(robot.drive().every(atRest), 'nothing of that moved it');
        const pieces = ['{"type":"robot', '_move","x":0,', '"y":0.5', '}'];
        const from = now();
        pieces.forEach((piece, i) => link.ws.send(piece, { fin: i === pieces.length - 1 }));
        await robot.driveAfter(from, moving);
        const long = `{"type":"robot_move","x":0,"y":0.75,"pad":"${'a'.repeat(15 * 1024)}"}`;
        link.send(long);
        await robot.driveAfter(from, (line) => line.left === 0.75);
        assert.equal(relay.links.length, 1, 'still the first connection');
    });

    it('hangs up on a message without end, and keeps its log short under a flood', async () => {
        const relay = await Relay.listen();
        const robot = startRobot(relay.port);
        const link = await relay.link();
        for (let i = 0; i < 2000; i++) link.send('nonsense');
        link.send('a'.repeat(4 << 20));
        assert.equal(await within(link.closed, 4000, 'hung up'), 1009);
        await relay.link(2);
        assert.ok(robot.proc.log().match(/message_ignored/g).length <= 25);
    });
});

describe('robot: at rest when nobody asks for motion', () => {
    it('within 350 ms of the last command, over 20 cuts', async () => {
        const relay = await Relay.listen();
        const robot = startRobot(relay.port);
        const link = await relay.link();
        const took = [];
        for (let cut = 1; cut <= 20; cut++) {
            const from = now();
            for (let i = 1; i <= 4; i++) { // each differs from the one before, so that each has its line
                link.drive(cut / 100, i / 10);
                await pause(50);
            }
            const rest = await robot.driveAfter(from, atRest);
            const last = robot.drive().findLast((line) => line.t_ns < rest.t_ns);
            assert.equal(last.cause, 'command');
            assert.equal(rest.cause, 'deadman');
            took.push(ms(rest.t_ns - last.t_ns));
        }
        assert.ok(Math.min(...took) >= 300 && Math.max(...took) <= 350, `ms: ${took.map((t) => t.toFixed(1))}`);
    });

    it('at once when the relay is killed (-9), and back within 1 s of its return', async () => {
        const port = await freePort();
        const script = `
            import { WebSocketServer } from 'ws';
            new WebSocketServer({ port: ${port}, host: '127.0.0.1' }).on('connection', (ws) =>
                setInterval(() => ws.send('{"type":"robot_move","x":0,"y":1}'), 50));`;
        const child = spawn(process.execPath, ['--input-type=module', '-e', script],
            { cwd: path.dirname(new URL(import.meta.url).pathname), stdio: ['ignore', 'ignore', 'inherit'] });
        const gone = new Promise((resolve) => child.once('exit', resolve));
        try {
            const robot = startRobot(port);
            await robot.driveAfter(0, moving, 5000);
            await until(() => fs.statSync(robot.proc.logPath).size > 0, 1000, 'log');
            const killed = now();
            child.kill('SIGKILL');
            const rest = await robot.driveAfter(killed, atRest);
            assert.equal(rest.cause, 'link');
            assert.ok(ms(rest.t_ns - Number(killed)) < 150, `${ms(rest.t_ns - Number(killed))} ms`);
            await gone;
            await robot.says(/event=disconnected/);
            await robot.says(/event=connect_failed/); // it noticed that nobody listens
            const back = now();
            const relay = await Relay.listen({ port });
            const link = await relay.link(1, 3000);
            assert.ok(ms(link.at - back) < 1000, `${ms(link.at - back)} ms`);
            await link.get('telemetry');
            assert.ok(atRest(robot.drive().at(-1)), 'the old command does not live on');
        } finally {
            child.kill('SIGKILL');
        }
    });

    it('within 350 ms when the relay falls silent, and hangs up within 4 s', async () => {
        const relay = await Relay.listen();
        const robot = startRobot(relay.port);
        const link = await relay.link();
        await link.get('telemetry');
        link.drive(0, 1);
        await robot.driveAfter(0, moving);
        const silent = now();
        link.ws._socket.pause(); // takes nothing more, so it answers no ping; the kernel still acknowledges
        const rest = await robot.driveAfter(silent, atRest);
        assert.ok(ms(rest.t_ns - Number(silent)) <= 350);
        await robot.says(/event=disconnected reason="no pong for 3 s"/, 5000);
        assert.ok(ms(now() - silent) <= 4000, `${ms(now() - silent)} ms`);
        await relay.link(2);
    });

    it('when told to end: at rest first, close code 1001, exit 0 within 2 s', async () => {
        const relay = await Relay.listen();
        const robot = startRobot(relay.port);
        const link = await relay.link();
        link.drive(0, 1);
        await robot.driveAfter(0, moving);
        const told = now();
        const ended = await robot.proc.terminate(2000);
        assert.deepEqual(ended, { status: 0, signal: null });
        assert.equal(await within(link.closed, 1000, 'closed'), 1001);
        const last = robot.drive().at(-1);
        assert.ok(atRest(last) && last.cause === 'stop');
        assert.ok(ms(last.t_ns - Number(told)) < 100, `${ms(last.t_ns - Number(told))} ms`);
    });

    it('ends within 2 s as well while the relay is silent, or away', async () => {
        const relay = await Relay.listen();
        const silent = startRobot(relay.port);
        const link = await relay.link();
        await link.get('telemetry');
        link.ws._socket.pause();
        assert.deepEqual(await silent.proc.terminate(2000), { status: 0, signal: null });
        const away = startRobot(await freePort());
        await away.says(/event=connect_failed/);
        assert.deepEqual(await away.proc.terminate(2000), { status: 0, signal: null });
    });
});

describe('robot: watchdog', () => {
    // That it stops a robot whose main loop hangs is in tests/faults/dead_man.test.mjs.
    it('is at 170 ms unless told otherwise', async () => {
        const relay = await Relay.listen();
        await startRobot(relay.port).says(/event=started .* watchdog_ms=170 /);
        await startRobot(relay.port, { flags: ['--watchdog-ms', '400'] }).says(/event=started .* watchdog_ms=400 /);
        await startRobot(relay.port, { env: { TELERELAY_ROBOT_WATCHDOG_MS: '100' } }).says(/event=started .* watchdog_ms=100 /);
    });
});

describe('robot: real time', () => {
    it('is granted to the dead-man by the unit, after the filters that take it away', () => {
        const unit = fs.readFileSync(path.join(ROOT, 'deploy/systemd/telerelay-robot.service.in'), 'utf8');
        assert.match(unit, /^LimitRTPRIO=1$/m);
        assert.match(unit, /^RestrictRealtime=no$/m);
        const filters = [...unit.matchAll(/^SystemCallFilter=(.*)$/gm)].map(([, filter]) => filter);
        assert.equal(filters.at(-1), 'sched_setscheduler');
    });

    it('is taken where it may be, and done without where it may not', async (t) => {
        const without = ['setpriv', '--bounding-set=-all', '--inh-caps=-all'];
        if (spawnSync('chrt', ['-f', '1', ...without, 'true']).status !== 0) return t.skip('may not');
        const relay = await Relay.listen();
        await startRobot(relay.port).says(/event=started .* realtime=true/);
        await startRobot(relay.port, { within: without }).says(/event=started .* realtime=false/);
    });
});

describe('robot: connecting again', () => {
    it('after each loss, without a leak', async () => {
        const relay = await Relay.listen();
        const robot = startRobot(relay.port);
        let files;
        for (let n = 1; n <= 4; n++) {
            const link = await relay.link(n, 5000);
            await link.get('telemetry');
            if (n === 1) files = robot.proc.openFiles();
            if (n % 2) link.ws.terminate();
            else link.ws.close(1001, 'drain');
        }
        await (await relay.link(5, 6000)).get('telemetry');
        assert.ok(robot.proc.openFiles() <= files);
        assert.match(robot.proc.log(), /event=disconnected reason="closed by the relay" code=1001/);
        assert.match(robot.proc.log(), /event=disconnected reason="connection lost"/);
        assert.match(robot.proc.log(), /event=reconnecting in_ms=/);
    });

    it('waits at least 5 s when a newer connection took its place', async () => {
        const relay = await Relay.listen();
        const robot = startRobot(relay.port);
        const link = await relay.link();
        link.drive(0, 1);
        await robot.driveAfter(0, moving);
        const replaced = now();
        link.ws.close(4001, 'replaced');
        const rest = await robot.driveAfter(replaced, atRest);
        assert.equal(rest.cause, 'link');
        await robot.says(/event=replaced .*second robot/);
        const again = await relay.link(2, 8000);
        const waited = ms(again.at - replaced);
        assert.ok(waited >= 5000 && waited < 6500, `${waited} ms`);
    });

    it('gives up on a relay that never answers the handshake after 2 s', async () => {
        const server = http.createServer();
        const sockets = [];
        server.on('connection', (socket) => sockets.push(socket.pause()));
        server.listen(0, '127.0.0.1');
        await new Promise((resolve) => server.once('listening', resolve));
        try {
            const robot = startRobot(server.address().port);
            await robot.says(/event=connect_failed reason="no answer within 2 s"/, 4000);
            await until(() => sockets.length >= 2, 2000, 'a second attempt');
        } finally {
            for (const socket of sockets) socket.destroy();
            server.close();
        }
    });
});

describe('robot: TLS', () => {
    const make = (name, subjectAltName) => {
        const file = (kind) => path.join(dir, `${name}.${kind}`);
        execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
            '-subj', `/CN=${name}`, '-addext', `subjectAltName=${subjectAltName}`, '-keyout', file('key'), '-out', file('pem')], { stdio: 'ignore' });
        return { ca: file('pem'), tls: { key: fs.readFileSync(file('key')), cert: fs.readFileSync(file('pem')) } };
    };

    for (const host of ['localhost', '127.0.0.1'])
        it(`trusts the authority it is given, for ${host}`, async () => {
            const { ca, tls } = make(`good-${host}`, 'DNS:localhost,IP:127.0.0.1');
            const relay = await Relay.listen({ tls });
            const robot = startRobot(relay.port, { scheme: 'wss', host, flags: ['--ca', ca] });
            const link = await relay.link();
            assert.ok(link.request.socket.encrypted);
            link.drive(0, 1);
            await robot.driveAfter(0, moving);
            await link.get('telemetry');
        });

    it('trusts nobody else: not an unknown authority, not another name', async () => {
        const { tls } = make('unknown', 'DNS:localhost');
        const other = make('other', 'DNS:other.example');
        const unknownRelay = await Relay.listen({ tls });
        const otherRelay = await Relay.listen({ tls: other.tls });
        const first = startRobot(unknownRelay.port, { scheme: 'wss' });
        const second = startRobot(unknownRelay.port, { scheme: 'wss', flags: ['--ca', other.ca] });
        const third = startRobot(otherRelay.port, { scheme: 'wss', flags: ['--ca', other.ca] });
        for (const robot of [first, second, third]) await robot.says(/(event=connect_failed[^]*){2}/, 6000);
        assert.equal(unknownRelay.links.length + otherRelay.links.length, 0);
        assert.match(third.proc.log(), /hostname mismatch/i);
    });
});

describe('robot: bad usage', () => {
    const run = (...flags) => {
        const proc = new Proc('robot', program('telerelay-robot'), flags, { log: path.join(dir, `usage${now()}`) });
        return within(proc.exited, 3000, 'exit').then(({ status }) => ({ status, log: proc.log() }));
    };

    it('exits with 2 for a wrong flag or URL, 1 for a file that it cannot use', async () => {
        assert.equal((await run('--no-such-flag')).status, 2);
        assert.equal((await run('--url', 'http://localhost/')).status, 2);
        assert.equal((await run('--url', 'ws://localhost/?device_id=robot_02')).status, 2);
        assert.equal((await run('--device-id', 'a b')).status, 2);
        assert.equal((await run('--deadman-ms', '0')).status, 2);
        for (const ms of ['99', '5001']) {
            const { status, log } = await run('--watchdog-ms', ms);
            assert.equal(status, 2);
            assert.match(log, /watchdog-ms.* 100 to 5000/);
        }
        for (const [flag, file] of [['--trace', '/nonexistent/trace'], ['--token-file', '/nonexistent/token'], ['--ca', '/nonexistent/ca.pem']]) {
            const { status, log } = await run(flag, file);
            assert.equal(status, 1, log);
            assert.match(log, new RegExp(file));
        }
        const noPem = path.join(dir, 'no.pem');
        fs.writeFileSync(noPem, 'not a certificate\n');
        assert.equal((await run('--ca', noPem)).status, 1);
    });
});
