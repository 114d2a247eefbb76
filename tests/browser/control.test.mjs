// One page at a time drives: taking, refusing, releasing and losing control, with CONTROL=exclusive.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import {
  choose, closePage, eventually, grab, launch, monotonic, moves, openPage, parts, reads, rests, roundTrip, startStack,
} from './harness.mjs';

const MS = 1e6; // ns

let stack;
let browser;
let robot1;
let robot2;

before(async () => {
  stack = await startStack(2, { CONTROL: 'exclusive' });
  browser = await launch();
  robot1 = stack.trace('robot_01');
  robot2 = stack.trace('robot_02');
});

after(async () => {
  await browser?.close();
  await stack?.down();
});

// The pages of a test that failed do not keep control.
afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));

async function visitor(robot = 'robot_01') {
  const page = await openPage(browser, `${stack.url}/`);
  if (robot !== '') await choose(page, robot);
  return page;
}

async function take(page) {
  await parts(page).take.click();
  await reads(parts(page).control, /^You have control$/);
}

const movesOf = (page, since) => page.sent.filter((m) => /_move$/.test(m.type) && m.t_ns > since);

test('take, refuse, take from its holder, release', async () => {
  const first = await visitor();
  const second = await visitor();
  const one = parts(first);
  const two = parts(second);
  await reads(one.control, /^Nobody has control$/);
  for (const pad of [one.drive, one.camera]) assert.equal(await pad.getAttribute('aria-disabled'), 'true');
  assert.equal(await first.locator('#drive-readout').textContent(), 'Take control first');
  assert.equal(await one.speed.isEnabled(), false);
  assert.equal(await one.release.count(), 0);

  await take(first);
  assert.equal(await one.take.count(), 0);
  assert.equal(await one.release.evaluate((button) => button === document.activeElement), true);
  await eventually('the sliders work', 1000, () => one.speed.isEnabled());
  let begin = monotonic();
  await grab(first, one.drive, 0, 0.6);
  await robot1.first('drive', begin, moves);

  // The other page says who it is, and cannot drive.
  await reads(two.control, /^guest-[0-9a-f]{6} has control$/);
  const holder = (await two.control.textContent()).split(' ')[0];
  assert.equal(await second.locator('#drive-readout').textContent(), `${holder} has control`);
  await grab(second, two.drive, 0, -0.6);
  await second.mouse.up();
  await roundTrip(second);
  assert.deepEqual(movesOf(second, 0), []);

  // Asking is refused, the second press takes; the motion of the first page ends.
  await two.take.click();
  await reads(two.control, new RegExp(`^${holder} has control. Press Take control again to take it from them$`));
  await reads(two.log.locator('li[data-type="control_acquire"]').first(), /Take control.*robot_01.*not_in_control/);
  assert.equal(await one.drive.getAttribute('data-held'), 'true', 'nothing has happened to the holder');
  assert.deepEqual((await robot1.since('drive', begin)).filter(rests), []);
  const asked = monotonic();
  await eventually('not a double click', 1000, () => monotonic() - asked > 350 * MS);
  begin = monotonic();
  await two.take.click();
  await reads(two.control, /^You have control$/);
  await robot1.first('drive', begin, rests);
  await reads(one.control, /^guest-[0-9a-f]{6} has control$/);
  await eventually('its stick is let go', 1000, async () => (await one.drive.getAttribute('data-held')) === 'false');
  assert.equal(await one.drive.getAttribute('aria-disabled'), 'true');
  await eventually('its last word is a zero', 1000, () => movesOf(first, begin).at(-1)?.y === 0);
  await first.mouse.up();
  const lost = monotonic();
  await grab(first, one.drive, 0, 0.6);
  await first.mouse.up();
  await roundTrip(first);
  assert.deepEqual(movesOf(first, lost), []);

  begin = monotonic();
  await grab(second, two.drive, 0, 0.6);
  await robot1.first('drive', begin, moves);
  await second.mouse.up();
  await robot1.first('drive', begin, rests);
  await two.release.click();
  for (const page of [one, two]) await reads(page.control, /^Nobody has control$/);
  await closePage(first);
  await closePage(second);
});

test('control lasts while its page is there, without a motion, and ends with it', async () => {
  const first = await visitor();
  const second = await visitor();
  await take(first);
  const begin = monotonic();
  await eventually('several leases', 7000, () => monotonic() - begin > 5000 * MS);
  assert.match(await parts(first).control.textContent(), /^You have control$/);
  // Every 500 ms. A busy machine delays some: none by as much as a lease, and most by little.
  const pings = first.sent.filter((m) => m.type === 'ping' && m.t_ns > begin).map((m) => m.t_ns / MS);
  const gaps = pings.slice(1).map((at, i) => at - pings[i]).sort((a, b) => a - b);
  const median = gaps[gaps.length >> 1];
  assert.ok(median > 300 && median < 800 && gaps.at(-1) < 1800, `${gaps.map(Math.round)} ms between pings`);
  await closePage(first);
  await reads(parts(second).control, /^Nobody has control$/, 3000);
  await take(second);
  await closePage(second);
});

test('anybody may stop, whoever has control', async () => {
  const first = await visitor();
  const second = await visitor();
  await take(first);
  const begin = monotonic();
  await grab(first, parts(first).drive, 0, 0.6);
  await robot1.first('drive', begin, moves);
  const pressed = monotonic();
  await parts(second).stop.click();
  await robot1.first('drive', pressed, rests);
  await reads(parts(second).stopState, /confirmed by the robot$/);
  await first.mouse.up();
  await parts(first).rearm.click();
  await reads(parts(first).stopState, /^robot_01 Armed$/);
  await closePage(first);
  await closePage(second);
});

test('with all robots addressed control is taken of each that is online', async () => {
  const page = await visitor('');
  const { take: button, release, control, drive } = parts(page);
  await reads(page.getByTestId('stop-state'), /^All Armed$/);
  await reads(control, /^Nobody has control$/);
  await button.click();
  await reads(control, /^You have control$/);
  const begin = monotonic();
  await grab(page, drive, 0, 0.6);
  await Promise.all([robot1, robot2].map((trace) => trace.first('drive', begin, moves)));
  await page.mouse.up();
  await Promise.all([robot1, robot2].map((trace) => trace.first('drive', begin, rests)));
  await release.click();
  await reads(control, /^Nobody has control$/);
  await closePage(page);
});
