// What ends a motion although the stick is still held: it has to be grabbed again before it moves a robot that
// comes, comes back or is re-armed. On the real stack; what counts is what the robots' outputs do.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import WebSocket from 'ws';

import {
  choose, closePage, eventually, grab, launch, monotonic, moves, openPage, parts, point, reads, rests, startStack,
} from './harness.mjs';

const MS = 1e6; // ns

let stack;
let browser;
let robot1;
let robot2;

before(async () => {
  stack = await startStack(2);
  browser = await launch();
  robot1 = stack.trace('robot_01');
  robot2 = stack.trace('robot_02');
});

after(async () => {
  await browser?.close();
  await stack?.down();
});

afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));

/** Another website sends one message and waits for the relay's answer. */
const say = (message) => new Promise((resolve, reject) => {
  const socket = new WebSocket(`${stack.url.replace('http', 'ws')}/ws/telemetry/`);
  socket.on('error', reject);
  socket.on('open', () => socket.send(JSON.stringify(message)));
  socket.on('message', (data) => {
    if (JSON.parse(data).original_type === message.type) socket.close();
  });
  socket.on('close', resolve);
});

afterEach(() => say({ type: 'rearm' }));

const isHeld = async (pad) => (await pad.getAttribute('data-held')) === 'true';
const letGo = (pad, ms = 3000) => eventually('the stick is let go', ms, async () => !(await isHeld(pad)));
const usable = (pad, ms = 8000) =>
  eventually('the stick can be used', ms, async () => (await pad.getAttribute('aria-disabled')) === 'false');
const movesOf = (page, since) => page.sent.filter((m) => /_move$/.test(m.type) && m.t_ns > since);

/** Time for something that must not happen. */
const pass = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The hand is still on the stick, and moves nothing until it grabs it again. */
async function movesNothing(page, pad, since, traces) {
  const sent = monotonic();
  for (const y of [0.5, 0.7, 0.6]) {
    const to = await point(pad, 0, y);
    await page.mouse.move(to.x, to.y);
    await pass(150);
  }
  assert.deepEqual(movesOf(page, sent), []);
  for (const trace of traces) assert.deepEqual((await trace.since('drive', since)).filter(moves), []);
}

test('a robot that was away is not driven by the stick that drove it before', async () => {
  const page = await openPage(browser, `${stack.url}/`);
  const { drive } = parts(page);
  await choose(page, 'robot_02');
  let begin = monotonic();
  await grab(page, drive, 0, 0.6);
  await robot2.first('drive', begin, moves);
  await stack.stop('robot_02');
  await reads(page.locator('#drive-readout'), /^Offline$/, 8000);
  assert.equal(await isHeld(drive), false);
  begin = monotonic();
  await stack.start('robot_02');
  await usable(drive);
  await movesNothing(page, drive, begin, [robot2]);
  await page.mouse.up();
  await grab(page, drive, 0, 0.6);
  await robot2.first('drive', begin, moves);
  await page.mouse.up();
  await closePage(page);
});

test('with all robots addressed one that joins is not driven by a stick that is held already', async () => {
  await stack.stop('robot_02');
  const page = await openPage(browser, `${stack.url}/`);
  const { drive, stopState } = parts(page);
  await reads(stopState, /^robot_01 Armed$/, 8000);
  let begin = monotonic();
  await grab(page, drive, 0, 0.6);
  await robot1.first('drive', begin, moves);
  begin = monotonic();
  await stack.start('robot_02');
  await letGo(drive, 8000);
  await robot1.first('drive', begin, rests);
  await movesNothing(page, drive, begin, [robot2]);
  await page.mouse.up();
  begin = monotonic();
  await grab(page, drive, 0, 0.6);
  await Promise.all([robot1, robot2].map((trace) => trace.first('drive', begin, moves)));
  await page.mouse.up();
  await closePage(page);
});

test('with no robot online there is nothing to drive', async () => {
  await Promise.all(['robot_01', 'robot_02'].map((name) => stack.stop(name)));
  const page = await openPage(browser, `${stack.url}/`);
  const { drive, speed, log } = parts(page);
  try {
    await reads(page.locator('#drive-readout'), /^No robot is online$/, 8000);
    assert.equal(await drive.getAttribute('aria-disabled'), 'true');
    await speed.fill('70');
    await reads(log.locator('li').first(), /Speed 70 %.*robots: 0/);
  } finally {
    await Promise.all(['robot_01', 'robot_02'].map((name) => stack.start(name)));
  }
  await usable(drive);
  await closePage(page);
});

