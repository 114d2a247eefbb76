import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createStore, isStale, METRICS_MAX, NOTICE_MS, presenceKnown, ROBOTS_MAX, SETTLE_MS, sortedRobots, STALE_MS } from '../js/store.js';

/** @param {string} deviceId @param {Record<string, number>} metrics @param {object} [more] */
const sample = (deviceId, metrics, more = {}) =>
  /** @type {import('../js/protocol.js').Telemetry} */ ({
    kind: 'telemetry', deviceId, deviceName: '', metrics, late: false, ...more,
  });
/** @param {string} deviceId @param {boolean} online */
const presence = (deviceId, online) => /** @type {const} */ ({ kind: 'presence', deviceId, online });
/** @param {string} deviceId @param {boolean} stopped @param {boolean} confirmed */
const stop = (deviceId, stopped, confirmed) =>
  /** @type {const} */ ({ kind: 'stop', deviceId, stopped, confirmed, by: 'ann', at: 1000 });

test('each value has the age of its own sample', () => {
  const store = createStore();
  store.apply(presence('a', true), 0);
  store.apply(sample('a', { battery: 85, signal: 93 }), 1000);
  store.apply(sample('a', { battery: 84 }), 4000);
  const robot = store.state.robots.get('a');
  assert.deepEqual(robot?.metrics.get('battery'), { value: 84, at: 4000 });
  assert.deepEqual(robot?.metrics.get('signal'), { value: 93, at: 1000 });
  assert.equal(robot?.metrics.get('cpu'), undefined);
  assert.equal(robot?.lastAt, 4000);
});

test('a value is stale after a while, at once when its robot or the connection is gone', () => {
  const store = createStore();
  store.setConnection('connected', 0);
  store.apply(sample('a', { battery: 85 }), 1000);
  const robot = store.state.robots.get('a');
  assert.equal(isStale(store.state, robot, 1000, 1000 + STALE_MS - 1), false);
  assert.equal(isStale(store.state, robot, 1000, 1000 + STALE_MS), true);
  store.apply(presence('a', false), 1500);
  assert.equal(isStale(store.state, robot, 1000, 1600), true);
  store.apply(presence('a', true), 1700);
  assert.equal(isStale(store.state, robot, 1000, 1800), false);
  store.setConnection('disconnected', 0);
  assert.equal(isStale(store.state, robot, 1000, 1800), true);
});

test('a robot that names ever new metrics is kept small', () => {
  const store = createStore();
  store.apply(sample('a', { battery: 85 }), 0);
  for (let i = 1; i <= 3 * METRICS_MAX; i++) store.apply(sample('a', { battery: 85, [`m${i}`]: i }), i);
  const metrics = store.state.robots.get('a')?.metrics;
  assert.equal(metrics?.size, METRICS_MAX);
  assert.equal(metrics?.get('battery')?.at, 3 * METRICS_MAX);
  assert.equal(metrics?.get(`m${3 * METRICS_MAX}`)?.value, 3 * METRICS_MAX);
});

test('who is online is known only through a relay that has Redis', () => {
  const store = createStore();
  assert.equal(presenceKnown(store.state), false);
  store.setConnection('connected', 0);
  assert.equal(presenceKnown(store.state), true);
  store.apply({ kind: 'relay', relay: 'wsd-1', redis: false, message: '' }, 0);
  assert.equal(presenceKnown(store.state), false);
  store.apply({ kind: 'relay', relay: 'wsd-1', redis: true, message: '' }, 0);
  assert.equal(presenceKnown(store.state), true);
  store.setConnection('disconnected', 0);
  assert.equal(presenceKnown(store.state), false);
});

test('late samples are history, and one that overtakes a disconnect brings nobody back', () => {
  const store = createStore();
  store.apply(presence('a', true), 0);
  store.apply(sample('a', { battery: 1 }, { late: true }), 10);
  assert.equal(store.state.robots.get('a')?.lastAt, null);
  store.apply(presence('a', false), 20);
  store.apply(sample('a', { battery: 85 }), 30);
  assert.equal(store.state.robots.get('a')?.online, false);
});

test('after a reconnect only the robots that the relay lists are online', () => {
  const store = createStore();
  store.apply(presence('a', true), 0);
  store.apply(presence('b', true), 0);
  store.apply(sample('b', { cpu: 3 }), 5);
  store.apply({ kind: 'greeting' }, 10);
  store.apply(presence('a', true), 10);
  assert.deepEqual(sortedRobots(store.state).map((r) => [r.id, r.online]), [['a', true], ['b', false]]);
  assert.equal(store.state.robots.get('b')?.metrics.get('cpu')?.value, 3);
});

