import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ANSWER_MS, Ledger, ROWS_MAX } from '../js/ledger.js';
import { latch, move, setting } from '../js/protocol.js';

/** @param {Ledger} ledger @param {import('../js/protocol.js').Command} command @param {number} now */
function send(ledger, command, now) {
  const id = ledger.nextId();
  ledger.sent({ ...command, id }, now, now);
  return id;
}
const drive = (x = 0.5, y = 0.5, target = '') => move('robot_move', { x, y }, target);
/** @param {string} id @param {number | null} robots @returns {import('../js/protocol.js').Ack} */
const ack = (id, robots = 1, originalType = 'robot_move') =>
  ({ kind: 'ack', originalType, id, robots, outcome: 'received', reason: '', deviceId: '', latency: null });
/** @param {string} id @param {'applied' | 'rejected' | 'expired'} outcome @param {object} [more] @returns {import('../js/protocol.js').Ack} */
const said = (id, outcome, more) => ({ ...ack(id, null), outcome, deviceId: 'robot_01', latency: 7, ...more });
/** @param {string} id @param {string} code @returns {import('../js/protocol.js').Failure} */
const error = (id, code, originalType = 'robot_move') => ({ kind: 'error', originalType, id, code, text: 'No' });

test('sent, then received with the number of robots', () => {
  const ledger = new Ledger('p-');
  const id = send(ledger, setting('set_speed', 60, ''), 100);
  assert.equal(ledger.rows[0].state, 'sent');
  ledger.acked(ack(id, 2, 'set_speed'), 112);
  assert.equal(ledger.rows[0].state, 'received');
  assert.equal(ledger.rows[0].detail, 'received by relay, robots: 2 · 12 ms');
});

test('a held stick is one row, its release another', () => {
  const ledger = new Ledger('p-');
  for (let i = 0; i < 20; i++) ledger.acked(ack(send(ledger, drive(0.1 * (i % 10)), i * 50)), i * 50 + 2);
  send(ledger, drive(0, 0), 1000);
  send(ledger, drive(0.2, 0), 1050);
  assert.deepEqual(ledger.rows.map((r) => [r.label, r.count]), [
    ['Drive x 0.20, y 0.00', 1], ['Drive to zero', 1], ['Drive x 0.90, y 0.50', 20],
  ]);
});

test('other robots and other commands have rows of their own', () => {
  const ledger = new Ledger('p-');
  send(ledger, drive(1, 0), 0);
  send(ledger, drive(1, 0, 'robot_02'), 10);
  send(ledger, move('camera_move', { x: 1, y: 0 }, ''), 20);
  send(ledger, drive(1, 0), 30);
  assert.deepEqual(ledger.rows.map((r) => [r.type, r.target, r.count]), [
    ['camera_move', '', 1], ['robot_move', 'robot_02', 1], ['robot_move', '', 2],
  ]);
});

test('an answer without id belongs to the oldest command of its type that waits', () => {
  const ledger = new Ledger('p-');
  send(ledger, drive(1, 0), 0);
  send(ledger, drive(0, 0), 1);
  ledger.acked(ack('', 1), 2);
  assert.deepEqual(ledger.rows.map((r) => r.state), ['sent', 'received']);
});

test('an error shows its code, and stays countable in a row that goes on', () => {
  const ledger = new Ledger('p-');
  ledger.failed(error(send(ledger, drive(), 0), 'rate_limited'), 1, 1);
  assert.equal(ledger.rows[0].detail, 'No (rate_limited)');
  ledger.acked(ack(send(ledger, drive(), 50)), 51);
  assert.deepEqual([ledger.rows.length, ledger.rows[0].state, ledger.rows[0].failures], [1, 'received', 1]);
});

test('a command may fail after it was received', () => {
  const ledger = new Ledger('p-');
  const id = send(ledger, drive(), 0);
  ledger.acked(ack(id), 1);
  ledger.failed(error(id, 'expired'), 600, 600);
  assert.equal(ledger.rows[0].detail, 'No (expired)');
});

test('an error that belongs to no command is shown once and counted', () => {
  const ledger = new Ledger('p-');
  ledger.failed(error('', 'invalid_json', ''), 0, 0);
  ledger.failed(error('', 'invalid_json', ''), 10, 10);
  assert.deepEqual([ledger.rows.length, ledger.rows[0].count, ledger.rows[0].state], [1, 2, 'error']);
});

test('no answer after two seconds, and at once when the connection is lost', () => {
  const ledger = new Ledger('p-');
  send(ledger, drive(), 0);
  assert.equal(ledger.expire(ANSWER_MS - 1), false);
  assert.equal(ledger.expire(ANSWER_MS), true);
  assert.equal(ledger.rows[0].detail, 'no answer');
  send(ledger, setting('set_speed', 3, ''), 2000);
  ledger.lost();
  assert.equal(ledger.rows[0].detail, 'no answer (connection lost)');
});

