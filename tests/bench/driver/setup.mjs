// Servers of this run's own, in a directory of its own: started here, ended here by their pids.

import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import Redis from 'ioredis';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const bin = path.join(root, 'build', process.env.CONFIG || 'release', 'bin');
const smoke = process.env.BENCH_SMOKE === '1';
export const settings = {
  smoke,
  seconds: Number(process.env.BENCH_SECONDS || (smoke ? 1 : 6)),
  idle: smoke ? 1000 : 10000,
};

// Servers on the first core and the load on the second, so that neither takes time from the other.
const cores = os.cpus().length;
const pinned = (core, command) => (cores > 1 && core !== null ? ['taskset', '-c', String(core), ...command] : command);
const SERVERS = 0;
const LOAD = 1;

const undo = []; // what cleanUp does, newest first

export async function cleanUp() {
  while (undo.length) {
    try {
      await undo.pop()();
    } catch (error) {
      console.error(`bench: ${error.message}`);
    }
  }
}

export function directory() {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'telerelay-bench-'));
  undo.push(() => fs.rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export const freePort = () =>
  new Promise((resolve, reject) => {
    const server = net.createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function until(what, ready, seconds = 10) {
  const limit = Date.now() + seconds * 1000;
  while (!(await ready())) {
    if (Date.now() > limit) throw new Error(`bench: ${what}: not within ${seconds} s`);
    await delay(20);
  }
}

const answers = (where) =>
  new Promise((resolve) => {
    const socket = net.connect(where);
    socket.on('connect', () => resolve(true) || socket.destroy());
    socket.on('error', () => resolve(false));
  });

function start(name, dir, command) {
  const log = fs.openSync(path.join(dir, `${name}.log`), 'a');
  const [program, ...args] = pinned(SERVERS, command);
  const child = spawn(program, args, { stdio: ['ignore', log, log] });
  fs.closeSync(log);
  let ended = false;
  const gone = new Promise((resolve) => child.once('exit', () => resolve((ended = true))));
  child.once('error', () => (ended = true));
  undo.push(async () => {
    if (ended) return;
    child.kill('SIGTERM');
    await Promise.race([gone, delay(5000)]);
    if (!ended) child.kill('SIGKILL');
  });
  const stop = async () => {
    child.kill('SIGTERM');
    await gone;
  };
  return { pid: child.pid, stop, check: () => { if (ended) throw new Error(`bench: ${name} ended:\n${fs.readFileSync(path.join(dir, `${name}.log`))}`); } };
}

const children = (pid) =>
  fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(/\s+/).filter(Boolean).map(Number);

// --- single programs ------------------------------------------------------------------------------------

// One of ours as a server; flags: names without dashes.
export function launch(name, dir, program, flags) {
  const args = Object.entries(flags).flatMap(([key, value]) => [`--${key}`, String(value)]);
  const server = start(name, dir, [path.join(bin, program), ...args]);
  return { ...server, worker: () => children(server.pid)[0] };
}

// One of ours to its end, with lines on its stdin.
export async function run(program, args, lines) {
  const child = spawn(path.join(bin, program), args, { stdio: ['pipe', 'ignore', 'pipe'] });
  let err = '';
  child.stderr.on('data', (data) => (err += data));
  const ended = new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  await Promise.all([pipeline(Readable.from(lines), child.stdin), ended]);
  if ((await ended) !== 0) throw new Error(`bench: ${program}: ${err.trim()}`);
}

// Memory of a process, in bytes: now, and the most that it ever had.
export function watch(pid) {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  const bytes = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)[1]) * 1024;
  return { rss: bytes('VmRSS'), peak: bytes('VmHWM') };
}

// A web server in front of one FastCGI socket; resolves to its port.
export async function startFront(dir, socket) {
  const port = await freePort();
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${dir}/${kind};`).join(' ');
  fs.writeFileSync(path.join(dir, 'front.conf'), `
daemon off; ${process.getuid() === 0 ? 'user root;' : ''} worker_processes 1; pid ${dir}/front.pid; error_log ${dir}/front.log;
events { worker_connections 64; }
http {
  access_log off; ${temp}
  server {
    listen 127.0.0.1:${port};
    location / { include /etc/nginx/fastcgi_params; fastcgi_buffers 32 16k; fastcgi_max_temp_file_size 0; fastcgi_read_timeout 300s; fastcgi_pass unix:${socket}; }
  }
}
`);
  const front = start('front', dir, ['nginx', '-p', dir, '-c', path.join(dir, 'front.conf')]);
  await until('nginx', () => front.check() || answers({ host: '127.0.0.1', port }));
  return port;
}

// --- the stack as `make up` runs it, without rate limits ------------------------------------------------

export async function startStack({ relays = 1, spread = false } = {}) {
  const dir = directory();
  const runDir = path.join(dir, 'run');
  const web = path.join(dir, 'web');
  fs.mkdirSync(web);
  fs.writeFileSync(path.join(web, 'index.html'), 'bench');
  const port = await freePort();
  let tlsPort = await freePort();
  while (tlsPort === port) tlsPort = await freePort();
  const env = {
    ...process.env,
    RUN_DIR: runDir, PORT: port, TLS_PORT: tlsPort, RELAYS: relays, ROBOTS: 0, AUTH: 'open', LIMITS: 'off',
    TELERELAY_BIN: bin, TELERELAY_WEB: web, TELERELAY_WSD_STREAM_MAXLEN: '0',
  };
  const stack = (...verb) => {
    const [program, ...args] = pinned(spread ? null : SERVERS, [path.join(root, 'deploy/stack'), ...verb]);
    return execFileSync(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8', timeout: 60000 });
  };
  undo.push(() => stack('down'));
  stack('up');
  const pid = (name) => Number(fs.readFileSync(path.join(runDir, 'pids', `${name}.pid`), 'utf8'));
  const family = (name) => [pid(name), ...children(pid(name))].join(',');
  const relayNames = Array.from({ length: relays }, (_, i) => `wsd-${i + 1}`);
  return {
    relay: (i) => `unix:${runDir}/wsd-${i}.sock`,
    redis: `unix:${runDir}/redis.sock`,
    http: `127.0.0.1:${port}`,
    restart: (name) => stack('restart', name),
    pids: () => [`relay=${relayNames.map(pid).join(',')}`, `redis=${pid('redis')}`],
    apiPids: () => [`redis=${pid('redis')}`, `api=${family('api')}`, `nginx=${family('nginx')}`],
    redisPids: () => [`redis=${pid('redis')}`],
    dropped: () => dropped(path.join(runDir, 'redis.sock'), relayNames),
  };
}

// What the relays have dropped on purpose so far: telemetry for websites that did not keep up, moves that a
// newer one replaced or that became too old. They say so once a second; this waits for the next time.
const DROPS = /^telerelay_wsd_(?:telemetry_thinned|queue_refused|commands_replaced|commands_expired)_total\{.*\} (\d+)$/gm;

async function dropped(socket, relays) {
  const redis = new Redis({ path: socket });
  let sum = 0;
  try {
    for (const name of relays) {
      const key = `tr:metrics:${name}`;
      let left = await redis.pttl(key);
      await until(`the metrics of ${name}`, async () => {
        const before = left;
        left = await redis.pttl(key);
        return left > before;
      });
      for (const [, count] of (await redis.get(key)).matchAll(DROPS)) sum += Number(count);
    }
  } finally {
    redis.disconnect();
  }
  return sum;
}

// --- Redis for the references, configured like ours -----------------------------------------------------

export async function startRedis(dir) {
  const port = await freePort();
  const socket = path.join(dir, 'redis.sock');
  const data = path.join(dir, 'redis');
  fs.mkdirSync(data);
  const values = { SOCK: socket, PERM: '700', DIR: data, DAEMONIZE: 'no', SUPERVISED: 'no', LOGFILE: '' };
  const text = fs
    .readFileSync(path.join(root, 'deploy/redis.conf.in'), 'utf8')
    .split('\n')
    .filter((line) => !line.includes('@PIDFILE@') && !/^port /.test(line))
    .join('\n')
    .replace(/@([A-Z]+)@/g, (_, key) => values[key] ?? '');
  fs.writeFileSync(path.join(dir, 'redis.conf'), `${text}\nport ${port}\nbind 127.0.0.1\n`);
  const redis = start('redis', dir, ['redis-server', path.join(dir, 'redis.conf')]);
  await until('redis', () => redis.check() || answers(socket));
  return { pid: redis.pid, socket, port };
}

// --- references -----------------------------------------------------------------------------------------

const modulePaths = ['/usr/lib/nginx/modules/ngx_nchan_module.so', '/usr/share/nginx/modules/ngx_nchan_module.so'];
export const nchanModule = modulePaths.find((file) => fs.existsSync(file)) ?? null;

// As fast as nchan gets: one worker, no access log, a short buffer, no HTTP features around it. `count`
// servers share a Redis if there is one; its URL takes no unix socket.
export async function startNchan({ redis = null, count = 1 } = {}) {
  const dir = directory();
  const servers = [];
  for (let i = 1; i <= count; i += 1) {
    const own = path.join(dir, `nchan-${i}`);
    const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${own}/${kind};`).join(' ');
    const channel = `nchan_channel_id $1; nchan_message_buffer_length 10; nchan_message_timeout 5s;${redis ? ' nchan_redis_pass storage;' : ''}`;
    fs.mkdirSync(own);
    fs.writeFileSync(
      path.join(own, 'nginx.conf'),
      `load_module ${nchanModule};
daemon off; ${process.getuid() === 0 ? 'user root;' : ''} worker_processes 1; worker_rlimit_nofile ${settings.idle + 4000};
pid ${own}/nginx.pid; error_log ${own}/error.log error;
events { worker_connections ${settings.idle + 2000}; }
http {
  access_log off; tcp_nodelay on; ${temp}
  nchan_shared_memory_size 128m;
  ${redis ? `upstream storage { nchan_redis_server redis://127.0.0.1:${redis.port}; }` : ''}
  server {
    listen unix:${own}/nchan.sock;
    location ~ ^/pub/(\\w+)$ { nchan_publisher websocket; ${channel} }
    location ~ ^/sub/(\\w+)$ { nchan_subscriber websocket; nchan_subscriber_first_message newest; ${channel} }
  }
}
`,
    );
    const server = start(`nchan-${i}`, dir, ['nginx', '-p', own, '-c', path.join(own, 'nginx.conf')]);
    await until('nchan', () => server.check() || answers(path.join(own, 'nchan.sock')));
    await until('the worker of nchan', () => children(server.pid).length > 0);
    servers.push({ address: `unix:${own}/nchan.sock`, pids: () => [server.pid, ...children(server.pid)] });
  }
  return {
    relay: (i) => servers[i - 1].address,
    pids: () => [`relay=${servers.flatMap((one) => one.pids()).join(',')}`, ...(redis ? [`redis=${redis.pid}`] : [])],
  };
}

export async function startNodeRelay() {
  const dir = directory();
  const redis = await startRedis(dir);
  const socket = path.join(dir, 'node.sock');
  const relay = start('node', dir, ['node', path.join(root, 'tests/bench/reference/node-relay.mjs'), socket, redis.socket]);
  await until('the reference relay', () => relay.check() || answers(socket));
  return {
    relay: () => `unix:${socket}`,
    redis: `unix:${redis.socket}`,
    pids: () => [`relay=${relay.pid}`, `redis=${redis.pid}`],
  };
}

// --- the load generator ---------------------------------------------------------------------------------

// options: names without dashes; an array repeats the option, true is a flag. Resolves to its report.
export function generate(scenario, options, { spread = false } = {}) {
  const args = [scenario];
  for (const [key, value] of Object.entries(options)) {
    for (const one of [value].flat()) args.push(`--${key}`, ...(one === true ? [] : [String(one)]));
  }
  const [program, ...rest] = pinned(spread ? null : LOAD, [path.join(bin, 'telerelay-bench'), ...args]);
  return new Promise((resolve, reject) => {
    const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.on('data', (data) => (out += data));
    child.stderr.on('data', (data) => (err += data));
    child.on('error', reject);
    undo.push(() => child.kill('SIGKILL'));
    child.on('close', (code, signal) => {
      if (code === 0) resolve(out ? JSON.parse(out) : null);
      else reject(new Error(`bench: ${scenario} ended with ${code ?? signal}: ${err.trim()}`));
    });
  });
}
