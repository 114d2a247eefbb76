// Goal: deploy/stack brings the whole stack up and down, part by part too, beside another one, with a
// clear word when it cannot, and leaves nothing behind.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { Stack, sessionOf } from './lib/stack.mjs';
import { until } from './lib/wait.mjs';

const PARTS = ['redis', 'wsd-1', 'wsd-2', 'archiver', 'api', 'nginx', 'robot_01'];

const running = (output) => output.split('\n').filter((line) => / running \d+$/.test(line)).map((line) => line.split(' ')[0]);

describe('stack: part by part', () => {
    let stack;
    before(async () => {
        stack = await Stack.up();
    });
    after(() => stack.close());

    it('says of each part that it runs, and its process id', async () => {
        const { status, output } = await stack.verb('status');
        assert.equal(status, 0);
        assert.deepEqual(running(output), PARTS);
        for (const part of PARTS) {
            assert.match(output, new RegExp(`^${part} +running ${stack.pid(part)}$`, 'm'));
            assert.ok(fs.existsSync(`/proc/${stack.pid(part)}`));
        }
    });

    it('answers when up returns: dashboard, api, robot online', async () => {
        assert.equal((await stack.request('/')).status, 200);
        assert.equal((await stack.request('/readyz')).status, 200);
        assert.equal((await stack.request('/api/devices/robot_01')).json.online, true);
    });

    it('puts sockets, logs and the trace where they belong', () => {
        for (const name of ['redis.sock', 'wsd-1.sock', 'wsd-2.sock', 'api.sock'])
            assert.ok(fs.statSync(path.join(stack.dir, name)).isSocket(), name);
        for (const part of PARTS) assert.ok(fs.existsSync(path.join(stack.dir, 'log', `${part}.log`)), part);
        assert.ok(fs.existsSync(path.join(stack.dir, 'log', 'robot_01.trace')));
    });

    it('refuses to come up twice', async () => {
        const { status, output } = await stack.verb('up');
        assert.equal(status, 1);
        assert.match(output, /already up in .*redis wsd-1/);
        assert.equal((await stack.verb('status')).status, 0);
    });

    for (const part of PARTS) {
        it(`starts ${part} again after kill -9`, async () => {
            const pid = stack.pid(part);
            process.kill(pid, 'SIGKILL');
            await until(async () => !running((await stack.verb('status')).output).includes(part), 5000, `${part} is gone`);
            const started = await stack.verb('start', part);
            assert.equal(started.status, 0, started.output);
            assert.notEqual(stack.pid(part), pid);
            assert.deepEqual(sessionOf(pid), [], 'nothing of the old one is left');
            assert.deepEqual(running((await stack.verb('status')).output), PARTS);
            if (part !== 'redis') assert.equal((await stack.request('/readyz')).status, 200);
        });
    }

    it('stops and restarts one part', async () => {
        const pid = stack.pid('wsd-2');
        assert.equal((await stack.verb('stop', 'wsd-2')).status, 0);
        assert.equal(fs.existsSync(path.join(stack.dir, 'wsd-2.sock')), false);
        const { status, output } = await stack.verb('status');
        assert.equal(status, 1);
        assert.match(output, /^wsd-2 +stopped$/m);
        assert.equal((await stack.verb('restart', 'wsd-2')).status, 0);
        assert.notEqual(stack.pid('wsd-2'), pid);
        const again = await stack.verb('start', 'wsd-2');
        assert.equal(again.status, 0);
        assert.match(again.output, /already runs/);
    });

    it('never stops a process that has got the pid of a part', async () => {
        assert.equal((await stack.verb('stop', 'robot_01')).status, 0);
        fs.writeFileSync(path.join(stack.dir, 'pids', 'robot_01.pid'), `${process.pid}\n`);
        fs.writeFileSync(path.join(stack.dir, 'pids', '.robot_01.start'),
            `${fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} 1\n`);
        assert.equal((await stack.verb('stop', 'robot_01')).status, 0); // we are still here
        assert.equal((await stack.verb('start', 'robot_01')).status, 0);
    });

    it('names the parts when asked for an unknown one', async () => {
        const { status, output } = await stack.verb('start', 'wsd-3');
        assert.equal(status, 2);
        assert.match(output, /no part 'wsd-3' here; there are: redis wsd-1 wsd-2 archiver api nginx robot_01/);
    });

    it('follows the logs with the name of the part on each line', async () => {
        const logs = stack.spawn(['logs']);
        await until(() => /^redis +\| /m.test(logs.output) && /^wsd-1 +\| /m.test(logs.output), 5000, 'lines of both');
        logs.kill('SIGTERM');
        await logs.ended;
    });

    it('is down after down, and down again is no error', async () => {
        const pids = PARTS.map((part) => stack.pid(part));
        assert.equal((await stack.verb('down')).status, 0);
        assert.deepEqual(stack.leftovers(), []);
        for (const pid of pids) assert.deepEqual(sessionOf(pid), []);
        assert.ok(fs.existsSync(path.join(stack.dir, 'log', 'wsd-1.log')), 'logs stay');
        assert.equal((await stack.verb('down')).status, 0);
        const { status, output } = await stack.verb('status');
        assert.equal(status, 1);
        assert.deepEqual(running(output), []);
    });

    it('comes up again with other settings, and its Redis still has the samples', async () => {
        stack.env = { RELAYS: '1', ROBOTS: '2' };
        assert.equal((await stack.verb('up')).status, 0);
        assert.deepEqual(running((await stack.verb('status')).output), ['redis', 'wsd-1', 'archiver', 'api', 'nginx', 'robot_01', 'robot_02']);
        const before = (await stack.request('/api/telemetry?device_id=robot_01&limit=10000')).json.count;
        assert.ok(before >= 1);
    });
});