test('the shown robot is the selected one, else one that is online and stays', () => {
  const store = createStore();
  store.apply(presence('b', true), 0);
  assert.equal(store.state.shown, 'b');
  store.apply(presence('a', true), 0);
  assert.equal(store.state.shown, 'b');
  store.apply(presence('b', false), 0);
  assert.equal(store.state.shown, 'a');
  store.select('b');
  store.apply(presence('a', true), 0);
  assert.equal(store.state.shown, 'b');
  store.select('');
  assert.equal(store.state.shown, 'a');
  store.apply(presence('a', false), 0);
  assert.equal(store.state.shown, 'a', 'the last values stay visible');
});

test('a warning lasts until the relay has Redis again, or another relay speaks', () => {
  const store = createStore();
  store.setConnection('connected', 0);
  store.apply({ kind: 'relay', relay: 'wsd-1', redis: false, message: 'm' }, 0);
  assert.deepEqual(store.state.warning, { relay: 'wsd-1', message: 'm' });
  store.apply({ kind: 'relay', relay: 'wsd-1', redis: true, message: '' }, 0);
  assert.equal(store.state.warning, null);
  store.apply({ kind: 'relay', relay: 'wsd-1', redis: false, message: 'm' }, 0);
  store.setConnection('disconnected', 0);
  assert.equal(store.state.warning, null);
});

test('the number of robots is bounded, and robots that are gone make room', () => {
  const store = createStore();
  for (let i = 0; i < ROBOTS_MAX + 5; i++) store.apply(presence(`r${i}`, true), 0);
  assert.equal(store.state.robots.size, ROBOTS_MAX);
  store.apply(presence('r7', false), 0);
  store.apply(presence('new', true), 0);
  assert.equal(store.state.robots.size, ROBOTS_MAX);
  assert.ok(store.state.robots.has('new') && !store.state.robots.has('r7'));
});

test('what is stopped is the relay\'s word, and stays known until the next relay has had time to speak', () => {
  const store = createStore();
  store.apply({ kind: 'greeting' }, 0);
  store.apply(stop('a', true, true), 1);
  store.apply(stop('b', true, true), 1);
  store.tick(SETTLE_MS);
  assert.equal(store.state.robots.get('a')?.stop?.stopped, true);
  store.apply({ kind: 'greeting' }, 5000);
  store.apply(stop('b', true, true), 5001);
  store.tick(5000 + SETTLE_MS - 1);
  assert.deepEqual([store.state.unsureSince, store.state.robots.get('a')?.stop?.stopped], [5000, true]);
  store.tick(5000 + SETTLE_MS);
  assert.deepEqual([store.state.unsureSince, store.state.robots.get('a')?.stop, store.state.robots.get('b')?.stop?.stopped],
    [null, null, true]);
});

test('a stop that was asked for is open until a stop state says so', () => {
  const store = createStore();
  store.setConnection('connected', 0);
  for (const id of ['a', 'b']) store.apply(presence(id, true), 0);
  store.apply(presence('gone', false), 0);
  store.ask('stop', '', 'c-1', 10);
  store.answer('c-1', '', 15);
  assert.deepEqual([...store.state.robots.values()].map((r) => r.asked?.received), [true, true, undefined]);
  store.apply(stop('a', false, true), 11);
  assert.notEqual(store.state.robots.get('a')?.asked, null, 'an older re-arm is no answer');
  store.apply(stop('a', true, false), 12);
  assert.deepEqual([...store.state.robots.values()].map((r) => r.asked === null), [true, false, true]);
  store.ask('stop', 'a', 'c-2', 20);
  store.answer('c-2', '', 15);
  assert.equal(store.state.robots.get('a')?.asked, null, 'it was stopped already');
  store.ask('rearm', 'a', 'c-3', 30);
  store.answer('c-3', 'Redis is away', 31);
  assert.equal(store.state.robots.get('a')?.asked, null);
  assert.equal(store.state.notice?.text, 'Re-arm was refused: Redis is away');
});

test('what somebody else does meanwhile is not hidden by what was asked for here', () => {
  const store = createStore();
  store.setConnection('connected', 0);
  store.apply(presence('a', true), 0);
  store.apply(stop('a', true, true), 0);
  store.ask('rearm', 'a', 'c-1', 10);
  store.answer('c-1', '', 15);
  store.apply(stop('a', true, true), 20);
  assert.equal(store.state.robots.get('a')?.asked, null, 'stopped again');
  store.apply(stop('a', false, true), 30);
  store.ask('stop', 'a', 'c-2', 40);
  store.answer('c-2', '', 15);
  store.apply(stop('a', false, true), 50);
  assert.notEqual(store.state.robots.get('a')?.asked, null, 'this may be from before');
  store.apply(stop('a', false, true), 540);
  assert.equal(store.state.robots.get('a')?.asked, null, 're-armed by somebody since');
});

