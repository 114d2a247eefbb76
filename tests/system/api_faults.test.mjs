// telerelay-api when something goes away: Redis, a worker, or the program itself.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { ApiRig, assertProblem } from './lib/api.mjs';
import { until, within } from './lib/wait.mjs';

const T = 1768473045123; // 2026-01-15T10:30:45.123Z

let rig;
before(async () => {
    rig = await ApiRig.start();
});
after(() => rig?.stop());

describe('Redis away', () => {
    it('503 with Retry-After, live all the while, and back by itself', async () => {
        await rig.redis.call('FLUSHALL');
        await rig.add('r', `${T}-0`);
        await rig.redis.call('ZADD', 'tr:relays', Date.now() + 600000, 'wsd-1#aa');
        for (let i = 0; i < 12; i++) await rig.ok('/api/telemetry?device_id=r'); // every worker has a connection
        await rig.redisPart.stop('SIGKILL');
        rig.redis.close();
        for (const target of ['/api/telemetry?device_id=r', '/api/telemetry?device_id=r,s', '/api/commands?device_id=r',
            '/api/events', '/api/devices', '/api/devices/r', '/api/battery-history/']) {
            const answer = await rig.ask(target);
            assertProblem(answer, 503);
            assert.equal(answer.headers['retry-after'], '1');
        }
        assert.equal((await rig.ok('/livez')).text, 'ok\n');
        const ready = await rig.ask('/readyz?verbose');
        assert.equal(ready.status, 503);
        assert.match(ready.text, /^\[-\]redis failed: connect: .+\n\[-\]relays failed: unknown without redis\n\[\+\]archive not configured\n$/);
        assert.match((await rig.ok('/metrics')).text, /^telerelay_api_redis_up 0$/m);
        await rig.startRedis();
        for (let i = 0; i < 12; i++) assert.equal((await rig.ok('/api/telemetry?device_id=r')).json.count, 1);
        assert.equal((await rig.ok('/readyz')).status, 200);
        assert.ok((rig.api.log.match(/event=redis_away/g) ?? []).length <= 4, 'said once per worker');
    });

    it('a connection that died idle costs no request', async () => {
        for (let i = 0; i < 8; i++) await rig.ok('/api/devices');
        await rig.redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
        for (let i = 0; i < 8; i++) await rig.ok('/api/devices');
    });

    it('a Redis that hangs is a 503 within the deadline', async () => {
        process.kill(rig.redisPart.pid, 'SIGSTOP');
        try {
            const begun = performance.now();
            assertProblem(await rig.ask('/api/devices'), 503);
            assert.ok(performance.now() - begun < 2000);
        } finally {
            process.kill(rig.redisPart.pid, 'SIGCONT');
        }
        await rig.ok('/api/devices');
    });

    it('an error answer is a 503, not an empty history', async () => {
        await rig.redis.call('CONFIG', 'SET', 'requirepass', 'secret');
        try {
            await rig.redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
            assertProblem(await rig.ask('/api/telemetry?device_id=r'), 503);
            assertProblem(await rig.ask('/api/telemetry?device_id=r,s'), 503);
            assertProblem(await rig.ask('/api/devices'), 503);
            fs.writeFileSync(`${rig.dir}/password`, 'secret\n');
            const api = await rig.startApi('auth', { 'redis-password-file': `${rig.dir}/password` });
            const port = await rig.startNginx(rig.socket('auth'));
            assert.equal((await rig.ok('/api/telemetry?device_id=r', { port })).json.count, 1);
            assert.doesNotMatch(api.log + rig.api.log, /secret/);
            assert.equal((await api.stop()).code, 0);
        } finally {
            await rig.redis.call('CONFIG', 'SET', 'requirepass', '');
        }
    });
});

