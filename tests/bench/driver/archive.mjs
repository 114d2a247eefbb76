// What the archive is for: a month of one robot as a chart's worth of points, how fast the archiver works, and the
// export of a million samples. With SQLite and with PostgreSQL; no relay takes part.

import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import Redis from 'ioredis';
import { Postgres } from '../../system/lib/postgres.mjs';
import { directory, launch, run, settings, startFront, startRedis, until, watch } from './setup.mjs';

const DAY = 86400000;
const MONTH = { device: 'month', count: settings.smoke ? 8640 : 864000, every: settings.smoke ? 300000 : 3000 };
const FLEET = { robots: 50, count: settings.smoke ? 20000 : 1000000 };
const DRAIN_S = 300; // at most

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

// Like a robot's: two decimals now and then, levels that drift.
function sample(i) {
  const battery = 95 - ((i / 97) % 85);
  return `"battery":${battery.toFixed(1)},"cpu":${(i * 7) % 90},"temperature":${(38 + 9 * Math.sin(i / 500)).toFixed(1)},"signal":${60 + (i % 37)}`;
}

// A new archive with a month of one robot, in the middle of which nothing is on a boundary.
async function fillMonth(database) {
  const begin = Date.now() - 30 * DAY - 12345;
  const lines = function* () {
    for (let i = 0; i < MONTH.count; i += 1) yield `samples\t${MONTH.device}\t${begin + i * MONTH.every}-0\t${sample(i)}\n`;
  };
  await run('telerelay-fill', [database], lines());
  return { from: begin + 1000, to: begin + MONTH.count * MONTH.every };
}

// Straight onto the socket: what counts is how fast they leave Redis, not how fast they get there.
async function fillRedis(socket) {
  const begin = Date.now() - DAY;
  const names = Array.from({ length: FLEET.robots }, (_, i) => `fleet_${String(i).padStart(2, '0')}`);
  const bulk = (parts) => `*${parts.length}\r\n${parts.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`).join('')}`;
  const peer = net.connect(socket);
  let wanted = 0;
  let answers = 0;
  const done = new Promise((resolve, reject) => {
    peer.on('error', reject);
    peer.on('data', (data) => {
      for (const byte of data) answers += byte === 10;
      if (wanted && answers >= wanted) resolve();
    });
  });
  peer.write(bulk(['ZADD', 'tr:devices', ...names.flatMap((name) => [String(begin), name])]));
  const each = FLEET.count / FLEET.robots;
  for (let i = 0; i < each; i += 1) {
    const piece = names.map((name, k) => bulk(['XADD', `tr:tel:${name}`, `${begin + i * 1000 + k}-0`, 'd', sample(i + k)])).join('');
    if (!peer.write(piece)) await new Promise((resolve) => peer.once('drain', resolve));
  }
  wanted = 1 + 2 * FLEET.count; // an XADD's answer has two lines
  if (answers < wanted) await done;
  peer.destroy();
  return { names, from: begin };
}

async function drain(socket, dir, database) {
  const client = new Redis({ path: socket });
  try {
    const begin = performance.now();
    const archiver = launch('archiver', dir, 'telerelay-archiver', {
      database, 'redis-address': `unix:${socket}`, 'interval-ms': 50, 'hot-samples': 1000, 'log-level': 'warn',
    });
    await until('the archiver archives', async () => {
      archiver.check();
      return Number(await client.hget('tr:archive', 'rows')) >= FLEET.count;
    }, DRAIN_S);
    const seconds = (performance.now() - begin) / 1000;
    await archiver.stop();
    return { seconds, left: Number(await client.xlen('tr:tel:fleet_00')) };
  } finally {
    client.disconnect();
  }
}

// {ms, bytes, lines, text?} of one answer.
function ask(port, target, { keep = false } = {}) {
  return new Promise((resolve, reject) => {
    const begin = performance.now();
    const request = http.get({ host: '127.0.0.1', port, path: target }, (answer) => {
      let bytes = 0;
      let lines = 0;
      let text = '';
      answer.on('data', (data) => {
        bytes += data.length;
        for (let at = data.indexOf(10); at >= 0; at = data.indexOf(10, at + 1)) lines += 1;
        if (keep || answer.statusCode !== 200) text += data;
      });
      answer.on('error', reject);
      answer.on('end', () => {
        if (answer.statusCode !== 200) reject(new Error(`bench: ${target.slice(0, 80)}: ${answer.statusCode} ${text.slice(0, 300)}`));
        else resolve({ ms: performance.now() - begin, bytes, lines, text });
      });
    });
    request.on('error', reject);
  });
}

async function points(report, name, port, { from, to }, most) {
  const target = `/api/telemetry?device_id=${MONTH.device}&from=${from}&to=${to}&points=500&format=columns`;
  const { text } = await ask(port, target, { keep: true });
  const { count, step } = JSON.parse(text);
  const times = [];
  for (const end = performance.now() + (settings.seconds * 1000) / 2; performance.now() < end || times.length < 5;) times.push((await ask(port, target)).ms);
  const figure = { name: `${name}.points_500`, unit: 'ms, p50', value: median(times),
    details: { samples: MONTH.count, buckets: count, step, answers: times.length, worst: Math.max(...times) } };
  if (most) report.limit({ ...figure, most });
  else report.add(figure);
}

async function exportAll(report, name, port, api, { names, from }) {
  const before = watch(api.worker()).rss;
  const { ms, bytes, lines } = await ask(port, `/api/telemetry?device_id=${names.join(',')}&from=${from}&order=asc&format=csv`);
  const grown = watch(api.worker()).peak - before;
  if (lines !== FLEET.count + 1) throw new Error(`bench: the export has ${lines - 1} rows instead of ${FLEET.count}`);
  report.add({ name: `${name}.export`, unit: 's', value: ms / 1000, details: { rows: lines - 1, bytes } });
  report.add({ name: `${name}.export_rows`, unit: 'rows/s', value: (lines - 1) / (ms / 1000) });
  report.limit({ name: `${name}.export_memory`, unit: 'MiB grown', value: grown / 1048576, most: 64 });
}

async function side(report, name, database, most) {
  const dir = directory();
  const redis = await startRedis(dir);
  const month = await fillMonth(database);
  const fleet = await fillRedis(redis.socket);
  const { seconds, left } = await drain(redis.socket, dir, database);
  report.add({ name: `${name}.archiving`, unit: 'samples/s', value: FLEET.count / seconds,
    details: { samples: FLEET.count, robots: FLEET.robots, seconds, left_of_one_in_redis: left } });
  const socket = path.join(dir, 'api.sock');
  const api = launch('api', dir, 'telerelay-api', {
    listen: `unix:${socket}`, 'redis-address': `unix:${redis.socket}`, 'archive-database': database, workers: 1,
    'log-level': 'warn',
  });
  await until('the api', () => api.check() || fs.existsSync(socket));
  const port = await startFront(dir, socket);
  await points(report, name, port, month, most);
  await exportAll(report, name, port, api, fleet);
}

export async function archive(report) {
  const dir = directory();
  await side(report, 'archive_sqlite', `sqlite:${path.join(dir, 'archive.db')}`, 20);
  const postgres = await Postgres.start({ durable: true });
  try {
    await side(report, 'archive_postgres', postgres.uri);
  } finally {
    await postgres.remove();
  }
}
