// The relay one would write in an afternoon, done well: Node, ws and ioredis. The same protocol for robots'
// telemetry (validate, XADD, then acknowledge and PUBLISH), and every website gets what is published.
//
//   node node-relay.mjs SOCKET REDIS_SOCKET

import http from 'node:http';
import Redis from 'ioredis';
import { WebSocketServer } from 'ws';

const [socketPath, redisPath] = process.argv.slice(2);
const CHANNEL = 'node/telemetry';
const RANGES = { battery: [0, 100], cpu: [0, 100], signal: [0, 100], temperature: [-100, 300] };
const NAME = /^[A-Za-z][A-Za-z0-9_]{0,31}$/;
const SKIPPED = new Set(['type', 'device_id', 'device_name', 'timestamp']);
const SLOW_BYTES = 64 * 1024; // a website that has more than this unsent misses messages

const commands = new Redis({ path: redisPath, enableAutoPipelining: true });
const subscriber = new Redis({ path: redisPath });
const websites = new Set();

subscriber.on('messageBuffer', (channel, message) => {
  for (const website of websites) {
    if (website.bufferedAmount < SLOW_BYTES) website.send(message, { binary: false });
  }
});

const fail = (ws, code, error) => ws.send(JSON.stringify({ type: 'error', error, code, original_type: 'telemetry' }));

function metricsOf(message) {
  const metrics = {};
  for (const [name, value] of Object.entries(message)) {
    if (SKIPPED.has(name) || typeof value !== 'number' || !NAME.test(name)) continue;
    const range = RANGES[name];
    if (!Number.isFinite(value) || (range && (value < range[0] || value > range[1]))) return null;
    metrics[name] = value;
  }
  return metrics;
}

async function onTelemetry(ws, deviceId, message) {
  const metrics = metricsOf(message);
  if (!metrics) return fail(ws, 'out_of_range', 'A value is out of range');
  const timestamp = new Date().toISOString();
  const update = JSON.stringify({ type: 'telemetry_update', device_id: deviceId, device_name: deviceId, ...metrics, timestamp });
  try {
    await commands.xadd(`node:tel:${deviceId}`, '*', 'd', JSON.stringify(metrics));
  } catch {
    return fail(ws, 'not_stored', 'Telemetry was not stored');
  }
  ws.send(
    JSON.stringify({
      type: 'ack',
      original_type: 'telemetry',
      status: 'received',
      message: 'Telemetry data received and saved',
      timestamp,
    }),
  );
  commands.publish(CHANNEL, update).catch(() => {});
}

function onMessage(ws, deviceId, data) {
  let message;
  try {
    message = JSON.parse(data);
  } catch {
    return fail(ws, 'invalid_json', 'Invalid JSON format');
  }
  if (deviceId && message && message.type === 'telemetry') onTelemetry(ws, deviceId, message);
  else fail(ws, 'unknown_type', 'Unknown type');
}

const server = http.createServer((_request, response) => response.writeHead(404).end());
const relay = new WebSocketServer({ server, perMessageDeflate: false, maxPayload: 16 * 1024 });
relay.on('connection', (ws, request) => {
  const deviceId = new URL(request.url, 'http://localhost').searchParams.get('device_id');
  ws.on('message', (data) => onMessage(ws, deviceId, data));
  ws.on('error', () => ws.terminate());
  if (!deviceId) {
    websites.add(ws);
    ws.on('close', () => websites.delete(ws));
  }
  ws.send(JSON.stringify({ type: 'connection', status: 'connected', device_type: deviceId ? 'robot' : 'website' }));
});

await subscriber.subscribe(CHANNEL);
server.listen(socketPath);
process.on('SIGTERM', () => process.exit(0));
