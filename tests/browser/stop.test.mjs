// Stop and re-arm from the page, what it says about them, and what it says when it cannot know: on the real
// stack with two relays and two robots. What counts is what the robots' outputs do, as their traces tell.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import WebSocket from 'ws';

import {
  choose, closePage, connected, eventually, grab, launch, monotonic, moves, openPage, parts, point, reads, rests,
  roundTrip, startStack,
} from './harness.mjs';

const MS = 1e6; // ns
const CONFIRMED = /robot_01 Stopped by \S+ at \d\d:\d\d:\d\d: confirmed by the robot/;

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

// Whatever a test left stopped does not fail the next one.
afterEach(() => new Promise((resolve, reject) => {
  const socket = new WebSocket(`${stack.url.replace('http', 'ws')}/ws/telemetry/`);
  socket.on('error', reject);
  socket.on('open', () => socket.send('{"type":"rearm"}'));
  socket.on('message', (data) => {
    if (JSON.parse(data).original_type === 'rearm') socket.close();
  });
  socket.on('close', resolve);
}));

async function driver(options) {
  const page = await openPage(browser, `${stack.url}/`, options);
  await choose(page, 'robot_01');
  await reads(parts(page).stopState, /^robot_01 Armed$/);
  return page;
}

const stopsOf = (page) => page.sent.filter((m) => m.type === 'stop');
const movesOf = (page, since) => page.sent.filter((m) => /_move$/.test(m.type) && m.t_ns > since);

test('Stop ends a motion, is confirmed by the robot, and lasts until somebody re-arms', async () => {
  const page = await driver();
  const other = await driver();
  const { drive, camera, speed, stop, rearm, stopState, log } = parts(page);
  assert.equal(await rearm.isEnabled(), false);
  let begin = monotonic();
  await drive.focus();
  await page.keyboard.down('w');
  await robot1.first('drive', begin, moves);
  begin = monotonic();
  await stop.click();
  const line = await robot1.first('drive', begin, rests);
  assert.ok((line.t_ns - begin) / MS < 500, `${(line.t_ns - begin) / MS} ms`);
  await reads(stopState, CONFIRMED);
  await reads(parts(other).stopState, CONFIRMED);
  await reads(log.locator('li[data-type="stop"]').first(), /Stop.*robot_01.*applied \(\d+ ms\)/);
  assert.equal(stopsOf(page).length, 1);
  assert.equal(stopsOf(page)[0].device_id, 'robot_01');
  assert.ok(stopsOf(page)[0].id.length > 0);

  // The sticks say that they are without effect, and are: nothing is sent while a key is still down.
  for (const one of [page, other]) {
    for (const pad of [parts(one).drive, parts(one).camera]) assert.equal(await pad.getAttribute('aria-disabled'), 'true');
    assert.equal(await one.locator('#drive-readout').textContent(), 'Stopped: no effect');
  }
  assert.equal(await speed.isEnabled(), true);
  const stopped = monotonic();
  await drive.focus();
  await page.keyboard.up('w');
  await page.keyboard.press('s');
  await grab(page, camera, 0.5, 0.5);
  await page.mouse.up();
  await grab(other, parts(other).drive, 0, 0.5);
  await other.mouse.up();
  await Promise.all([page, other].map(roundTrip));
  assert.deepEqual([...movesOf(page, stopped), ...movesOf(other, stopped)], []);

  // It survives the page, and the other page may end it.
  await page.reload();
  await connected(page);
  await choose(page, 'robot_01');
  await reads(stopState, CONFIRMED);
  begin = monotonic();
  await eventually('re-arm is offered', 2000, () => parts(other).rearm.isEnabled());
  await parts(other).rearm.click();
  await reads(parts(other).stopState, /^robot_01 Armed$/);
  await reads(stopState, /^robot_01 Armed$/);
  assert.equal(await parts(other).rearm.isEnabled(), false);
  await eventually('the sticks work again', 2000, async () => (await drive.getAttribute('aria-disabled')) === 'false');
  assert.deepEqual((await robot1.since('drive', begin)).filter(moves), [], 'nothing moves by itself');
  await grab(page, drive, 0, 0.6);
  await robot1.first('drive', begin, moves);
  begin = monotonic();
  await page.mouse.up();
  await robot1.first('drive', begin, rests);
  await closePage(page);
  await closePage(other);
});

