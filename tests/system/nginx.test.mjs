// Goal: what nginx promises in front of the real parts: who may ask, how answers are dressed, what happens
// when a part is away, and that nothing confidential gets into a log.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';
import path from 'node:path';
import { Stack, assertProblem } from './lib/stack.mjs';
import { until, within } from './lib/wait.mjs';

const SECURITY = {
    'content-security-policy': /^default-src 'none'; script-src 'self';.*connect-src 'self';.*frame-ancestors 'none'$/,
    'x-content-type-options': /^nosniff$/,
    'referrer-policy': /^no-referrer$/,
    'permissions-policy': /camera=\(\)/,
    'cross-origin-opener-policy': /^same-origin$/,
    'cross-origin-resource-policy': /^same-origin$/,
};

function assertSecurityHeaders(headers, what) {
    for (const [name, value] of Object.entries(SECURITY)) assert.match(headers[name] ?? '(none)', value, `${name} of ${what}`);
    assert.doesNotMatch(headers.server ?? '', /\d/, `version in Server of ${what}`);
}

const rejected = (promise) => promise.then(() => assert.fail('it was accepted'), (refusal) => refusal);

describe('nginx', () => {
    let stack;
    before(async () => {
        stack = await Stack.up({ LIMITS: 'off' });
    });
    after(() => stack.close());

    describe('static files', () => {
        it('serves the dashboard at its three addresses, to be asked for each time', async () => {
            const bodies = [];
            for (const target of ['/', '/robot/controller/', '/robot/dashboard/', '/robot/controller']) {
                const got = await stack.request(target);
                assert.equal(got.status, 200, target);
                assert.match(got.headers['content-type'], /^text\/html; charset=utf-8$/);
                assert.equal(got.headers['cache-control'], 'no-cache');
                assertSecurityHeaders(got.headers, target);
                bodies.push(got.text);
            }
            assert.equal(new Set(bodies).size, 1);
        });

        it('lets hashed assets be kept for ever, and sends all text compressed', async () => {
            const { text, headers } = await stack.request('/', { headers: { 'Accept-Encoding': 'gzip' } });
            assert.equal(headers['content-encoding'], 'gzip');
            assert.ok(text.length > 0);
            const assets = [...(await stack.request('/')).text.matchAll(/(?:href|src)="(\/assets\/[^"]+)"/g)].map((match) => match[1]);
            assert.ok(assets.length >= 2);
            for (const asset of assets) {
                const got = await stack.request(asset, { headers: { 'Accept-Encoding': 'gzip' } });
                assert.equal(got.status, 200, asset);
                assert.equal(got.headers['content-encoding'], 'gzip', asset);
                assert.match(got.headers['cache-control'], /max-age=31536000, immutable/);
                assertSecurityHeaders(got.headers, asset);
            }
        });

        it('has nothing elsewhere', async () => {
            for (const target of ['/nothing.js', '/.git/config', '/../../etc/passwd', '/%2e%2e/%2e%2e/etc/passwd', '/api', '/assets/'])
                assert.ok([400, 403, 404].includes((await stack.request(target)).status), target);
            assertProblem(await stack.request('/nothing'), 404);
            assertSecurityHeaders((await stack.request('/nothing')).headers, 'a 404');
            const posted = await stack.request('/', { method: 'POST', body: 'x' });
            assertProblem(posted, 405);
            assert.equal(posted.headers.allow, 'GET, HEAD');
        });
    });

    describe('who may ask', () => {
        it('lets browsers in from its own pages and programs without an Origin', async () => {
            const { port, tlsPort } = stack;
            const own = [undefined, `http://localhost:${port}`, `http://127.0.0.1:${port}`, `https://localhost:${tlsPort}`, `https://127.0.0.1:${tlsPort}`];
            for (const Origin of own) {
                const headers = Origin ? { Origin } : {};
                assert.equal((await stack.request('/api/devices', { headers })).status, 200, Origin);
                (await stack.webSocket('', { headers })).close();
            }
        });

        it('refuses foreign pages', async () => {
            const foreign = ['http://evil.example', 'null', `http://localhost:${stack.port + 1}`, `http://localhost:${stack.port}.evil.example`,
                'http://localhost', `ftp://localhost:${stack.port}`];
            for (const Origin of foreign) {
                const got = await stack.request('/api/devices', { headers: { Origin } });
                assertProblem(got, 403);
                assertSecurityHeaders(got.headers, 'a 403');
                assert.equal(got.headers['access-control-allow-origin'], undefined);
                assertProblem(await rejected(stack.webSocket('', { headers: { Origin } })), 403);
            }
        });

        it('does not answer to a foreign name', async () => {
            for (const Host of ['evil.example', `evil.example:${stack.port}`, '10.0.0.1', 'localhost.evil.example']) {
                for (const target of ['/', '/api/devices', '/ws/telemetry/']) {
                    const got = await stack.request(target, { headers: { Host } });
                    assert.equal(got.status, 421, `${Host}${target}`);
                    assertSecurityHeaders(got.headers, 'a 421');
                }
                assert.equal((await rejected(stack.webSocket('', { headers: { Host } }))).status, 421);
            }
            for (const Host of ['localhost', 'localhost:1', `127.0.0.1:${stack.port}`, '[::1]', `[::1]:${stack.port}`])
                assert.equal((await stack.request('/', { headers: { Host } })).status, 200, Host);
        });

        it('shows the metrics to this machine only', async () => {
            assert.equal((await stack.request('/metrics')).status, 200);
            assert.equal((await stack.request('/metrics', { headers: { 'X-Forwarded-For': '192.0.2.1' } })).status, 403);
        });

        it('takes no large requests', async () => {
            assertProblem(await stack.request('/api/telemetry', { method: 'POST', body: Buffer.alloc(65537) }), 413);
        });
    });

    describe('WebSocket', () => {
        it('negotiates no extension', async () => {
            for (const at of ['/ws/telemetry', '/ws/telemetry/']) {
                const socket = await stack.webSocket('', { at });
                assert.equal(socket.upgradeHeaders['sec-websocket-extensions'], undefined);
                assert.equal(socket.extensions, '');
                socket.close();
            }
        });

        it('tells who forgets to upgrade', async () => {
            const got = await stack.request('/ws/telemetry/?device_id=robot_09');
            assert.equal(got.status, 426);
            assert.equal(got.headers.upgrade, 'websocket');
            assert.equal((await stack.request('/ws/telemetry', { headers: { Upgrade: 'h2c', Connection: 'Upgrade' } })).status, 426);
            const posted = await stack.request('/ws/telemetry', { method: 'POST', body: 'x' });
            assert.equal(posted.status, 405);
            assertSecurityHeaders(got.headers, 'a 426');
        });

        it('passes on refusals of the relay', async () => {
            assert.equal((await rejected(stack.webSocket('?device_id=a%20b'))).status, 400);
        });
    });

    describe('TLS', () => {
        const client = (...args) => spawnSync('openssl',
            ['s_client', '-connect', `127.0.0.1:${stack.tlsPort}`, '-servername', 'localhost', ...args], { input: '', encoding: 'utf8', timeout: 10000 });

        it('speaks 1.2 and 1.3 with modern ciphers, nothing older, and gives no tickets', () => {
            assert.match(client('-tls1_3').stdout, /New, TLSv1\.3, Cipher is TLS_/);
            const old = client('-tls1_2');
            assert.match(old.stdout, /New, TLSv1\.2, Cipher is ECDHE-ECDSA-/);
            assert.doesNotMatch(old.stdout, /session ticket/);
            for (const flag of ['-tls1_1', '-tls1'])
                assert.match(client(flag, '-cipher', 'DEFAULT@SECLEVEL=0').stdout, /Cipher is \(NONE\)/, flag);
            assert.match(client('-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-SHA').stdout, /Cipher is \(NONE\)/);
        });

        it('made a certificate for localhost with a private key', () => {
            const text = spawnSync('openssl', ['x509', '-in', path.join(stack.dir, 'tls/cert.pem'), '-noout', '-text'], { encoding: 'utf8' }).stdout;
            assert.match(text, /DNS:localhost, IP Address:127\.0\.0\.1/);
            assert.match(text, /prime256v1/);
            assert.equal(fs.statSync(path.join(stack.dir, 'tls/key.pem')).mode & 0o777, 0o600);
        });

        it('serves HTTP/2 with the same rules', async () => {
            const ca = fs.readFileSync(path.join(stack.dir, 'tls/cert.pem'));
            const session = http2.connect(`https://127.0.0.1:${stack.tlsPort}`, { ca });
            const get = (headers) => within(new Promise((resolve, reject) => {
                session.on('error', reject);
                const stream = session.request({ ':authority': `localhost:${stack.tlsPort}`, ...headers });
                stream.on('response', resolve);
                stream.on('error', reject);
                stream.resume();
                stream.end();
            }), 5000, 'HTTP/2 answer');
            const page = await get({ ':path': '/' });
            assert.equal(page[':status'], 200);
            assertSecurityHeaders(page, 'a page over HTTP/2');
            assert.equal((await get({ ':path': '/api/devices' }))[':status'], 200);
            assert.equal((await get({ ':path': '/api/devices', origin: 'https://evil.example' }))[':status'], 403);
            assert.equal((await get({ ':path': '/', ':authority': 'evil.example' }))[':status'], 421);
            session.close();
        });
    });

    describe('history', () => {
        it('is compressed, and the relay stores what it answers', async () => {
            const robot = await stack.webSocket('?device_id=robot_77');
            let acks = 0;
            robot.on('message', (data) => (acks += JSON.parse(data).original_type === 'telemetry'));
            for (let i = 0; i < 20; i++) robot.send(JSON.stringify({ type: 'telemetry', battery: 80, cpu: i, temperature: 40, signal: 90 }));
            await until(() => acks === 20, 10000, '20 samples stored');
            robot.close();
            for (const format of ['json', 'columns', 'csv', 'ndjson', 'csv&from=-1h', 'ndjson&from=-1h']) {
                const target = `/api/telemetry?device_id=robot_77&format=${format}`;
                const plain = await stack.request(target);
                assert.equal(plain.status, 200, plain.text);
                assert.equal(plain.headers['content-encoding'], undefined);
                assertSecurityHeaders(plain.headers, 'an API answer');
                const packed = await stack.request(target, { headers: { 'Accept-Encoding': 'gzip' } });
                assert.equal(packed.headers['content-encoding'], 'gzip', format);
                assert.ok(packed.body.length < plain.body.length);
            }
            const refused = `/api/telemetry?device_id=${'x'.repeat(65)}&limit=0&${'y=1&'.repeat(10)}`;
            assertProblem(await stack.request(refused), 400);
        });

        // The same samples for all: two minutes of them, the last one now.
        const fill = (device, count) => {
            const { status, stderr } = spawnSync('redis-cli', ['-s', path.join(stack.dir, 'redis.sock'), 'EVAL', `
                local t = redis.call('TIME')
                local now = t[1] * 1000
                for i = 1, ARGV[1] do
                    redis.call('XADD', KEYS[1], string.format('%.0f-%d', now - 120000 + i, 0), 'd', '"battery":85,"cpu":38,"temperature":41.2,"signal":' .. i % 100)
                end
                redis.call('XADD', KEYS[1], string.format('%.0f-0', now), 'd', '"battery":1')
                redis.call('ZADD', 'tr:devices', now, ARGV[2])`, '1', `tr:tel:${device}`, String(count), device], { encoding: 'utf8', timeout: 20000 });
            assert.equal(status, 0, stderr);
        };

        it('is kept by who has it, also compressed', async () => {
            fill('robot_78', 100);
            const now = Date.now();
            const target = `/api/telemetry?device_id=robot_78&from=${now - 3600000}&to=${now - 60000}`;
            await until(async () => (await stack.request(target)).headers.etag, 10000, 'it is archived');
            for (const encoding of ['identity', 'gzip']) {
                const headers = { 'Accept-Encoding': encoding };
                const got = await stack.request(target, { headers });
                assert.equal(got.status, 200);
                assert.match(got.headers.etag, encoding === 'gzip' ? /^W\/"[0-9a-f]{16}"$/ : /^"[0-9a-f]{16}"$/);
                assert.equal(got.headers['cache-control'], 'private, max-age=86400');
                const again = await stack.request(target, { headers: { ...headers, 'If-None-Match': got.headers.etag } });
                assert.equal(again.status, 304);
                assert.equal(again.body.length, 0);
                assertSecurityHeaders(again.headers, 'a 304');
            }
        });

        it('waits here for slow clients: a long download holds no worker, and no memory', async () => {
            const count = 90000;
            fill('robot_79', count);
            const answered = async () => Number(/^telerelay_api_requests_total\{route="telemetry",status="200"\} (\d+)$/m.exec((await stack.request('/metrics')).text)?.[1] ?? 0);
            const rss = () => Math.max(...fs.readFileSync(`/proc/${stack.pid('nginx')}/task/${stack.pid('nginx')}/children`, 'utf8').trim().split(' ')
                .map((pid) => Number(/^VmRSS:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)));
            const [before, memory] = [await answered(), rss()];
            const downloads = [];
            for (let i = 0; i < 8; i++) {
                const socket = net.connect(stack.port, '127.0.0.1');
                socket.pause();
                socket.write(`GET /api/telemetry?device_id=robot_79&format=ndjson&from=-1h HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
                downloads.push(socket);
                await until(async () => (await answered()) > before + i, 10000, 'the worker is free, though nobody reads');
            }
            assert.ok(rss() - memory < 16384, `nginx ${memory} → ${rss()} kB`);
            for (const socket of downloads) {
                const chunks = [];
                socket.on('data', (data) => chunks.push(data));
                await within(new Promise((resolve) => socket.once('close', resolve).resume()), 20000, 'the download');
                const text = Buffer.concat(chunks).toString('latin1');
                assert.ok(text.endsWith('\r\n0\r\n\r\n'), JSON.stringify(text.slice(-20)));
                assert.equal(text.replaceAll(/\r\n[0-9a-f]+\r\n/g, '').match(/"device_id"/g).length, count + 1);
            }
        });
    });

    describe('when a part is away', () => {
        it('skips a dead relay at once and uses it at once when it is back', async () => {
            for (const [dead, other] of [['wsd-1', 'wsd-2'], ['wsd-2', 'wsd-1']]) {
                process.kill(stack.pid(dead), 'SIGKILL');
                const begin = performance.now();
                const sockets = await Promise.all(Array.from({ length: 20 }, () => stack.webSocket()));
                assert.ok(performance.now() - begin < 2000, `20 connections took ${performance.now() - begin} ms`);
                for (const socket of sockets) socket.close();
                assert.equal((await stack.verb('start', dead)).status, 0);
                process.kill(stack.pid(other), 'SIGKILL');
                (await stack.webSocket()).close(); // the one that was dead a moment ago
                assert.equal((await stack.verb('start', other)).status, 0);
            }
        });

        it('says 503 when no relay is left', async () => {
            for (const relay of ['wsd-1', 'wsd-2']) await stack.verb('stop', relay);
            const refusal = await rejected(stack.webSocket());
            assertProblem(refusal, 503);
            assert.equal(refusal.headers['retry-after'], '1');
            for (const relay of ['wsd-1', 'wsd-2']) assert.equal((await stack.verb('start', relay)).status, 0);
            (await stack.webSocket()).close();
        });

        it('says 503 when the api is away, and the rest goes on', async () => {
            await stack.verb('stop', 'api');
            for (const target of ['/api/devices', '/readyz', '/metrics']) {
                const got = await stack.request(target);
                assertProblem(got, 503);
                assert.equal(got.headers['retry-after'], '1');
                assertSecurityHeaders(got.headers, 'a 503');
            }
            assert.equal((await stack.request('/')).status, 200);
            (await stack.webSocket()).close();
            assert.equal((await stack.verb('start', 'api')).status, 0);
            assert.equal((await stack.request('/api/devices')).status, 200);
        });
    });

    describe('logs', () => {
        it('never have a query string or a credential in them, also when things go wrong', async () => {
            const secret = 'hunter2hunter2';
            const headers = { Authorization: `Bearer ${secret}`, Cookie: `session=${secret}`, Referer: `http://localhost/${secret}` };
            const ask = async () => {
                for (const target of [`/?${secret}`, `/nothing?${secret}`, `/api/devices?token=${secret}`, `/api/nothing?token=${secret}`, `/ws/telemetry/?token=${secret}`])
                    await stack.request(target, { headers });
                await stack.request(`/api/devices?token=${secret}`, { headers: { ...headers, Origin: 'http://evil.example' } });
                await stack.request(`/?token=${secret}`, { headers: { Host: 'evil.example' } });
                await stack.webSocket(`?token=${secret}`, { headers }).then((socket) => socket.terminate(), () => {});
                await stack.webSocket(`?device_id=a%20b&token=${secret}`, { headers }).catch(() => {});
            };
            await ask();
            for (const part of ['wsd-1', 'wsd-2', 'api']) await stack.verb('stop', part);
            await ask();
            for (const part of ['wsd-1', 'wsd-2', 'api']) assert.equal((await stack.verb('start', part)).status, 0);
            // A request that is cut off in its middle.
            const cut = net.connect(stack.port, '127.0.0.1');
            cut.end(`GET /api/devices?token=${secret} HTTP/1.1\r\nHost: localhost\r\nX-Bad Header\r\n\r\n`);
            await new Promise((resolve) => cut.resume().on('close', resolve));
            const access = path.join(stack.dir, 'log', 'access.log');
            await until(() => /path="\/api\/nothing"/.test(fs.readFileSync(access, 'utf8')), 5000, 'the access log has it');
            for (const name of fs.readdirSync(path.join(stack.dir, 'log'))) {
                const file = path.join(stack.dir, 'log', name);
                assert.ok(!fs.readFileSync(file, 'utf8').includes(secret), `${name} has it`);
            }
        });
    });
});

describe('nginx: limits', () => {
    let stack;
    before(async () => {
        stack = await Stack.up({ RELAYS: '1', ROBOTS: '0' });
    });
    after(() => stack.close());

    it('slows down a client that asks too often, and only then', async () => {
        const few = await Promise.all(Array.from({ length: 40 }, () => stack.request('/api/devices')));
        assert.deepEqual([...new Set(few.map((got) => got.status))], [200]);
        const many = [];
        for (let round = 0; round < 60 && !many.some((got) => got.status === 429); round++)
            many.push(...await Promise.all(Array.from({ length: 200 }, () => stack.request('/api/devices'))));
        const refused = many.filter((got) => got.status === 429);
        assert.ok(refused.length > 0);
        assertProblem(refused[0], 429);
        assert.equal(refused[0].headers['retry-after'], '1');
        assertSecurityHeaders(refused[0].headers, 'a 429');
    });

    it('bounds the sockets of one address, and frees them', async () => {
        const sockets = [];
        let refusal;
        for (let i = 0; i < 1001 && !refusal; i++)
            await stack.webSocket().then((socket) => sockets.push(socket), (got) => (refusal = got));
        assert.equal(sockets.length, 1000);
        assertProblem(refusal, 429);
        for (const socket of sockets) socket.terminate();
        await until(() => stack.webSocket().then((socket) => (socket.terminate(), true)), 5000, 'a socket again', 50);
    });
});