describe('the processes', () => {
    const hold = async (action) => {
        process.kill(rig.redisPart.pid, 'SIGSTOP');
        try {
            return await action();
        } finally {
            process.kill(rig.redisPart.pid, 'SIGCONT');
        }
    };
    const gone = (pids) => pids.every((pid) => !fs.existsSync(`/proc/${pid}`));

    it('the socket is for owner and group', () => assert.equal(fs.statSync(rig.socket('api')).mode & 0o777, 0o660));

    it('a second one on the same socket is refused, one that was left behind is replaced', async () => {
        const second = rig.check(['--listen', `unix:${rig.socket('api')}`]);
        assert.equal(second.status, 1);
        assert.match(second.stderr, /event=listen_failed .*Address already in use/);
        await rig.ok('/livez');
        const first = await rig.startApi('stale');
        await first.stop('SIGKILL');
        assert.ok(fs.existsSync(rig.socket('stale')));
        const again = await rig.startApi('stale');
        assert.equal((await again.stop()).code, 0);
        fs.writeFileSync(rig.socket('file'), 'precious');
        assert.equal(rig.check(['--listen', `unix:${rig.socket('file')}`]).status, 1);
        assert.equal(fs.readFileSync(rig.socket('file'), 'utf8'), 'precious');
    });

    it('SIGTERM ends idle workers at once and removes the socket', async () => {
        for (const signal of ['SIGTERM', 'SIGINT']) {
            const api = await rig.startApi('idle');
            const workers = await until(() => api.workers().length === 4 && api.workers(), 5000, 'four workers');
            const begun = performance.now();
            assert.deepEqual(await api.stop(signal), { code: 0, signal: null });
            assert.ok(performance.now() - begun < 1500);
            assert.ok(gone(workers));
            assert.ok(!fs.existsSync(rig.socket('idle')));
            assert.doesNotMatch(api.log, /worker_died|worker_killed/);
        }
    });

    it('SIGTERM lets a request finish', async () => {
        const api = await rig.startApi('drain', { 'redis-ms': 5000 });
        const port = await rig.startNginx(rig.socket('drain'));
        await rig.ok('/livez', { port });
        const idle = sockets(api.workers()[0]);
        let answer, ended;
        await hold(async () => {
            answer = rig.ask('/api/telemetry?device_id=r', { port });
            await until(() => api.workers().some((pid) => sockets(pid) > idle), 5000, 'a busy worker');
            ended = api.stop('SIGTERM');
        });
        assert.equal((await answer).status, 200);
        assert.equal((await ended).code, 0);
    });

    it('SIGTERM ends within 2 s even with a worker that hangs', async () => {
        const api = await rig.startApi('busy', { 'redis-ms': 60000, 'request-s': 60 });
        const port = await rig.startNginx(rig.socket('busy'));
        await rig.ok('/livez', { port });
        const idle = sockets(api.workers()[0]);
        await hold(async () => {
            const answer = rig.ask('/api/devices', { port });
            await until(() => api.workers().some((pid) => sockets(pid) > idle), 5000, 'a busy worker');
            const workers = api.workers();
            const begun = performance.now();
            assert.equal((await api.stop('SIGTERM', 5000)).code, 0);
            assert.ok(performance.now() - begun < 2000, `${performance.now() - begun} ms`);
            assert.ok(gone(workers));
            assert.equal((await answer).status, 502);
        });
    });

    it('a worker that is killed is replaced', async () => {
        const before = rig.api.workers();
        process.kill(before[0], 'SIGKILL');
        await until(() => rig.api.workers().length === 4 && !rig.api.workers().includes(before[0]), 5000, 'a new worker');
        await rig.api.says(/event=worker_died .*signal=9/);
        for (let i = 0; i < 8; i++) await rig.ok('/livez');
        assert.match((await rig.ok('/metrics')).text, /^telerelay_api_worker_restarts_total [1-9]/m);
    });

    it('killed, the parent takes the workers along', async () => {
        const api = await rig.startApi('orphan');
        const workers = await until(() => api.workers().length === 4 && api.workers(), 5000, 'four workers');
        await api.stop('SIGKILL');
        await until(() => gone(workers), 3000, 'no orphans');
    });

    it('a request that takes too long ends its worker, not the service', async () => {
        const api = await rig.startApi('slow', { 'redis-ms': 60000, 'request-s': 1, workers: 1 });
        const port = await rig.startNginx(rig.socket('slow'));
        await rig.ok('/livez', { port });
        await hold(async () => assert.equal((await rig.ask('/api/devices', { port })).status, 502));
        await api.says(/event=request_timed_out/);
        await rig.ok('/livez', { port });
        assert.equal((await api.stop()).code, 0);
    });

    it('a peer that is silent, or stops half way, holds no worker for long', async () => {
        const api = await rig.startApi('peer', { 'request-s': 1, workers: 1 });
        const port = await rig.startNginx(rig.socket('peer'));
        const open = (bytes) => new Promise((resolve, reject) => {
            const socket = net.connect(rig.socket('peer'), () => {
                if (bytes) socket.write(bytes);
                resolve(socket);
            });
            socket.on('error', reject);
        });
        const silent = await open();
        let begun = performance.now();
        await rig.ok('/livez', { port });
        assert.ok(performance.now() - begun < 1000);
        silent.destroy();
        const partial = await open(Buffer.from([1, 1, 0, 1, 0, 8]));
        partial.on('error', () => {});
        begun = performance.now();
        await until(async () => (await rig.ask('/livez', { port })).status === 200, 5000, 'served again', 20);
        assert.ok(performance.now() - begun < 3000);
        partial.destroy();
        for (const garbage of [Buffer.from('GET / HTTP/1.0\r\n\r\n'), Buffer.alloc(64, 0xff), Buffer.from([1, 1, 0, 1, 0, 8, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0])]) {
            const socket = await open(garbage);
            socket.on('error', () => {});
            socket.end();
            await rig.ok('/livez', { port });
            socket.destroy();
        }
        assert.equal((await api.stop()).code, 0);
    });

    it('SIGHUP reads the configuration again and replaces the workers without losing a request', async () => {
        const file = `${rig.dir}/reload.conf`;
        fs.writeFileSync(file, '[api]\nworkers = 2\n');
        const api = await rig.startApi('reload', { config: file });
        const port = await rig.startNginx(rig.socket('reload'));
        const before = await until(() => api.workers().length === 2 && api.workers(), 5000, 'two workers');
        let running = true, served = 0;
        const load = (async () => {
            for (; running; served++) await rig.ok('/api/telemetry?device_id=r', { port });
        })();
        await until(() => served > 5, 5000, 'requests flow');
        fs.writeFileSync(file, '[api]\nworkers = 3\n');
        process.kill(api.pid, 'SIGHUP');
        await until(() => api.workers().length === 3 && !api.workers().some((pid) => before.includes(pid)), 5000, 'three new workers');
        const now = api.workers();
        fs.writeFileSync(file, '[api]\nworkers = many\n');
        process.kill(api.pid, 'SIGHUP');
        await api.says(/event=reload_failed/);
        assert.deepEqual(api.workers(), now);
        const already = served;
        await until(() => served > already + 5, 5000, 'requests flow on');
        running = false;
        await load;
        assert.equal((await api.stop()).code, 0);
    });

    it('listens on TCP', async () => {
        const probe = net.createServer().listen(0, '127.0.0.1');
        await new Promise((resolve) => probe.once('listening', resolve));
        const { port } = probe.address();
        await new Promise((resolve) => probe.close(resolve));
        const api = await rig.startApi('tcp', {}, { listen: `127.0.0.1:${port}` });
        await within(new Promise((resolve, reject) => net.connect(port, '127.0.0.1', resolve).on('error', reject)), 2000, 'a connection');
        assert.equal((await api.stop()).code, 0);
    });

    for (const how of ['standard input', 'LISTEN_FDS']) {
        it(`takes a listening socket by ${how}, and leaves its file alone`, async () => {
            const name = `act-${how.length}`;
            const set = how === 'standard input' ? 'os.dup2(s.fileno(), 0)'
                : 'os.set_inheritable(s.fileno(), True); assert s.fileno() == 3; os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))';
            const script = `import os, socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.bind(${JSON.stringify(rig.socket(name))})\ns.listen()\n` +
                `${set}\nos.execv(sys.argv[1], sys.argv[1:])`;
            const api = await rig.startApi(name, {}, { wrap: (command) => ['python3', '-c', script, ...command] });
            assert.match(api.log, /listen=inherited/);
            const port = await rig.startNginx(rig.socket(name));
            await rig.ok('/livez', { port });
            assert.equal((await api.stop()).code, 0);
            assert.ok(fs.existsSync(rig.socket(name)));
        });
    }

    it('bad usage ends with 2', () => {
        assert.equal(rig.check(['--no-such-flag']).status, 2);
        assert.equal(rig.check(['--workers', '0']).status, 2);
        assert.equal(rig.check(['--version']).status, 0);
        assert.equal(rig.check(['--check-config']).status, 0);
    });
});

// How many sockets a process holds: one that serves a request holds more than one that waits for it.
function sockets(pid) {
    const dir = `/proc/${pid}/fd`;
    return fs.readdirSync(dir).filter((fd) => {
        try {
            return fs.readlinkSync(`${dir}/${fd}`).startsWith('socket:');
        } catch {
            return false;
        }
    }).length;
}