test('one key, one click, one touch: each is one stop, and re-arm is on none of them', async () => {
  const page = await driver({ viewport: { width: 360, height: 780 }, hasTouch: true });
  const { stop, rearm, stopState, speed } = parts(page);
  const rearmed = async () => {
    await eventually('re-arm is offered', 2000, () => rearm.isEnabled());
    await rearm.click();
    await reads(stopState, /^robot_01 Armed$/);
    assert.equal(await page.evaluate(() => document.activeElement === document.body), true, 'not on what is disabled');
  };
  // First in the order of tabs, with its name.
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('Tab');
  assert.equal(await stop.evaluate((button) => button === document.activeElement), true);
  await page.keyboard.press('Enter');
  await reads(stopState, CONFIRMED);
  assert.equal(stopsOf(page).length, 1);
  await page.keyboard.press('Enter'); // the same key again is one more stop, nothing else
  await eventually('it is sent', 1000, () => stopsOf(page).length === 2);
  await reads(stopState, CONFIRMED);
  // The arrival of the key counts, once, however long it stays.
  for (const [key, count] of [['Enter', 3], ['Space', 4]]) {
    await page.keyboard.down(key);
    await eventually('it is sent', 1000, () => stopsOf(page).length === count);
    await page.keyboard.down(key);
    await page.keyboard.up(key);
    await roundTrip(page);
    assert.equal(stopsOf(page).length, count);
  }
  await rearmed();

  await speed.focus(); // whatever has the focus
  await page.keyboard.press('Escape');
  await reads(stopState, CONFIRMED);
  assert.equal(stopsOf(page).length, 5);
  await rearmed();

  // Without any focus; held, it is still one.
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.down('Escape');
  await page.keyboard.down('Escape');
  await page.keyboard.up('Escape');
  await reads(stopState, CONFIRMED);
  assert.equal(stopsOf(page).length, 6);
  await rearmed();

  // Not while somebody writes.
  await page.evaluate(() => document.querySelector('footer').append(document.createElement('input')));
  await page.locator('footer input').focus();
  await page.keyboard.press('Escape');
  await roundTrip(page);
  assert.equal(stopsOf(page).length, 6);

  await stop.tap();
  await reads(stopState, CONFIRMED);
  await rearmed();
  assert.equal(stopsOf(page).length, 7);
  await stop.dispatchEvent('click'); // assistive technology
  await reads(stopState, CONFIRMED);
  assert.equal(stopsOf(page).length, 8);
  await rearmed();

  // The finger's arrival stops, whatever it does next.
  const at = await point(stop, 0, 0);
  await page.mouse.move(at.x, at.y);
  await page.mouse.down();
  await reads(stopState, CONFIRMED);
  await page.mouse.up();
  await roundTrip(page);
  assert.equal(stopsOf(page).length, 9);

  await rearmed();
  await closePage(page);
});