test('a robot that is re-armed is not driven by a stick that is held already', async () => {
  const page = await openPage(browser, `${stack.url}/`);
  const { drive, rearm, stopState } = parts(page);
  await reads(stopState, /^All Armed$/, 8000);
  await say({ type: 'stop', device_id: 'robot_02' });
  await reads(stopState, /robot_02 Stopped by.*confirmed/);
  for (const undo of [() => say({ type: 'rearm', device_id: 'robot_02' }), () => rearm.dispatchEvent('click')]) {
    let begin = monotonic();
    await grab(page, drive, 0, 0.6);
    await robot1.first('drive', begin, moves);
    assert.deepEqual((await robot2.since('drive', begin)).filter(moves), []);
    begin = monotonic();
    await undo();
    await letGo(drive);
    await reads(stopState, /^All Armed$/);
    await robot1.first('drive', begin, rests);
    await movesNothing(page, drive, begin, [robot2]);
    await page.mouse.up();
    await say({ type: 'stop', device_id: 'robot_02' });
    await reads(stopState, /robot_02 Stopped by.*confirmed/);
  }
  await closePage(page);
});

test('a relay that does not answer: the sticks are let go, and what waited for it moves nobody for long', async () => {
  const page = await openPage(browser, `${stack.url}/`);
  const { drive, camera, connection, stopState } = parts(page);
  await reads(stopState, /^All Armed$/, 8000);
  let begin = monotonic();
  await grab(page, drive, 0, 0.6);
  await Promise.all([robot1, robot2].map((trace) => trace.first('drive', begin, moves)));
  begin = monotonic();
  await Promise.all(['wsd-1', 'wsd-2'].map((name) => stack.kill(name, 'SIGSTOP')));
  try {
    await Promise.all([letGo(drive, 2000), reads(page.locator('#camera-readout'), /^The relay does not answer$/)]);
    assert.equal(await camera.getAttribute('aria-disabled'), 'true');
    const waiting = movesOf(page, begin).filter((m) => m.x !== 0 || m.y !== 0);
    assert.ok(waiting.length <= 8, `${waiting.length} motions`); // six, and those of the moment before the signal
    assert.deepEqual(movesOf(page, 0).slice(-1).map(({ x, y }) => [x, y]), [[0, 0]]);
  } finally {
    begin = monotonic();
    await Promise.all(['wsd-1', 'wsd-2'].map((name) => stack.kill(name, 'SIGCONT')));
  }
  await usable(drive);
  await movesNothing(page, drive, monotonic(), [robot1, robot2]);
  for (const trace of [robot1, robot2]) {
    const lines = await trace.since('drive', begin);
    for (const [i, line] of lines.entries()) {
      if (moves(line)) assert.ok(lines[i + 1]?.t_ns - line.t_ns < 200 * MS, 'the zero comes right behind');
    }
    assert.ok(rests((await trace.since('drive', 0)).at(-1)));
  }
  assert.equal(await connection.getAttribute('data-state'), 'connected');
  await page.mouse.up();
  begin = monotonic();
  await grab(page, drive, 0, 0.6);
  await robot1.first('drive', begin, moves);
  await page.mouse.up();
  await closePage(page);
});

test('a connection that is given up takes a zero along', async () => {
  const page = await openPage(browser, `${stack.url}/`);
  const { drive, stopState } = parts(page);
  await reads(stopState, /^All Armed$/, 8000);
  let begin = monotonic();
  await grab(page, drive, 0, 0.6);
  await robot1.first('drive', begin, moves);
  begin = monotonic();
  await page.evaluate(() => window.dispatchEvent(new Event('online'))); // back on the network: another connection
  assert.equal((await robot1.first('drive', begin, rests)).cause, 'command');
  await letGo(drive);
  const zeros = movesOf(page, begin).filter((m) => m.x === 0 && m.y === 0);
  assert.equal(zeros.length, 1);
  await page.mouse.up();
  await closePage(page);
});
