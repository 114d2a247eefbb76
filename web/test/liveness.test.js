import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Gamepads, stickOf } from '../js/gamepad.js';
import { Heartbeats } from '../js/heartbeats.js';
import { HOLDER_PING_MS, Liveness, PING_MS, SILENCE_MS, TICK_MS } from '../js/liveness.js';

/** Ticks from `from` to `to`; the relay answers until `hungAt`. @param {Liveness} live @param {number} from @param {number} to */
function run(live, from, to, hungAt = Infinity, every = PING_MS) {
  const pings = [];
  for (let now = from; now <= to; now += TICK_MS) {
    const due = live.tick(now, every);
    if (due === 'dead') return { pings, dead: now };
    if (due !== 'ping') continue;
    pings.push(now);
    if (now < hungAt) {
      live.heard(now + 5);
      live.pong(live.pingId(), now + 5);
    }
  }
  return { pings, dead: null };
}

test('a relay that answers is asked every second, twice as often while in control', () => {
  const live = new Liveness();
  live.begin(0);
  const { pings, dead } = run(live, 0, 10_000);
  assert.deepEqual([pings.length, dead, live.roundTrip(10_005)], [11, null, 5]);
  assert.equal(run(live, 10_250, 20_250, Infinity, HOLDER_PING_MS).pings.length, 20);
});

test('ticks that are a little early do not make pings rare', () => {
  const live = new Liveness();
  live.begin(0);
  let pings = 0;
  for (let i = 0; i < 40; i++) {
    const now = i * TICK_MS - (i % 2);
    live.heard(now);
    if (live.tick(now, HOLDER_PING_MS) === 'ping') pings++;
  }
  assert.equal(pings, 20);
});

test('a relay that hangs is given up 3 s after its last word', () => {
  for (const hungAt of [1, 400, 999, 5000, 5700]) {
    const live = new Liveness();
    live.begin(0);
    const { dead } = run(live, 0, 20_000, hungAt);
    assert.ok(dead !== null && dead - live.heardAt >= SILENCE_MS && dead - live.heardAt < SILENCE_MS + TICK_MS + 10, `${dead}`);
  }
});

test('telemetry is a sign of life, too', () => {
  const live = new Liveness();
  live.begin(0);
  for (let now = 0; now < 20_000; now += TICK_MS) {
    if (now % 2000 === 0) live.heard(now);
    assert.notEqual(live.tick(now, PING_MS), 'dead');
  }
});

test('a page that was held up asks again before it gives up', () => {
  const live = new Liveness();
  live.begin(0);
  live.tick(0, PING_MS); // asks, and then the page sleeps with the answer in its queue
  assert.equal(live.tick(60_000, PING_MS), 'ping');
  for (let now = 60_250; now < 61_500; now += TICK_MS) assert.notEqual(live.tick(now, PING_MS), 'dead');
  assert.equal(live.tick(61_500, PING_MS), 'dead');
});

test('the round trip is that of the ping which is answered, and not less than the oldest unanswered one waits', () => {
  const live = new Liveness();
  live.begin(0);
  assert.equal(live.roundTrip(0), null);
  const ids = [];
  for (let now = 0; now <= 3000; now += TICK_MS) {
    live.heard(now);
    if (live.tick(now, PING_MS) === 'ping') ids.push(live.pingId());
  }
  assert.equal(ids.length, 4);
  live.pong(ids[0], 3001);
  assert.equal(live.roundTrip(3001), 3001);
  live.pong(ids[2], 3002);
  assert.equal(live.roundTrip(3002), 1002);
  live.pong(ids[1], 3003);
  assert.equal(live.roundTrip(3010), 1002, 'the older ones were answered as well');
  live.pong(ids[3], 3010);
  assert.deepEqual([live.roundTrip(3010), live.roundTrip(9000)], [10, 10]);
  live.tick(9000, PING_MS);
  assert.deepEqual([live.roundTrip(9005), live.roundTrip(9700)], [10, 700]);
  live.begin(9800);
  assert.equal(live.roundTrip(9900), null, 'another connection');
});