test('with all robots addressed every robot is stopped, and each that is not confirmed is named', async () => {
  const page = await openPage(browser, `${stack.url}/`);
  const { drive, stop, rearm, stopState } = parts(page);
  await reads(stopState, /^All Armed$/);
  await stack.stop('robot_02');
  await reads(stopState, /^robot_01 Armed$/, 6000);
  let begin = monotonic();
  await grab(page, drive, 0, 0.6);
  await robot1.first('drive', begin, moves);
  begin = monotonic();
  await page.keyboard.press('Escape');
  await robot1.first('drive', begin, rests);
  await page.mouse.up();
  assert.equal('device_id' in stopsOf(page)[0], false);
  await reads(stopState, /robot_02 Stopping… \(not confirmed\).*the robot is offline, the stop waits for it.*robot_01 Stopped by/);
  assert.equal(await page.getByTestId('safety').getAttribute('data-state'), 'stopping');
  await stack.start('robot_02');
  await reads(stopState, /^All Stopped by.*: confirmed by the robot$/, 8000);
  assert.equal(await drive.getAttribute('aria-disabled'), 'true');
  begin = monotonic();
  await rearm.click();
  await reads(stopState, /^All Armed$/);
  assert.deepEqual((await robot2.since('drive', begin)).filter(moves), []);
  await page.getByRole('tab', { name: 'Dashboard' }).click();
  await reads(page.locator('[data-device-id="robot_02"] .stop-line'), /^Armed$/);
  await closePage(page);
});

test('Stop works while no robot is online, and the page says what it knows', async () => {
  await stack.stop('robot_01');
  await stack.stop('robot_02');
  const page = await openPage(browser, `${stack.url}/`);
  const { stop, rearm, stopState } = parts(page);
  await reads(stopState, /^No robot is online$/, 6000);
  assert.equal(await stop.isEnabled(), true);
  await stop.click();
  await reads(stopState, /not confirmed/);
  assert.equal(await rearm.isEnabled(), true);
  await stack.start('robot_01');
  await stack.start('robot_02');
  await reads(stopState, /^All Stopped by.*: confirmed by the robot$/, 8000);
  await rearm.click();
  await reads(stopState, /^All Armed$/);
  await closePage(page);
});

test('without a connection Stop says that it was not sent', async () => {
  const page = await driver();
  const { speed, stop, stopState, notice, connection, log } = parts(page);
  assert.equal(await page.getByRole('alert').and(notice).textContent(), '', 'there before it has to be read out');
  await speed.focus();
  await stack.kill('wsd-1');
  await stack.kill('wsd-2');
  await eventually('the loss is shown', 3000, async () => (await connection.getAttribute('data-state')) !== 'connected');
  await reads(stopState, /robot_01 Not connected: state unknown/);
  await eventually('the slider is disabled', 1000, async () => !(await speed.isEnabled()));
  assert.equal(await page.evaluate(() => document.activeElement === document.body), true, 'keys reach the page');
  const begin = monotonic();
  assert.equal(await stop.isEnabled(), true);
  await stop.click();
  await reads(notice, /^Stop was NOT sent.* A robot with a dead-man has stopped by itself about 0\.3 s after/);
  await reads(log.locator('li').first(), /Stop.*not sent: no connection/);
  await stack.start('wsd-1');
  await stack.start('wsd-2');
  await connected(page);
  await reads(stopState, /^robot_01 Armed$/, 8000);
  assert.deepEqual(stopsOf(page).filter((m) => m.t_ns > begin), [], 'and it is not sent behind the back of anybody');
  page.faults.length = 0; // the browser notes each failed connection
  await closePage(page);
});

