// A whole stack by deploy/stack, in a private directory on free ports.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';
import { within } from './wait.mjs';

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
export const STACK = path.join(ROOT, 'deploy/stack');
const BIN = process.env.TELERELAY_BIN ? path.resolve(ROOT, process.env.TELERELAY_BIN) : path.join(ROOT, 'build/asan/bin');

// Two different ones: both are held until both are known.
export async function freePorts(count) {
    const servers = Array.from({ length: count }, () => net.createServer().listen(0, '127.0.0.1'));
    await Promise.all(servers.map((server) => new Promise((resolve) => server.once('listening', resolve))));
    const ports = servers.map((server) => server.address().port);
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    return ports;
}

// The process ids whose command line has `text` in it.
export function processesWith(text) {
    return fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter((pid) => {
        try {
            return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').includes(text);
        } catch {
            return false; // gone meanwhile
        }
    });
}

// The living processes of a session (a zombie that nobody has reaped yet is dead).
export function sessionOf(pid) {
    return fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter((candidate) => {
        try {
            const fields = fs.readFileSync(`/proc/${candidate}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
            return fields[0] !== 'Z' && Number(fields[3]) === Number(pid);
        } catch {
            return false;
        }
    });
}

const open = new Set();
process.on('exit', () => {
    for (const stack of open) spawnSync(STACK, ['down'], { env: stack.environment() });
});

export class Stack {
    // name: of the run directory, below a new temporary one.
    static async prepare(env = {}, name = 'run') {
        const stack = new Stack();
        stack.parent = fs.mkdtempSync(path.join(os.tmpdir(), 'telerelay-stack-'));
        stack.dir = path.join(stack.parent, name);
        stack.sanitizer = path.join(stack.parent, 'san');
        fs.mkdirSync(stack.sanitizer);
        [stack.port, stack.tlsPort] = await freePorts(2);
        stack.env = env;
        open.add(stack);
        return stack;
    }

    static async up(env, name) {
        const stack = await Stack.prepare(env, name);
        const result = await stack.verb('up');
        assert.equal(result.status, 0, result.output);
        return stack;
    }

    environment() {
        const { PATH, HOME } = process.env;
        return {
            PATH, HOME, TELERELAY_BIN: BIN, RUN_DIR: this.dir, PORT: String(this.port), TLS_PORT: String(this.tlsPort),
            ASAN_OPTIONS: `log_path=${this.sanitizer}/asan:detect_leaks=1`,
            UBSAN_OPTIONS: `log_path=${this.sanitizer}/ubsan:print_stacktrace=1`,
            ...this.env,
        };
    }

    // Runs `stack VERB…`; gives {status, signal, output}.
    async verb(...args) {
        const child = this.spawn(args);
        return within(child.ended, 40000, `stack ${args.join(' ')}`);
    }

    spawn(args, { env = {}, cwd = '/' } = {}) {
        const child = spawn(STACK, args, { env: { ...this.environment(), ...env }, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
        child.output = '';
        for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (child.output += data));
        child.ended = new Promise((resolve) => {
            child.on('close', (status, signal) => resolve({ status, signal, output: child.output }));
        });
        return child;
    }

    pid(part) {
        return Number(fs.readFileSync(path.join(this.dir, 'pids', `${part}.pid`), 'utf8'));
    }

    log(part) {
        return fs.readFileSync(path.join(this.dir, 'log', `${part}.log`), 'utf8');
    }

    // What is left of a stack that is down: should be empty.
    leftovers() {
        const files = fs.existsSync(this.dir) ? fs.readdirSync(this.dir, { recursive: true, withFileTypes: true }) : [];
        return [
            ...processesWith(`${this.dir}/`).map((pid) => `process ${pid}`),
            ...processesWith(`${this.dir} `).map((pid) => `process ${pid}`),
            ...files.filter((file) => file.isSocket() || file.name.endsWith('.pid')).map((file) => file.name),
        ];
    }

    // Takes everything down and asserts that nothing is left and no sanitizer spoke.
    async close() {
        const result = await this.verb('down');
        open.delete(this);
        const reports = fs.readdirSync(this.sanitizer)
            .map((name) => `${name}:\n${fs.readFileSync(path.join(this.sanitizer, name), 'utf8').slice(0, 6000)}`);
        const left = this.leftovers();
        fs.rmSync(this.parent, { recursive: true, force: true });
        assert.equal(result.status, 0, result.output);
        assert.deepEqual(left, []);
        assert.deepEqual(reports, [], reports.join('\n'));
    }

    // GET, or what `options` say; gives {status, headers, body: Buffer, text, json}.
    request(target, { method = 'GET', headers = {}, body, host = '127.0.0.1' } = {}) {
        const asked = new Promise((resolve, reject) => {
            const request = http.request({
                host, port: this.port, path: target, method, agent: false, headers: { Host: `localhost:${this.port}`, ...headers },
            }, (response) => {
                const chunks = [];
                response.on('data', (chunk) => chunks.push(chunk));
                response.on('end', () => resolve(answer(response, Buffer.concat(chunks))));
                response.on('error', reject);
            });
            request.on('error', reject);
            request.end(body);
        });
        return within(asked, 20000, `${method} ${target}`);
    }

    // A WebSocket through nginx; rejects with {status, headers, text, json} when it is refused.
    webSocket(query = '', { headers = {}, at = '/ws/telemetry/', ...options } = {}) {
        const socket = new WebSocket(`ws://127.0.0.1:${this.port}${at}${query}`, {
            headers: { Host: `localhost:${this.port}`, ...headers }, perMessageDeflate: true, ...options,
        });
        const opened = new Promise((resolve, reject) => {
            socket.on('upgrade', (response) => (socket.upgradeHeaders = response.headers));
            socket.once('open', () => resolve(socket));
            socket.on('error', reject);
            socket.once('unexpected-response', (request, response) => {
                const chunks = [];
                response.on('data', (chunk) => chunks.push(chunk));
                response.on('end', () => reject(answer(response, Buffer.concat(chunks))));
            });
        });
        return within(opened, 20000, `WebSocket ${at}${query}`);
    }
}

function answer(response, body) {
    const text = body.toString();
    let json;
    if (/[/+]json/.test(response.headers['content-type'] ?? '') && !response.headers['content-encoding']) json = JSON.parse(text);
    return { status: response.statusCode, headers: response.headers, body, text, json };
}

// A refusal of nginx's own: RFC 9457.
export function assertProblem(got, status) {
    assert.equal(got.status, status, got.text);
    assert.match(got.headers['content-type'], /^application\/problem\+json/);
    assert.equal(got.json.status, status);
    assert.ok(got.json.title && got.json.detail, got.text);
}
