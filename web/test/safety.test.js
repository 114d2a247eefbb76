import assert from 'node:assert/strict';
import { test } from 'node:test';

import { blocks, CONFIRM_MS, controlView, gains, movable, stopView, TakeGuard } from '../js/safety.js';
import { createStore, SETTLE_MS } from '../js/store.js';

const clock = () => '12:00:00';

/** @param {string[]} ids robots that are online */
function setUp(...ids) {
  const store = createStore();
  store.setConnection('connected', 0);
  store.apply({ kind: 'greeting' }, 0);
  for (const deviceId of ids) store.apply({ kind: 'presence', deviceId, online: true }, 0);
  store.tick(SETTLE_MS);
  return {
    store,
    /** @param {string} deviceId @param {boolean} stopped @param {boolean} confirmed */
    stop: (deviceId, stopped, confirmed) =>
      store.apply({ kind: 'stop', deviceId, stopped, confirmed, by: 'ann', at: 0 }, 0),
    /** @param {string} deviceId @param {string | null} holder */
    control: (deviceId, holder) =>
      store.apply({ kind: 'control', deviceId, holder, you: holder === 'me' }, 0),
    /** @param {number} now */
    says: (now = 0) => stopView(store.state, now, clock).lines.map(({ id, text }) => `${id}: ${text}`),
    /** @param {number} now */
    kind: (now = 0) => stopView(store.state, now, clock).kind,
    canRearm: () => stopView(store.state, 0, clock).canRearm,
  };
}

test('the way of a stop, and of a re-arm', () => {
  const { store, stop, says, kind, canRearm } = setUp('a');
  assert.deepEqual(says(), ['a: Armed']);
  assert.equal(canRearm(), false);
  store.ask('stop', 'a', 'c-1', 0);
  assert.deepEqual(says(), ['a: Stopping… (not confirmed)']);
  assert.equal(canRearm(), true);
  assert.equal(blocks(store.state).pads, 'Stopped: no effect');
  assert.equal(blocks(store.state).sliders, '');
  stop('a', true, false);
  assert.deepEqual(says(), ['a: Stopping… (not confirmed), asked by ann at 12:00:00']);
  stop('a', true, true);
  assert.deepEqual([says(), kind()], [['a: Stopped by ann at 12:00:00: confirmed by the robot'], 'stopped']);
  store.ask('rearm', 'a', 'c-2', 0);
  assert.deepEqual(says(), ['a: Re-arming… (not confirmed)']);
  assert.equal(blocks(store.state).pads, 'Stopped: no effect', 'not before the relay says so');
  stop('a', false, false);
  assert.deepEqual(says(), ['a: Re-armed by ann at 12:00:00, not confirmed by the robot']);
  stop('a', false, true);
  assert.deepEqual([says(), canRearm(), blocks(store.state).pads], [['a: Armed'], false, '']);
});

test('a stop without an answer, or refused, is never called stopped', () => {
  const { store, says, kind } = setUp('a');
  store.ask('stop', 'a', 'c-1', 0);
  assert.deepEqual(says(CONFIRM_MS), ['a: Stop sent, no answer (not confirmed)']);
  assert.equal(kind(CONFIRM_MS), 'failed');
  store.answer('c-1', '', 1);
  assert.deepEqual(says(CONFIRM_MS), ['a: Stop received by the relay, no word from the robot (not confirmed)']);
  store.answer('c-1', 'no such robot', 2);
  assert.deepEqual(says(), ['a: Armed'], 'the notice says that it was refused');
  assert.equal(blocks(store.state).pads, '');
});

test('without a connection nothing is claimed', () => {
  const { store, stop, says, canRearm } = setUp('a');
  stop('a', true, true);
  store.setConnection('connecting', 0);
  assert.deepEqual(says(), ['a: Not connected: state unknown (stopped when last heard)']);
  assert.equal(canRearm(), false);
  assert.equal(blocks(store.state).pads, 'No connection');
});

test('a stop that the robot does not confirm is not called under way for ever', () => {
  const { store, stop, says, kind } = setUp('a');
  stop('a', true, false);
  assert.match(says(CONFIRM_MS - 1)[0], /^a: Stopping… \(not confirmed\), asked by ann/);
  assert.deepEqual(says(CONFIRM_MS), ['a: Stop latched by ann at 12:00:00, not confirmed by the robot']);
  assert.equal(kind(CONFIRM_MS), 'stopping');
  store.apply({ kind: 'presence', deviceId: 'a', online: false }, 0);
  assert.match(says(CONFIRM_MS)[0], /the robot is offline, the stop waits for it$/);
});