test('a relay that hangs is noticed within 4 s, and a stop under way is not called done', async () => {
  const page = await driver();
  const { connection, stopState, notice, drive } = parts(page);
  await reads(page.locator('#latency'), /^\d+ ms$/);
  let begin = monotonic();
  await grab(page, drive, 0, 0.6);
  await robot1.first('drive', begin, moves);
  await Promise.all(['wsd-1', 'wsd-2'].map((name) => stack.kill(name, 'SIGSTOP')));
  const hung = Date.now();
  try {
    begin = monotonic();
    await robot1.first('drive', begin, rests, 1000);
    await eventually('the stick is let go', 1500, async () => (await drive.getAttribute('data-held')) === 'false');
    assert.equal(await page.locator('#drive-readout').textContent(), 'The relay does not answer');
    await eventually('the last that waits is a zero', 1000, () => movesOf(page, begin).at(-1)?.y === 0);
    const waiting = movesOf(page, begin).length;
    assert.ok(waiting <= 9, `${waiting} motions wait`); // six, the zero, and those of the moment of the signal
    await page.keyboard.press('Escape');
    await reads(stopState, /not confirmed/);
    await eventually('not connected', 4000, async () => (await connection.getAttribute('data-state')) !== 'connected');
    assert.ok(Date.now() - hung <= 4000, `${Date.now() - hung} ms`);
    await reads(notice, /Stop.*may not have arrived/);
    await reads(stopState, /state unknown/);
  } finally {
    begin = monotonic();
    await Promise.all(['wsd-1', 'wsd-2'].map((name) => stack.kill(name, 'SIGCONT')));
  }
  // What waited in the old connection moves nothing now; nor does the hand that is still on the stick.
  await connected(page, 8000);
  await reads(stopState, /^robot_01 (Armed|Stopped by .*confirmed by the robot)$/, 8000);
  assert.deepEqual((await robot1.since('drive', begin)).filter(moves), []);
  assert.ok(rests((await robot1.since('drive', 0)).at(-1)));
  await page.mouse.up();
  page.faults.length = 0;
  await closePage(page);
});

test('while the relay has lost Redis the page does not claim to know what is stopped', async () => {
  const page = await driver();
  const { stop, rearm, stopState, notice } = parts(page);
  await stop.click();
  await reads(stopState, CONFIRMED);
  await stack.stop('redis');
  try {
    await reads(stopState, /^robot_01 Unknown: the relay has lost Redis \(stopped when last heard\)$/, 5000);
    assert.equal(await page.getByTestId('safety').getAttribute('data-state'), 'unknown');
    // A re-arm may be tried; that it was refused is said, and hides nothing.
    await rearm.click();
    await reads(notice, /^Re-arm was refused: .*Redis/);
    await reads(stopState, /^robot_01 Unknown: the relay has lost Redis \(stopped when last heard\)$/);
  } finally {
    await stack.start('redis');
  }
  await reads(stopState, CONFIRMED, 8000);
  await rearm.click();
  await reads(stopState, /^robot_01 Armed$/);
  await closePage(page);
});

test('commands say which heartbeat was seen, and the log what the robot did with them', async () => {
  const page = await driver();
  const { drive, speed, log, robots } = parts(page);
  await grab(page, drive, 0, 0.5);
  await eventually('moves with a heartbeat', 3000, () => page.sent.some((m) => m.type === 'robot_move' && Number.isSafeInteger(m.hb)));
  await reads(log.locator('li[data-type="robot_move"][data-state="applied"]').first(), /Drive x 0\.00.*×\d+.*applied \(\d+ ms\)/);
  const numbers = page.sent.filter((m) => 'hb' in m).map((m) => m.hb);
  await eventually('newer ones', 2000, () => page.sent.some((m) => m.hb > numbers.at(-1)));
  await page.mouse.up();
  await reads(log.locator('li[data-type="robot_move"]').first(), /Drive to zero.*applied \(\d+ ms\)/);
  await speed.fill('90');
  await reads(log.locator('li[data-type="set_speed"]').first(), /Speed 90 %.*robot_01.*applied \(\d+ ms\)/);
  await robots.selectOption('');
  await speed.fill('100');
  await reads(log.locator('li[data-type="set_speed"]').first(), /Speed 100 %.*all robots.*applied by 2 of 2 robots \(\d+ ms\)/);
  assert.equal('hb' in page.sent.findLast((m) => m.type === 'set_speed'), false, 'not to all robots');
  await closePage(page);
});