describe('stack: side by side', () => {
    it('runs twice, one below a directory with a blank in its name, and neither notices the other', async () => {
        const stacks = await Promise.all([Stack.up({ RELAYS: '1' }), Stack.up({ RELAYS: '1', ROBOTS: '2' }, 'second run')]);
        try {
            const counts = await Promise.all(stacks.map(async (stack) => (await stack.request('/api/devices')).json.items.length));
            assert.deepEqual(counts, [1, 2]);
            await stacks[0].close();
            assert.equal((await stacks[1].request('/readyz')).status, 200);
            assert.equal((await stacks[1].verb('status')).status, 0);
        } finally {
            await stacks[1].close();
        }
    });
});

describe('stack: in the foreground', () => {
    for (const signal of ['SIGINT', 'SIGTERM']) {
        it(`prints the addresses, follows the logs, and ${signal} stops all of it`, async () => {
            const stack = await Stack.prepare({ RELAYS: '1' });
            const run = stack.spawn(['run']);
            await until(() => /Ctrl-C/.test(run.output) && /^wsd-1 +\| /m.test(run.output), 30000, 'it runs');
            assert.match(run.output, new RegExp(`http://localhost:${stack.port}/ +https://localhost:${stack.tlsPort}/`));
            assert.equal((await stack.request('/readyz')).status, 200);
            run.kill(signal);
            assert.deepEqual(await run.ended.then(({ status }) => status), 0, run.output);
            assert.deepEqual(stack.leftovers(), []);
            await stack.close();
        });
    }
});

describe('stack: interrupted', () => {
    // At any moment: nothing may be left, whichever part was about to start.
    for (const seen of [/^/, /pids\/wsd-1/, /pids\/nginx/, /https:/]) {
        it(`leaves nothing when Ctrl-C comes at ${seen}`, async () => {
            const stack = await Stack.prepare({ RELAYS: '1' });
            const run = stack.spawn(['run']);
            const pids = () => (fs.existsSync(path.join(stack.dir, 'pids')) ? fs.readdirSync(path.join(stack.dir, 'pids')).map((name) => `pids/${name}`).join() : '');
            await until(() => seen.test(run.output + pids()), 30000, String(seen), 1);
            run.kill('SIGINT');
            await run.ended;
            assert.deepEqual(stack.leftovers(), [], run.output);
            await stack.close();
        });
    }
});

describe('stack: refusals', () => {
    let stack;
    before(async () => {
        stack = await Stack.prepare();
    });
    after(() => stack.close());

    const refused = async (env, message) => {
        stack.env = env;
        const { status, output } = await stack.verb('up');
        assert.notEqual(status, 0, output);
        assert.match(output, message);
        assert.deepEqual(stack.leftovers(), []);
        stack.env = {};
    };

    it('says which port is taken', async () => {
        const server = net.createServer().listen(stack.tlsPort, '127.0.0.1');
        await new Promise((resolve) => server.once('listening', resolve));
        await refused({}, new RegExp(`port ${stack.tlsPort} on 127.0.0.1 is taken`));
        server.close();
    });

    it('says what is not available yet', async () => {
        await refused({ AUTH: 'required' }, /AUTH=required is not available yet/);
        await refused({ CONTROL: 'nobody' }, /CONTROL=nobody: allowed is shared or exclusive/);
    });

    it('says what a setting may be', async () => {
        await refused({ PORT: '0' }, /PORT=0: allowed is a number from 1 to 65535/);
        await refused({ PORT: '8000; true' }, /PORT=8000; true: allowed is/);
        await refused({ RELAYS: '0' }, /RELAYS=0: allowed is a number from 1/);
        await refused({ ROBOTS: 'many' }, /ROBOTS=many: allowed is a number/);
        await refused({ LIMITS: 'none' }, /LIMITS=none: allowed is on or off/);
        await refused({ AUTH: 'yes' }, /AUTH=yes: allowed is open or required/);
        await refused({ TLS_PORT: String(stack.port) }, /are both/);
        await refused({ RUN_DIR: '/tmp/$HOME' }, /RUN_DIR has a character/);
        await refused({ RUN_DIR: `/tmp/${'x'.repeat(100)}` }, /unix socket's path may have 107 bytes/);
        await refused({ TELERELAY_BIN: '/nowhere' }, /telerelay-wsd is missing: build it first/);
    });

    it('stops what it has started, and shows the log, when a part does not come up', async () => {
        // A directory where the relay wants to put its socket.
        fs.mkdirSync(path.join(stack.dir, 'wsd-2.sock'), { recursive: true });
        fs.writeFileSync(path.join(stack.dir, 'wsd-2.sock', 'file'), '');
        await refused({}, /wsd-2 (ended at once|does not answer).* The end of .*wsd-2.log:\n {4}/s);
        fs.rmSync(path.join(stack.dir, 'wsd-2.sock'), { recursive: true });
    });
});