test('a robot that rejects a stop is what matters most', () => {
  const { store, stop, says, kind } = setUp('a', 'b');
  stop('a', true, true);
  store.stopOutcome({
    kind: 'ack', originalType: 'stop', id: 'c-1', robots: null, outcome: 'rejected', reason: 'driver', deviceId: 'a', latency: 1,
  }, 0);
  assert.equal(kind(), 'failed');
  assert.deepEqual(says(), ['a: Stop was REJECTED by the robot (driver): its outputs may not be at zero', 'b: Armed']);
});

test('without Redis, or with a relay that has just come, nothing is claimed that is not its news', () => {
  const { store, stop, says, kind, canRearm } = setUp('a', 'b');
  /** @param {boolean} redis @param {number} now */
  const relay = (redis, now) => store.apply({ kind: 'relay', relay: 'wsd-1', redis, message: '' }, now);
  stop('a', true, true);
  relay(false, 5000);
  assert.deepEqual(says(), ['a: Unknown: the relay has lost Redis (stopped when last heard)', 'b: Unknown: the relay has lost Redis']);
  assert.deepEqual([kind(), canRearm()], ['unknown', true]);
  store.apply({ kind: 'stop', deviceId: 'b', stopped: true, confirmed: true, by: 'ann', at: 0 }, 5001);
  assert.deepEqual(says()[1], 'b: Stopped by ann at 12:00:00: confirmed by the robot');
  relay(true, 6000);
  assert.deepEqual(says()[0], 'a: Checking… (stopped when last heard)');
  store.tick(6000 + SETTLE_MS);
  assert.deepEqual(says(), ['All: Stopped by ann at 12:00:00: confirmed by the robot']);
  store.apply({ kind: 'greeting' }, 9000);
  store.apply({ kind: 'presence', deviceId: 'b', online: true }, 9000);
  store.select('b');
  assert.deepEqual([says()[0], canRearm()], ['b: Checking… (stopped when last heard)', true]);
  const none = setUp();
  none.store.apply({ kind: 'relay', relay: 'wsd-1', redis: false, message: '' }, 5000);
  assert.deepEqual(none.says(), [': Unknown: the relay has lost Redis']);
});

test('a robot that is offline is stopped once it is back', () => {
  const { store, stop, says } = setUp();
  assert.deepEqual(says(), [': No robot is online']);
  stop('a', true, false);
  assert.match(says()[0], /the robot is offline, the stop waits for it$/);
  store.apply({ kind: 'presence', deviceId: 'a', online: true }, 0);
  assert.doesNotMatch(says()[0], /offline/);
});

test('several robots: each its line, many are counted, the worst first', () => {
  const { store, stop, says, kind } = setUp('a', 'b', 'c', 'd');
  assert.deepEqual(says(), ['All: Armed']);
  stop('b', true, true);
  stop('c', true, false);
  assert.deepEqual(says(), ['1 of 4: stopping (not confirmed)', '1 of 4: stopped, confirmed by the robots', '2 of 4: armed']);
  assert.equal(kind(), 'stopping');
  assert.equal(blocks(store.state).pads, '', 'the others can be driven');
  store.select('b');
  assert.equal(blocks(store.state).pads, 'Stopped: no effect');
  store.select('');
  store.apply({ kind: 'presence', deviceId: 'd', online: false }, 0);
  assert.deepEqual(says().map((line) => line.slice(0, 11)), ['c: Stopping', 'b: Stopped ', 'a: Armed']);
});

test('control: shared', () => {
  const { store } = setUp('a');
  assert.deepEqual([controlView(store.state).shown, controlView(store.state).text], [false, 'Shared control: anyone may drive']);
  assert.deepEqual(blocks(store.state), { pads: '', sliders: '' });
});

test('control: of one robot', () => {
  const { store, control } = setUp('a');
  store.select('a');
  control('a', null);
  assert.deepEqual(blocks(store.state), { pads: 'Take control first', sliders: 'Take control first' });
  assert.deepEqual(controlView(store.state), { shown: true, mine: [], others: [], wanted: ['a'], text: 'Nobody has control' });
  control('a', 'ann');
  assert.equal(controlView(store.state).text, 'ann has control');
  assert.equal(blocks(store.state).pads, 'ann has control');
  control('a', 'me');
  assert.deepEqual(controlView(store.state), { shown: true, mine: ['a'], others: [], wanted: [], text: 'You have control' });
  assert.deepEqual(blocks(store.state), { pads: '', sliders: '' });
});

