import assert from 'node:assert/strict';
import { test } from 'node:test';

import { LATE_MS, Underway, UNDERWAY_MAX } from '../js/underway.js';

test('a relay that answers lets drive, however far away it is: no dead-man sees a gap', () => {
  for (let roundTrip = 1; roundTrip <= LATE_MS; roundTrip++) {
    const underway = new Underway();
    let last = 0;
    let gap = 0;
    for (let now = 0; now < 3000; now++) {
      underway.answered(`m-${now - roundTrip}`);
      if (now % 50 !== 0) continue;
      assert.equal(underway.late(now), false, `${roundTrip} ms, at ${now}`);
      if (underway.full('robot_move', now)) continue;
      gap = Math.max(gap, now - last);
      last = now;
      underway.sent(`m-${now}`, 'robot_move', now);
    }
    assert.ok(gap <= 200, `${gap} ms without a motion at a round trip of ${roundTrip} ms`);
    if (roundTrip <= 100) assert.equal(gap, 50, `${roundTrip} ms`);
  }
});

test('a stall holds few motions of each stick, and is known by the oldest one', () => {
  const underway = new Underway();
  let sent = 0;
  let lateAt = null;
  for (let now = 0; now < 2000 && lateAt === null; now += 50) {
    if (underway.late(now)) lateAt = now;
    else if (!underway.full('robot_move', now)) underway.sent(`m-${++sent}`, 'robot_move', now);
  }
  assert.equal(sent, UNDERWAY_MAX);
  assert.equal(underway.full('camera_move', 2000), false, 'one stick does not take the other\'s place');
  assert.equal(lateAt, LATE_MS + 50);
});

test('it is over when nothing old is unanswered, or with another connection', () => {
  const underway = new Underway();
  underway.sent('a', 'robot_move', 0);
  underway.sent('b', 'robot_move', 50);
  underway.answered('of some other command');
  assert.deepEqual([underway.late(LATE_MS), underway.late(LATE_MS + 1)], [false, true]);
  underway.sent('zero', 'robot_move', LATE_MS + 1);
  underway.answered('b'); // a's answer is lost; but it has arrived
  assert.equal(underway.late(LATE_MS + 2), false);
  assert.equal(underway.late(2 * LATE_MS + 2), true, 'a zero is a motion, too');
  underway.reset();
  assert.equal(underway.late(9000), false);
});
