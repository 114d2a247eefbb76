import assert from 'node:assert/strict';
import { test } from 'node:test';

import { DEAD_ZONE, fromKeys, fromPointer, isStickKey, REPEAT_MS, Stick } from '../js/stick.js';

/** A clock that only moves when told. */
function fakeClock() {
  let time = 0;
  let next = 1;
  /** @type {Map<number, {fn: () => void, ms: number, due: number}>} */
  const timers = new Map();
  return {
    now: () => time,
    /** @param {() => void} fn @param {number} ms */
    start(fn, ms) {
      timers.set(next, { fn, ms, due: time + ms });
      return next++;
    },
    /** @param {any} timer */
    stop: (timer) => void timers.delete(timer),
    /** @param {number} ms */
    pass(ms) {
      for (const end = time + ms; time < end;) {
        time++;
        for (const timer of [...timers.values()]) {
          if (timer.due !== time) continue;
          timer.due += timer.ms;
          timer.fn();
        }
      }
    },
    running: () => timers.size,
  };
}

function setUp() {
  const clock = fakeClock();
  /** @type {{t: number, x: number, y: number}[]} */
  const sent = [];
  const stick = new Stick((v) => sent.push({ t: clock.now(), ...v }), clock);
  return { clock, sent, stick };
}

test('a pointer inside and outside the circle', () => {
  assert.deepEqual(fromPointer(0, 0, 100), { x: 0, y: 0 });
  assert.deepEqual(fromPointer(0, -100, 100), { x: 0, y: 1 });
  assert.deepEqual(fromPointer(500, 0, 100), { x: 1, y: 0 });
  assert.deepEqual(fromPointer(300, 300, 100), { x: 0.71, y: -0.71 });
  assert.deepEqual(fromPointer(5, 5, 0), { x: 0, y: 0 });
});

test('the dead zone is zero and the range begins beside it', () => {
  assert.deepEqual(fromPointer(100 * DEAD_ZONE, 0, 100), { x: 0, y: 0 });
  assert.deepEqual(fromPointer(100 * DEAD_ZONE + 1, 0, 100), { x: 0.01, y: 0 });
  assert.ok(Object.is(fromPointer(-50, 0, 100).y, 0), 'no minus zero');
});

test('any pointer gives values within range with two decimals', () => {
  for (let i = 0; i < 2000; i++) {
    const v = fromPointer(Math.sin(i) * i, Math.cos(i * 7) * i, 137);
    for (const n of [v.x, v.y]) {
      assert.ok(Math.abs(n) <= 1);
      assert.equal(Number(n.toFixed(2)), n);
    }
    assert.ok(Math.hypot(v.x, v.y) <= 1.01);
  }
});

test('keys', () => {
  assert.deepEqual(fromKeys(['KeyW']), { x: 0, y: 1 });
  assert.deepEqual(fromKeys(['ArrowUp', 'KeyW', 'ArrowRight']), { x: 0.71, y: 0.71 });
  assert.deepEqual(fromKeys(['ArrowUp', 'ArrowDown']), { x: 0, y: 0 });
  assert.equal(isStickKey('KeyQ') || isStickKey('toString'), false);
});

test('a stick that is only touched at its centre sends the zero of its release and nothing else', () => {
  const { clock, sent, stick } = setUp();
  stick.hold({ x: 0, y: 0 });
  clock.pass(500);
  stick.release();
  assert.deepEqual(sent, [{ t: 500, x: 0, y: 0 }]);
});

test('a held stick repeats at 20 Hz', () => {
  const { clock, sent, stick } = setUp();
  stick.hold({ x: 0, y: 0.5 });
  clock.pass(1000);
  assert.equal(sent.length, 1 + 1000 / REPEAT_MS);
});

test('moves are sent at once but at most every 50 ms, and the newest is never lost', () => {
  const { clock, sent, stick } = setUp();
  for (let i = 1; i <= 100; i++) {
    stick.hold({ x: i / 100, y: 0 });
    clock.pass(3);
  }
  clock.pass(REPEAT_MS);
  for (let i = 1; i < sent.length; i++) assert.ok(sent[i].t - sent[i - 1].t >= REPEAT_MS);
  assert.equal(sent[0].x, 0.01);
  assert.equal(sent.at(-1)?.x, 1);
});

test('the zero of a release goes out at once, right after a move, and only once', () => {
  const { clock, sent, stick } = setUp();
  stick.hold({ x: 1, y: 0 });
  clock.pass(1);
  stick.release();
  stick.release();
  assert.deepEqual(sent, [{ t: 0, x: 1, y: 0 }, { t: 1, x: 0, y: 0 }]);
  clock.pass(1000);
  assert.equal(sent.length, 2);
  assert.equal(clock.running(), 0);
});

test('a stick that is moved back to the centre stops at once too', () => {
  const { clock, sent, stick } = setUp();
  stick.hold({ x: 1, y: 0 });
  clock.pass(1);
  stick.hold({ x: 0, y: 0 });
  assert.deepEqual(sent.at(-1), { t: 1, x: 0, y: 0 });
  clock.pass(REPEAT_MS);
  assert.equal(sent.length, 3, 'it is still held: the zero repeats');
});

test('a stick that trembles around its centre keeps to the pace', () => {
  const { clock, sent, stick } = setUp();
  for (let i = 0; i < 200; i++) {
    stick.hold(i % 2 === 0 ? { x: 0.1, y: 0 } : { x: 0, y: 0 });
    clock.pass(3);
  }
  for (let i = 1; i < sent.length; i++) {
    assert.ok(sent[i].t - sent[i - 1].t >= REPEAT_MS || (sent[i].x === 0 && sent[i - 1].x !== 0), 'only an end comes sooner');
  }
  assert.ok(sent.length <= 2 * 600 / REPEAT_MS + 2, `${sent.length}`);
  const { length } = sent;
  stick.release();
  assert.deepEqual(sent.slice(length).map(({ x }) => x), [0]);
});

test('a stick that lost its connection sends nothing more', () => {
  const { clock, sent, stick } = setUp();
  stick.hold({ x: 1, y: 0 });
  stick.drop();
  clock.pass(500);
  assert.equal(sent.length, 1);
  assert.deepEqual([stick.held, stick.value.x, clock.running()], [false, 0, 0]);
});