test('control: of several robots', () => {
  const { store, stop, control } = setUp('a', 'b', 'c');
  for (const id of ['a', 'b', 'c']) control(id, null);
  control('b', 'ann');
  assert.equal(controlView(store.state).text, 'ann has control of 1 of 3 robots');
  control('a', 'me');
  assert.deepEqual(controlView(store.state), {
    shown: true, mine: ['a'], others: [{ id: 'b', holder: 'ann' }], wanted: ['b', 'c'], text: 'You have control of 1 of 3 robots',
  });
  assert.equal(blocks(store.state).pads, '');
  stop('a', true, true);
  assert.equal(blocks(store.state).pads, 'Stopped: no effect', 'those of others are not driven from here');
});

test('taking control from somebody needs two presses that are not one double click', () => {
  const guard = new TakeGuard();
  assert.equal(guard.press(false, 0), false);
  assert.equal(guard.armed(0), false);
  assert.equal(guard.press(true, 1000), false);
  assert.equal(guard.press(true, 1200), false);
  assert.equal(guard.press(true, 1300), true);
  assert.equal(guard.press(true, 2000), false, 'and two again');
  assert.equal(guard.press(true, 12_500), false, 'what was said long ago does not count');
  guard.forget();
  guard.refused(20_000); // somebody was quicker, and the page learns it from the refusal
  assert.equal(guard.press(true, 20_500), true);
});

test('where nobody is online there is nothing to drive, unless that cannot be known', () => {
  const { store, control } = setUp();
  assert.deepEqual(blocks(store.state), { pads: 'No robot is online', sliders: '' });
  store.apply({ kind: 'presence', deviceId: 'a', online: true }, 0);
  assert.equal(blocks(store.state).pads, '');
  store.select('a');
  store.apply({ kind: 'presence', deviceId: 'a', online: false }, 0);
  store.apply({ kind: 'presence', deviceId: 'b', online: true }, 0);
  assert.deepEqual(blocks(store.state), { pads: 'Offline', sliders: '' });
  store.apply({ kind: 'relay', relay: 'wsd-1', redis: false, message: '' }, 0);
  assert.equal(blocks(store.state).pads, '');
  store.apply({ kind: 'relay', relay: 'wsd-1', redis: true, message: '' }, 0);
  control('a', null);
  assert.deepEqual(blocks(store.state), { pads: 'Offline', sliders: 'Take control first' });
});

test('a robot that comes, comes back, is re-armed or comes under control was not moved before', () => {
  const { store, stop, control } = setUp('a', 'b');
  let before = movable(store.state);
  const gained = () => {
    const after = movable(store.state);
    const more = gains(before, after);
    before = after;
    return more;
  };
  /** @param {string} deviceId @param {boolean} online */
  const presence = (deviceId, online) => store.apply({ kind: 'presence', deviceId, online }, 0);
  /** @param {boolean} redis */
  const relay = (redis) => store.apply({ kind: 'relay', relay: 'wsd-1', redis, message: '' }, 0);
  /** @type {[string, () => void, boolean][]} */
  const steps = [
    ['nothing', () => {}, false],
    ['one joins', () => presence('c', true), true],
    ['one leaves', () => presence('b', false), false],
    ['it returns', () => presence('b', true), true],
    ['it returns before it was missed', () => presence('b', true), true],
    ['one is stopped', () => stop('b', true, true), false],
    ['it is re-armed', () => stop('b', false, false), true],
    ['it says so itself', () => stop('b', false, true), false],
    ['Redis is lost', () => relay(false), false],
    ['Redis is back', () => relay(true), true],
    ['one is selected', () => store.select('a'), false],
    ['another one joins', () => presence('d', true), false],
    ['control is somebody else\'s', () => control('a', 'ann'), false],
    ['control is taken', () => control('a', 'me'), true],
    ['the connection is lost', () => store.setConnection('connecting', 0), false],
  ];
  for (const [what, step, more] of steps) {
    step();
    assert.equal(gained(), more, what);
  }
});