test('a stop that the connection took with it is told', () => {
  const store = createStore();
  const notice = () => store.state.notice?.text ?? '';
  store.setConnection('connected', 0);
  store.apply(presence('a', true), 0);
  store.ask('stop', 'a', 'c-1', 10);
  store.setConnection('connecting', 20);
  assert.match(notice(), /may not have arrived/);
  assert.equal(store.state.robots.get('a')?.asked, null);
  store.tick(NOTICE_MS * 2);
  assert.notEqual(notice(), '', 'for as long as there is no connection');
  store.setConnection('connected', NOTICE_MS * 2);
  store.tick(NOTICE_MS * 2);
  assert.equal(notice(), '');
  // Also one that no known robot was meant by.
  store.apply(presence('a', false), 50_000);
  store.ask('stop', '', 'c-2', 50_000);
  store.setConnection('connecting', 50_001);
  assert.match(notice(), /may not have arrived/);
  store.notify('', 50_002);
  store.setConnection('connected', 50_003);
  store.ask('stop', '', 'c-3', 50_004);
  store.answer('c-3', '', 50_005);
  store.setConnection('connecting', 50_006);
  assert.equal(notice(), '', 'this one was answered');
});

test('what is stopped is unsure while the relay has lost Redis, and until it has told what changed', () => {
  const store = createStore();
  store.setConnection('connected', 0);
  store.apply({ kind: 'greeting' }, 0);
  store.apply(stop('a', true, true), 1);
  store.tick(SETTLE_MS);
  /** @param {boolean} redis @param {number} now */
  const relay = (redis, now) => store.apply({ kind: 'relay', relay: 'wsd-1', redis, message: '' }, now);
  relay(false, 5000);
  store.tick(60_000);
  assert.equal(store.state.unsureSince, 5000);
  relay(true, 60_000);
  store.tick(60_000 + SETTLE_MS - 1);
  assert.equal(store.state.unsureSince, 5000);
  store.tick(60_000 + SETTLE_MS);
  assert.equal(store.state.unsureSince, null);
  assert.equal(store.state.robots.get('a')?.stop?.stopped, true, 'a relay tells only what changed');
});

test('a robot that did not stop is told of, until it says that it has, or is re-armed', () => {
  const store = createStore();
  store.setConnection('connected', 0);
  store.apply({ kind: 'greeting' }, 0);
  store.apply(presence('a', true), 0);
  /** @param {'applied' | 'rejected' | 'expired'} outcome @param {string} reason */
  const says = (outcome, reason) => {
    store.stopOutcome({
      kind: 'ack', originalType: 'stop', id: 'c-1', robots: null, outcome, reason, deviceId: 'a', latency: 1,
    }, 10);
    return store.state.robots.get('a')?.failure;
  };
  assert.equal(says('applied', ''), '');
  assert.equal(says('rejected', 'driver'), 'Stop was REJECTED by the robot (driver): its outputs may not be at zero');
  assert.equal(store.state.notice?.text, 'a: Stop was REJECTED by the robot (driver): its outputs may not be at zero');
  store.apply(stop('a', true, false), 11);
  assert.notEqual(store.state.robots.get('a')?.failure, '', 'the latch alone is no outcome');
  store.apply(stop('a', true, true), 12);
  assert.equal(store.state.robots.get('a')?.failure, '');
  assert.equal(says('expired', 'disconnected'), '', 'it has said so');
  assert.notEqual(says('rejected', 'driver'), '', 'it takes that back');
  store.apply(stop('a', false, false), 13);
  assert.equal(store.state.robots.get('a')?.failure, '');
  assert.equal(says('expired', 'disconnected'),
    'Stop got NO ANSWER from the robot (disconnected): its outputs may not be at zero');
  store.apply({ kind: 'greeting' }, 20);
  store.tick(20 + SETTLE_MS);
  assert.equal(store.state.robots.get('a')?.failure, '', 'this relay knows of no stop');
});

test('control: known by its messages, and nobody\'s after a lost connection', () => {
  const store = createStore();
  store.setConnection('connected', 0);
  store.apply({ kind: 'greeting' }, 0);
  store.apply(presence('a', true), 0);
  assert.equal(store.state.exclusive, false);
  store.apply({ kind: 'control', deviceId: 'a', holder: 'me', you: true }, 1);
  store.tick(SETTLE_MS);
  assert.equal(store.state.exclusive, true);
  store.setConnection('connecting', 2000);
  assert.equal(store.state.robots.get('a')?.control?.you, false);
  store.apply({ kind: 'greeting' }, 3000);
  store.apply(presence('a', true), 3000);
  assert.equal(store.state.exclusive, true, 'until the relay has had time to say otherwise');
  store.tick(3000 + SETTLE_MS);
  assert.equal(store.state.exclusive, false);
});
