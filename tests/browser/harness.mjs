// The real stack and a real browser for the tests of the dashboard: a stack of its own on free
// ports below /tmp, robots' traces, pages that note whatever a healthy page must not do.

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { chromium } from 'playwright-core';

const run = promisify(execFile);
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const POLL_MS = 10;

/** CLOCK_MONOTONIC in ns: the clock of the robots' traces. */
export const monotonic = () => Number(process.hrtime.bigint());

/** The first truthy value of `probe`; fails with `what` when there is none within `ms`. */
export async function eventually(what, ms, probe) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > end) throw new assert.AssertionError({ message: `not within ${ms} ms: ${what}` });
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function freePorts(count) {
  const servers = await Promise.all(Array.from({ length: count }, () => new Promise((resolve, reject) => {
    const server = createServer().once('error', reject).listen(0, '127.0.0.1', () => resolve(server));
  })));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Stacks that run: none outlives this process, however it ends. @type {Set<NodeJS.ProcessEnv>} */
const running = new Set();
process.on('exit', () => {
  for (const env of running) execFileSync(path.join(root, 'deploy/stack'), ['down'], { env, timeout: 20_000 });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

/** Starts a stack with two relays; `down` stops it and removes its directory. settings: more of deploy/stack's. */
export async function startStack(robots = 2, settings = {}) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await tryStack(robots, settings);
    } catch (error) {
      // Somebody else may take a port between its choice and its use.
      if (attempt === 3 || !/port \d+ on 127\.0\.0\.1 is taken/.test(error.message)) throw error;
    }
  }
}

async function tryStack(robots, settings) {
  const dir = await mkdtemp('/tmp/telerelay-browser-');
  const [port, tlsPort] = await freePorts(2);
  const env = {
    ...process.env, PORT: `${port}`, TLS_PORT: `${tlsPort}`, RUN_DIR: dir, RELAYS: '2', ROBOTS: `${robots}`, ...settings,
  };
  const verb = (...args) => run(path.join(root, 'deploy/stack'), args, { env, timeout: 60_000 });
  const down = async () => {
    await verb('down');
    running.delete(env);
    await rm(dir, { recursive: true, force: true });
  };
  running.add(env);
  try {
    await verb('up');
  } catch (error) {
    await verb('down').then(() => running.delete(env), () => {});
    throw new Error(`deploy/stack up: ${error.stderr || error.message} (${dir})`);
  }
  return {
    dir,
    url: `http://127.0.0.1:${port}`,
    tlsUrl: `https://localhost:${tlsPort}`,
    start: (name) => verb('start', name),
    stop: (name) => verb('stop', name),
    async kill(name, signal = 'SIGKILL') {
      const pid = Number(await readFile(path.join(dir, 'pids', `${name}.pid`), 'utf8'));
      assert.ok(pid > 1);
      process.kill(pid, signal);
    },
    trace: (robot) => new Trace(path.join(dir, 'log', `${robot}.trace`)),
    down,
  };
}

/** What a robot's outputs did. */
class Trace {
  constructor(file) {
    this.file = file;
  }

  /** The lines of one output since `t_ns`. */
  async since(output, t_ns) {
    const text = await readFile(this.file, 'utf8').catch(() => '');
    const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n').filter(Boolean);
    return lines.map((line) => JSON.parse(line)).filter((line) => line.output === output && line.t_ns >= t_ns);
  }

  /** The first line of `output` since `t_ns` that satisfies `match`. */
  first(output, t_ns, match, ms = 3000) {
    return eventually(`${output} in ${this.file}: ${match}`, ms, async () =>
      (await this.since(output, t_ns)).find(match));
  }
}

export const moves = (line) => line.left !== 0 || line.right !== 0;
export const rests = (line) => line.left === 0 && line.right === 0;
export const pans = (line) => line.pan !== 0 || line.tilt !== 0;
export const still = (line) => line.pan === 0 && line.tilt === 0;

export const launch = () =>
  chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });

/** The page's parts by what assistive technology calls them. */
export const parts = (page) => ({
  drive: page.getByRole('application', { name: 'Drive', exact: true }),
  camera: page.getByRole('application', { name: 'Camera', exact: true }),
  speed: page.getByRole('slider', { name: 'Speed', exact: true }),
  brightness: page.getByRole('slider', { name: 'Brightness', exact: true }),
  robots: page.getByRole('combobox', { name: 'Robots', exact: true }),
  stop: page.getByRole('button', { name: 'Stop', exact: true }),
  rearm: page.getByRole('button', { name: 'Re-arm', exact: true }),
  take: page.getByRole('button', { name: 'Take control', exact: true }),
  release: page.getByRole('button', { name: 'Release control', exact: true }),
  stopState: page.getByTestId('stop-state'),
  control: page.getByTestId('control'),
  notice: page.getByTestId('notice'),
  connection: page.getByTestId('connection'),
  log: page.getByTestId('command-log'),
  metric: (name) => page.locator(`[data-metric="${name}"]`),
});

/**
 * A page in a context of its own. `page.faults` collects errors, violations of the content security
 * policy and requests to other hosts; `page.sent` the WebSocket frames it sent, with their time, `page.pongs` the ids
 * of the pings that were answered.
 */
export async function openPage(browser, url, options = {}) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
  const page = await context.newPage();
  page.faults = [];
  page.sent = [];
  page.pongs = new Set();
  page.on('pageerror', (error) => page.faults.push(`error: ${error.message}`));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) page.faults.push(`console: ${message.text()}`);
  });
  page.on('request', (request) => {
    if (!/^(data|blob):/.test(request.url()) && new URL(request.url()).host !== new URL(url).host) {
      page.faults.push(`request: ${request.url()}`);
    }
  });
  page.on('websocket', (socket) => {
    socket.on('framesent', ({ payload }) => page.sent.push({ t_ns: monotonic(), ...JSON.parse(payload) }));
    socket.on('framereceived', ({ payload }) => {
      if (payload.startsWith('{"type":"pong"')) page.pongs.add(JSON.parse(payload).id);
    });
  });
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener('securitypolicyviolation', (event) => {
      window.violations.push(`${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  await page.goto(url);
  await connected(page);
  return page;
}

export const connected = (page, ms = 5000) =>
  eventually('the page is connected', ms, async () =>
    (await page.getByTestId('connection').getAttribute('data-state')) === 'connected');

/** Waits for an answer to something that the page sends from now on: what it did before has been seen by then. */
export function roundTrip(page) {
  const since = monotonic();
  return eventually('a ping from now on is answered', 5000, () =>
    page.sent.some((m) => m.type === 'ping' && m.t_ns > since && page.pongs.has(m.id)));
}

/** Ends a page's life, and fails for whatever it did wrong in it. */
export async function closePage(page) {
  const violations = await page.evaluate(() => window.violations);
  await page.context().close();
  assert.deepEqual([...page.faults, ...violations], []);
}

/** Waits for the robot to be offered and addresses it. */
export async function choose(page, robot) {
  const { robots } = parts(page);
  await eventually(`${robot} is offered`, 5000, async () =>
    (await robots.locator('option').allTextContents()).includes(robot));
  await robots.selectOption(robot);
}

/** Waits until the element's text matches. */
export const reads = (locator, pattern, ms = 3000) => {
  let last;
  return eventually(pattern, ms, async () => pattern.test(last = await locator.textContent()))
    .catch((error) => { throw new assert.AssertionError({ message: `${error.message}; it reads ${JSON.stringify(last)}` }); });
};

/** A point of a pad: x, y in −1..1 of its radius, y up. */
export async function point(pad, x, y) {
  const box = await pad.boundingBox();
  return { x: box.x + (box.width / 2) * (1 + x), y: box.y + (box.height / 2) * (1 - y) };
}

export async function grab(page, pad, x, y) {
  const from = await point(pad, 0, 0);
  const to = await point(pad, x, y);
  await page.mouse.move(from.x, from.y);
  await page.mouse.down();
  await page.mouse.move(to.x, to.y, { steps: 4 });
}