test('a gamepad drives, its loss ends the motion, its buttons stop', async () => {
  const page = await driver();
  await page.evaluate(() => {
    const gamepad = (index, mapping) => ({
      index, mapping, id: `pad ${index}`, connected: true, axes: [0, 0, 0, 0],
      buttons: Array.from({ length: 16 }, () => ({ pressed: false })),
    });
    window.pad = gamepad(1, 'standard');
    window.pedals = gamepad(0, '');
    window.pedals.axes = [-1, -1, -1, -1]; // at rest
    navigator.getGamepads = () => [window.pedals, window.pad, null];
    window.dispatchEvent(new Event('gamepadconnected'));
  });
  const tilt = (...axes) => page.evaluate((to) => new Promise((resolve) => {
    // Seen at its centre first: a stick that is found tilted does nothing.
    window.pad.axes = [0, 0, 0, 0];
    setTimeout(() => resolve(window.pad.axes = to), 100);
  }), axes);
  let begin = monotonic();
  await tilt(0, -1, 0.5, 0);
  const line = await robot1.first('drive', begin, moves);
  assert.ok(line.left > 0 && line.right > 0);
  await robot1.first('camera', begin, (l) => l.pan > 0);
  begin = monotonic();
  await page.evaluate(() => {
    window.pad.connected = false;
    window.dispatchEvent(new Event('gamepaddisconnected'));
  });
  assert.equal((await robot1.first('drive', begin, rests)).cause, 'command');
  await page.evaluate(() => {
    window.pad.connected = true;
    window.dispatchEvent(new Event('gamepadconnected'));
  });
  const found = monotonic();
  await eventually('it is read for a while', 2000, () => monotonic() - found > 300 * MS);
  assert.deepEqual(movesOf(page, found), [], 'a stick that is found tilted does nothing');
  begin = monotonic();
  await tilt(0, -1, 0, 0);
  await robot1.first('drive', begin, moves);

  // Out of sight it does not drive; back in sight it has to be centred first.
  begin = monotonic();
  await page.getByRole('tab', { name: 'Dashboard' }).click();
  await robot1.first('drive', begin, rests);
  await tilt(0, -1, 0, 0);
  await page.getByRole('tab', { name: 'Controller' }).click();
  const back = monotonic();
  await eventually('it is read for a while', 2000, () => monotonic() - back > 300 * MS);
  assert.deepEqual((await robot1.since('drive', begin)).filter(moves), []);
  begin = monotonic();
  await tilt(0, -1, 0, 0);
  await robot1.first('drive', begin, moves);

  // Buttons of any gamepad stop, each press once.
  begin = monotonic();
  await page.evaluate(() => (window.pad.buttons[1].pressed = true));
  await robot1.first('drive', begin, rests);
  await reads(parts(page).stopState, CONFIRMED);
  assert.equal(stopsOf(page).length, 1);
  await page.evaluate(() => (window.pedals.buttons[7].pressed = true));
  await eventually('the pedals stop, too', 1000, () => stopsOf(page).length === 2);
  await closePage(page);
});

test('a held stick ends with one zero, also when somebody else stops', async () => {
  const page = await driver();
  const other = await driver();
  let begin = monotonic();
  await grab(page, parts(page).drive, 0, 0.6);
  await robot1.first('drive', begin, moves);
  begin = monotonic();
  await parts(other).stop.click();
  await robot1.first('drive', begin, rests);
  await reads(parts(page).stopState, CONFIRMED);
  await eventually('the stick is let go', 1000, async () =>
    (await parts(page).drive.getAttribute('data-held')) === 'false');
  await page.mouse.move(5, 5);
  await page.mouse.up();
  await roundTrip(page);
  const ended = movesOf(page, begin);
  assert.deepEqual(ended.filter((m) => m.x === 0 && m.y === 0), ended.slice(-1), 'one zero, and it is the last');
  await parts(page).rearm.click();
  await reads(parts(page).stopState, /^robot_01 Armed$/);
  await closePage(page);
  await closePage(other);
});