test('a command carries the newest heartbeat of its robot, as long as they flow', () => {
  const beats = new Heartbeats();
  beats.heard('a', 1); // of a robot that this page does not command
  assert.equal(beats.command('a', 0), null);
  beats.heard('a', 5);
  beats.heard('a', 6);
  assert.equal(beats.command('a', 9000), 6);
  assert.equal(beats.command('b', 9000), null);
  assert.equal(beats.command('a', 18_001), null, 'heartbeats may have ended meanwhile');
  assert.equal(beats.command('a', 18_002), null, 'and the old one does not come back');
  beats.heard('a', 9);
  assert.equal(beats.command('a', 18_003), 9);
  beats.reset();
  assert.equal(beats.command('a', 18_004), null, 'another connection');
});

test('the robots whose heartbeats are kept are bounded', () => {
  const beats = new Heartbeats();
  for (let i = 0; i < 1000; i++) beats.command(`r${i}`, i);
  assert.equal(beats.robots.size, 256);
});

test('a gamepad\'s stick', () => {
  assert.deepEqual(stickOf([0, -1, 0.1, 0.1], 0), { x: 0, y: 1 });
  assert.deepEqual(stickOf([0, -1, 0.1, 0.1], 2), { x: 0, y: 0 }, 'near its centre');
  assert.deepEqual(stickOf([1, 1], 0), { x: 0.71, y: -0.71 });
  assert.deepEqual(stickOf([1, NaN], 0), { x: 0, y: 0 });
  assert.deepEqual(stickOf([1, 0], 2), { x: 0, y: 0 }, 'a gamepad with one stick');
});

/** @param {number} index @param {string} [mapping] @param {number[]} [down] buttons @returns {any} */
const gamepad = (index, mapping = 'standard', down = []) => ({
  index, id: `pad ${index}`, mapping, axes: [index, 0, 0, 0],
  buttons: Array.from({ length: 16 }, (_, i) => ({ pressed: down.includes(i) })),
});

test('one gamepad of a known layout drives, for as long as it is there', () => {
  const gamepads = new Gamepads();
  const [pedals, one, two] = [gamepad(0, ''), gamepad(1), gamepad(2)];
  /** @param {any[]} connected */
  const read = (connected, driving = true) => {
    const { release, axes } = gamepads.read(connected, driving);
    return [release, axes?.[0] ?? null];
  };
  assert.deepEqual(read([pedals]), [false, null], 'where its axes rest is not known');
  assert.deepEqual(read([pedals, two]), [true, 2]);
  assert.deepEqual(read([pedals, one, two]), [false, 2], 'no other one takes over');
  assert.deepEqual(read([pedals, one]), [true, 1], 'unless it is gone');
  assert.deepEqual(read([pedals, { ...one, id: 'another model' }]), [true, 1]);
  assert.deepEqual(read([pedals, one], false), [true, null]);
  assert.deepEqual(read([pedals, one], false), [false, null]);
  assert.deepEqual(read([pedals, one]), [true, 1]);
});

test('a button of any gamepad stops once, whoever drives and whether anybody does', () => {
  const gamepads = new Gamepads();
  /** @param {any[]} connected */
  const stops = (...connected) => gamepads.read(connected, false).stop;
  assert.equal(stops(gamepad(0), gamepad(1)), false);
  assert.equal(stops(gamepad(0), gamepad(1, 'standard', [2])), true);
  assert.equal(stops(gamepad(0), gamepad(1, 'standard', [2])), false, 'held');
  assert.equal(stops(gamepad(0), gamepad(1, 'standard', [2, 3])), true, 'a further one');
  assert.equal(stops(gamepad(0, 'standard', [0]), gamepad(1, 'standard', [2])), true, 'another one\'s');
  assert.equal(stops(gamepad(0), gamepad(1)), false);
  assert.equal(stops(gamepad(0, 'standard', [7])), false, 'a trigger');
  assert.equal(stops(gamepad(0, '', [7])), true, 'where it is is not known');
  assert.equal(stops(gamepad(0, '', [7, 2])), true, 'whatever switch stays on');
});
