// redis-server, telerelay-api and nginx, each real and each of this test's own, in a private directory.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from './redis.mjs';
import { until, within } from './wait.mjs';

const root = fileURLToPath(new URL('../../..', import.meta.url));
export const bin = [process.env.TELERELAY_BIN, 'build/asan/bin', 'build/release/bin']
    .filter(Boolean)
    .map((dir) => path.resolve(root, dir))
    .find((dir) => fs.existsSync(path.join(dir, 'telerelay-api')));

const running = new Set();
process.on('exit', () => {
    // nginx would leave its worker behind.
    for (const child of running) child.kill(path.basename(child.spawnfile) === 'nginx' ? 'SIGTERM' : 'SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

// A started program; `ended` resolves to {code, signal}.
export class Part {
    constructor(command, args, options = {}) {
        this.child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
        this.log = '';
        for (const stream of [this.child.stdout, this.child.stderr]) stream.on('data', (data) => (this.log += data));
        running.add(this.child);
        this.ended = new Promise((resolve) => {
            this.child.once('error', (error) => resolve({ code: -1, error }));
            this.child.once('close', (code, signal) => {
                running.delete(this.child);
                this.isEnded = true;
                resolve({ code, signal });
            });
        });
    }

    get pid() {
        return this.child.pid;
    }

    // The ids of its child processes.
    workers() {
        const text = fs.readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8').trim();
        return text ? text.split(' ').map(Number) : [];
    }

    says(pattern, ms = 5000) {
        return until(() => pattern.test(this.log), ms, `${pattern} in the log:\n${this.log}`);
    }

    async stop(signal = 'SIGTERM', ms = 10000) {
        if (this.isEnded) return this.ended;
        this.child.kill(signal);
        try {
            return await within(this.ended, ms, `${this.child.spawnfile} ends on ${signal}`);
        } catch (error) {
            this.child.kill('SIGKILL');
            throw error;
        }
    }
}

async function freePort() {
    const server = net.createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address();
    await new Promise((resolve) => server.close(resolve));
    return port;
}

// A refusal of the api's.
export function assertProblem(answer, status, detail) {
    assert.equal(answer.status, status, answer.text.slice(0, 300));
    assert.equal(answer.headers['content-type'], 'application/problem+json');
    assert.deepEqual(Object.keys(answer.json), ['type', 'title', 'status', 'detail']);
    assert.equal(answer.json.type, 'about:blank');
    assert.equal(answer.json.status, status);
    if (detail instanceof RegExp) assert.match(answer.json.detail, detail);
    else if (detail) assert.equal(answer.json.detail, detail);
}

export class ApiRig {
    // `archive`: with one in SQLite, or where a URL says.
    parts = []; // all that were started
    fronts = []; // of them, nginx

    // flags: of its api.
    static async start({ archive = false, flags = {} } = {}) {
        const rig = new ApiRig();
        rig.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'telerelay-api-'));
        if (archive) rig.database = archive === true ? `sqlite:${rig.dir}/archive.db` : archive;
        rig.redisPath = path.join(rig.dir, 'redis.sock');
        try {
            await rig.startRedis();
            rig.api = await rig.startApi('api', flags);
            rig.port = await rig.startNginx(rig.socket('api'));
        } catch (error) {
            await rig.stop().catch(() => {});
            throw error;
        }
        return rig;
    }

    // Starts a program that ends with the rig at the latest.
    run(...command) {
        const part = new Part(...command);
        this.parts.push(part);
        return part;
    }

    socket(name) {
        return path.join(this.dir, `${name}.sock`);
    }

    async startRedis() {
        this.redisPart = this.run('redis-server', ['--port', '0', '--unixsocket', this.redisPath, '--dir', this.dir,
            '--save', '', '--appendonly', 'yes', '--appendfsync', 'always']);
        this.redis = await until(async () => {
            const redis = await Redis.open(this.redisPath);
            if ((await redis.call('PING')) === 'PONG') return redis;
            redis.close();
            return null;
        }, 10000, 'redis answers');
        await this.compared();
    }

    // As an archiver says once it has compared this Redis with the archive; or of another one.
    async compared(run) {
        const info = await this.redis.call('INFO', 'server');
        await this.redis.call('SET', 'tr:archive:run', run ?? /^run_id:(\w+)/m.exec(info)[1]);
    }

    sanitizers(name) {
        return {
            ASAN_OPTIONS: `log_path=${this.dir}/${name}.asan:detect_leaks=1`,
            UBSAN_OPTIONS: `log_path=${this.dir}/${name}.ubsan:print_stacktrace=1`,
        };
    }

    // One telerelay-api on NAME.sock; resolves once its socket is there.
    async startApi(name = 'api', flags = {}, { listen = `unix:${this.socket(name)}`, wrap, env } = {}) {
        const given = { listen, 'redis-address': `unix:${this.redisPath}`, ...flags };
        const args = Object.entries(given).flatMap(([key, value]) => [`--${key}`, String(value)]);
        const command = [path.join(bin, 'telerelay-api'), ...args];
        const [program, ...rest] = wrap ? wrap(command) : command;
        const archive = this.database ? { TELERELAY_ARCHIVE_DATABASE: this.database } : {};
        const part = this.run(program, rest, { env: { PATH: process.env.PATH, ...archive, ...this.sanitizers(name), ...env } });
        await until(() => {
            if (part.isEnded) throw new Error(part.log);
            return /event=started/.test(part.log);
        }, 10000, `${name} starts`);
        return part;
    }

    // An nginx in front of one FastCGI socket; returns its port. `spool: false`: what a client does not take waits in the api.
    async startNginx(socket, { spool = true } = {}) {
        const dir = fs.mkdtempSync(path.join(this.dir, 'nginx-'));
        const port = await freePort();
        const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${dir}/${kind};`);
        fs.writeFileSync(path.join(dir, 'nginx.conf'), `
            ${process.getuid() === 0 ? 'user root;' : ''}
            daemon off; pid ${dir}/pid; error_log ${dir}/error.log; worker_processes 1;
            events { worker_connections 256; }
            http {
                access_log off; ${temp.join(' ')}
                fastcgi_buffers 32 16k; fastcgi_buffer_size 16k; fastcgi_read_timeout 30s;
                ${spool ? '' : 'fastcgi_max_temp_file_size 0;'}
                server {
                    listen 127.0.0.1:${port};
                    set_real_ip_from 127.0.0.1; real_ip_header X-Pretend;
                    location / { include /etc/nginx/fastcgi_params; fastcgi_pass unix:${socket}; fastcgi_keep_conn on; }
                }
            }`);
        const part = this.run('nginx', ['-p', dir, '-c', path.join(dir, 'nginx.conf')]);
        this.fronts.push(part);
        await until(async () => {
            if (part.isEnded) throw new Error(part.log);
            const probe = net.connect(port, '127.0.0.1');
            try {
                await new Promise((resolve, reject) => probe.once('connect', resolve).once('error', reject));
                return true;
            } finally {
                probe.destroy();
            }
        }, 10000, 'nginx listens');
        return port;
    }

    // {status, headers, text, json}
    ask(target, { method = 'GET', headers = {}, port = this.port, body } = {}) {
        return within(new Promise((resolve, reject) => {
            const request = http.request({ host: '127.0.0.1', port, path: target, method, headers, agent: false }, (answer) => {
                const chunks = [];
                answer.on('data', (chunk) => chunks.push(chunk));
                answer.on('error', reject);
                answer.on('end', () => {
                    const text = Buffer.concat(chunks).toString('utf8');
                    const isJson = /[/+]json/.test(answer.headers['content-type'] ?? '');
                    resolve({ status: answer.statusCode, headers: answer.headers, text, json: isJson && text ? JSON.parse(text) : null });
                });
            });
            request.on('error', reject);
            request.end(body);
        }), 30000, `${method} ${target.slice(0, 100)}`);
    }

    // The same, and it is a 200.
    async ok(target, options) {
        const answer = await this.ask(target, options);
        assert.equal(answer.status, 200, `${target}: ${answer.text.slice(0, 300)}`);
        return answer;
    }

    // All pages from a first target on: the items in order.
    async walk(target, { between = async () => {}, byLink = false, port } = {}) {
        const items = [];
        for (let next = target, pages = 0; next; pages++) {
            assert.ok(pages < 1000, 'the walk ends');
            const { json, headers } = await this.ok(next, { port });
            assert.equal(json.count, json.items.length);
            items.push(...json.items);
            const link = headers.link ? /^<([^>]+)>; rel="next"$/.exec(headers.link)[1] : null;
            assert.equal(link !== null, json.next_cursor !== null);
            if (json.next_cursor) assert.match(json.next_cursor, /^[A-Za-z0-9_-]+$/);
            next = json.next_cursor && (byLink ? link : `${target}&cursor=${json.next_cursor}`);
            await between(json);
        }
        return items;
    }

    add(device, id, data = '"battery":85,"cpu":38') {
        return this.redis.call('XADD', `tr:tel:${device}`, id, 'd', data);
    }

    // Puts entries into the archive, as the archiver does: [kind, device, id, text] each (tests/archive/fill.c).
    fill(lines) {
        const { status, stderr } = spawnSync(path.join(bin, 'telerelay-fill'), [this.database],
            { input: lines.map((line) => `${line.join('\t')}\n`).join(''), encoding: 'utf8', env: { ...process.env, ...this.sanitizers('fill') }, timeout: 60000 });
        assert.equal(status, 0, stderr);
    }

    // Archives what a device has in Redis and is not archived yet (behind `after`), and trims all but the last `hot`.
    async archive(device, { after = '0-0', hot = 1, kind = 'samples', prefix = 'tr:tel:' } = {}) {
        const entries = await this.redis.call('XRANGE', prefix + device, `(${after}`, '+');
        if (entries.length) this.fill(entries.map(([id, fields]) => [kind, device, id, fields[fields.indexOf('d') + 1]]));
        const kept = await this.redis.call('XREVRANGE', prefix + device, '+', '-', 'COUNT', hot);
        if (kept.length) await this.redis.call('XTRIM', prefix + device, 'MINID', kept.at(-1)[0]);
        return entries.length ? entries.at(-1)[0] : after;
    }

    // What the sanitizers of all programs said.
    complaints() {
        return fs.readdirSync(this.dir)
            .filter((name) => /\.(asan|ubsan)\./.test(name))
            .map((name) => fs.readFileSync(path.join(this.dir, name), 'utf8'))
            .join('\n');
    }

    // Ends what still runs, and that is also what a test that failed has left, frozen or not.
    async stop() {
        this.redis?.close();
        const ends = await Promise.allSettled(this.parts.map((part) => {
            part.child.kill('SIGCONT');
            return part.stop();
        }));
        const late = ends.find((end) => end.status === 'rejected');
        if (late) throw late.reason;
        const complaints = this.complaints();
        fs.rmSync(this.dir, { recursive: true, force: true });
        if (complaints) throw new Error(complaints);
    }

    check(args) {
        return spawnSync(path.join(bin, 'telerelay-api'), args, { encoding: 'utf8', timeout: 10000 });
    }
}