test('a robot that cannot answer is stopped, and never called confirmed', async () => {
  const heard = [];
  const robot = new WebSocket(`${stack.url.replace('http', 'ws')}/ws/telemetry/?device_id=old_01`);
  robot.on('message', (data) => heard.push(JSON.parse(data)));
  try {
    const page = await openPage(browser, `${stack.url}/`);
    const { drive, stop, rearm, stopState, log } = parts(page);
    await choose(page, 'old_01');
    await grab(page, drive, 0, 0.5);
    await eventually('it is driven', 2000, () => heard.some((m) => m.type === 'robot_move' && m.y > 0));
    await page.mouse.up();
    await reads(log.locator('li').first(), /Drive to zero.*received by relay, robots: 1/);
    await stop.click();
    await eventually('it is told to', 2000, () => heard.some((m) => m.type === 'stop'));
    await reads(stopState, /^old_01 Stop latched by \S+ at .*, not confirmed by the robot$/, 5000);
    const last = heard.findLast((m) => m.type === 'robot_move');
    assert.deepEqual([last.x, last.y], [0, 0]);
    assert.equal(await drive.getAttribute('aria-disabled'), 'true');
    await rearm.click();
    await reads(stopState, /^old_01 Re-armed by \S+ at .*, not confirmed by the robot$/);
    await eventually('it can be driven', 1000, async () => (await drive.getAttribute('aria-disabled')) === 'false');
    await closePage(page);
  } finally {
    robot.terminate();
  }
});

test('a robot that says that it did not stop is told of in loud words, until it has', async () => {
  const url = `${stack.url.replace('http', 'ws')}/ws/telemetry/?device_id=stuck_01`;
  const robot = new WebSocket(url);
  let stopSeq;
  robot.on('message', (data) => {
    const { type, id, seq } = JSON.parse(data);
    if (type !== 'stop' || !id) return;
    stopSeq = seq;
    robot.send(JSON.stringify({ type: 'ack', id, seq, status: 'rejected', reason: 'driver' }));
  });
  try {
    const page = await openPage(browser, `${stack.url}/`);
    const { stop, rearm, stopState, notice } = parts(page);
    await choose(page, 'stuck_01');
    await reads(stopState, /^stuck_01 Armed$/);
    await stop.click();
    await reads(stopState, /^stuck_01 Stop was REJECTED by the robot \(driver\): its outputs may not be at zero$/);
    await reads(notice, /^stuck_01: Stop was REJECTED by the robot \(driver\)/);
    assert.equal(await page.getByTestId('safety').getAttribute('data-state'), 'failed');
    assert.equal(await rearm.isEnabled(), true);
    robot.send(JSON.stringify({ type: 'stop_state', stopped: true, seq: stopSeq }));
    await reads(stopState, /^stuck_01 Stopped .*confirmed by the robot$/);
    await closePage(page);
  } finally {
    robot.terminate();
  }
});

test('a stop that nobody is known for is not lost silently', async () => {
  await Promise.all(['robot_01', 'robot_02'].map((name) => stack.stop(name)));
  try {
    const page = await openPage(browser, `${stack.url}/`);
    const { stop, notice, connection } = parts(page);
    await reads(parts(page).stopState, /No robot is online|offline/, 8000);
    await Promise.all(['wsd-1', 'wsd-2'].map((name) => stack.kill(name, 'SIGSTOP')));
    try {
      await stop.click();
      await eventually('not connected', 5000, async () => (await connection.getAttribute('data-state')) !== 'connected');
      await reads(notice, /Stop.*may not have arrived/);
    } finally {
      await Promise.all(['wsd-1', 'wsd-2'].map((name) => stack.kill(name, 'SIGCONT')));
    }
    await connected(page, 8000);
    page.faults.length = 0;
    await closePage(page);
  } finally {
    await Promise.all(['robot_01', 'robot_02'].map((name) => stack.start(name)));
  }
});

test('anyone may drive: no buttons to take or release control', async () => {
  const page = await driver();
  assert.equal(await parts(page).take.count() + (await parts(page).release.count()), 0);
  await reads(parts(page).control, /^Shared control: anyone may drive$/);
  await closePage(page);
});