test('an answer that comes after all is believed, whoever it is from', () => {
  const ledger = new Ledger('p-');
  const [a, b, c] = [0, 1, 2].map((now) => send(ledger, setting('set_speed', 60, ''), now));
  ledger.expire(ANSWER_MS + 2);
  assert.deepEqual([ledger.rows[0].state, ledger.rows[0].failures], ['no-answer', 3]);
  ledger.acked(ack('', 1, 'set_speed'), 2500);
  assert.equal(ledger.rows[0].failures, 3, 'nobody knows whose that is');
  ledger.failed(error(a, 'rate_limited', 'set_speed'), 2600, 0);
  assert.equal(ledger.rows[0].failures, 3, 'still one, for another reason');
  ledger.acked(ack(b, 1, 'set_speed'), 2700);
  ledger.acked(ack(c, 1, 'set_speed'), 2700);
  assert.deepEqual([ledger.rows[0].state, ledger.rows[0].failures], ['received', 1]);
  assert.equal(ledger.rows[0].detail, 'received by relay, robots: 1 · 2698 ms');
  const d = send(ledger, drive(), 5000);
  ledger.expire(5000 + ANSWER_MS);
  ledger.acked(said(d, 'applied', { latency: 2100 }), 7100);
  assert.deepEqual([ledger.rows[0].state, ledger.rows[0].failures], ['applied', 0]);
  send(ledger, drive(), 9000);
  ledger.expire(9000 + ANSWER_MS);
  ledger.lost();
  assert.equal(ledger.rows[0].failures, 1, 'and none is counted twice');
});

test('the robot\'s own word, with how long it took', () => {
  const ledger = new Ledger('p-');
  const [a, b, c] = [0, 2000, 4000].map((now) => send(ledger, drive(), now));
  for (const id of [a, b, c]) ledger.acked(ack(id), 4001);
  ledger.acked(said(a, 'applied'), 4010);
  ledger.acked(said(b, 'rejected', { reason: 'stopped' }), 4010);
  ledger.acked(said(c, 'expired', { reason: 'hb', latency: null }), 4010);
  assert.deepEqual(ledger.rows.map((r) => [r.state, r.detail, r.failures]), [
    ['expired', 'expired (hb) · 10 ms', 1], ['rejected', 'rejected (stopped) · 7 ms', 1], ['applied', 'applied (7 ms)', 0],
  ]);
});

test('of several robots each counts, and a refusal is not hidden by the others', () => {
  const ledger = new Ledger('p-');
  const id = send(ledger, setting('set_speed', 60, ''), 0);
  ledger.acked(ack(id, 3, 'set_speed'), 1);
  ledger.acked(said(id, 'applied', { latency: 4 }), 5);
  ledger.acked(said(id, 'applied', { latency: 9, deviceId: 'robot_02' }), 6);
  assert.equal(ledger.rows[0].detail, 'applied by 2 of 3 robots (9 ms)');
  ledger.acked(said(id, 'rejected', { reason: 'link', deviceId: 'robot_03' }), 7);
  ledger.acked(said(id, 'applied', { deviceId: 'robot_04' }), 8);
  assert.equal(ledger.rows[0].detail, 'rejected by robot_03 (link) · 7 ms');
  assert.equal(ledger.rows[0].failures, 1);
});

test('a held stick shows its newest outcome, until robots stop answering', () => {
  const ledger = new Ledger('p-');
  const first = send(ledger, drive(0.1), 0);
  ledger.acked(ack(first), 1);
  ledger.acked(said(first, 'applied'), 2);
  const second = send(ledger, drive(0.2), 50);
  ledger.acked(ack(second), 51);
  assert.equal(ledger.rows[0].state, 'applied', 'no flicker');
  ledger.acked(said(second, 'applied', { latency: 8 }), 52);
  ledger.acked(said(first, 'rejected'), 53);
  assert.equal(ledger.rows[0].detail, 'applied (8 ms)', 'the older one changes nothing');
  const third = send(ledger, drive(0.3), 100);
  ledger.acked(ack(third), 101);
  ledger.expire(599);
  assert.equal(ledger.rows[0].state, 'applied');
  ledger.expire(600);
  assert.equal(ledger.rows[0].state, 'received');
});

test('a motion that a newer one replaced is no failure', () => {
  const ledger = new Ledger('p-');
  const first = send(ledger, drive(0.1), 0);
  const second = send(ledger, drive(0.2), 50);
  ledger.acked(said(first, 'rejected', { reason: 'superseded' }), 51);
  assert.deepEqual([ledger.rows[0].state, ledger.rows[0].detail], ['superseded', 'rejected (superseded) · 7 ms']);
  ledger.acked(said(second, 'applied'), 52);
  assert.deepEqual([ledger.rows[0].state, ledger.rows[0].failures], ['applied', 0]);
});

test('each refusal has its state, and what was not sent says so', () => {
  const ledger = new Ledger('p-');
  /** @type {[string, string][]} */
  const codes = [['no_robot', 'no-robot'], ['stopped', 'stopped'], ['not_in_control', 'not-in-control'],
    ['expired', 'expired'], ['rate_limited', 'error']];
  for (const [i, [code, state]] of codes.entries()) {
    ledger.failed(error(send(ledger, drive(), i * 2000), code), i * 2000 + 1, 0);
    assert.equal(ledger.rows[0].state, state);
  }
  ledger.notSent(latch('stop', 'robot_01'), 'no connection', 20_000, 20_000);
  const [row] = ledger.rows;
  assert.deepEqual([row.label, row.target, row.state, row.detail], ['Stop', 'robot_01', 'not-sent', 'not sent: no connection']);
});

test('rows and remembered commands are bounded', () => {
  const ledger = new Ledger('p-');
  for (let i = 0; i < 5000; i++) send(ledger, drive(i % 2, 0), i);
  assert.equal(ledger.rows.length, ROWS_MAX);
  assert.ok(ledger.entries.size <= 1024);
  assert.equal(new Set(ledger.rows.map((r) => r.key)).size, ROWS_MAX);
});
