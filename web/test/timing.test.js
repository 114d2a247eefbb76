import assert from 'node:assert/strict';
import { test } from 'node:test';

import { delay } from '../js/backoff.js';
import { Throttle } from '../js/throttle.js';

test('back-off: 100–300 ms first, doubling, never more than 5 s, spread by chance', () => {
  assert.deepEqual([delay(0, 0), delay(0, 1)], [100, 300]);
  assert.deepEqual([delay(1, 0), delay(1, 1)], [200, 600]);
  for (let attempt = 0; attempt < 2000; attempt++) {
    assert.ok(delay(attempt, 1) <= 5000 && delay(attempt, 0) < delay(attempt, 1));
  }
});

test('a throttle lets the first and the last value through, and not more than it may', () => {
  let now = 0;
  /** @type {{fn: () => void, due: number}[]} */
  let timers = [];
  /** @type {[number, number][]} */
  const sent = [];
  const throttle = new Throttle(100, (/** @type {number} */ v) => sent.push([now, v]), {
    now: () => now,
    start: (fn, ms) => timers.push({ fn, due: now + ms }),
    stop: () => (timers = []),
  });
  for (; now < 1000; now++) {
    if (now <= 555) throttle.push(now);
    for (const timer of timers) if (timer.due <= now) timer.fn();
  }
  assert.deepEqual(sent[0], [0, 0]);
  assert.equal(sent.at(-1)?.[1], 555);
  for (let i = 1; i < sent.length; i++) assert.ok(sent[i][0] - sent[i - 1][0] >= 100);
});

test('flush sends what waits, cancel forgets it', () => {
  /** @type {number[]} */
  const sent = [];
  const throttle = new Throttle(100, (/** @type {number} */ v) => sent.push(v), {
    now: () => 0, start: () => 1, stop: () => {},
  });
  throttle.push(1);
  throttle.push(2);
  throttle.flush();
  throttle.flush();
  throttle.push(3);
  throttle.cancel();
  throttle.flush();
  assert.deepEqual(sent, [1, 2]);
});
