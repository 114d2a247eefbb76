import assert from 'node:assert/strict';
import { test } from 'node:test';

import { acquire, describe, isZero, latch, move, parse, setting } from '../js/protocol.js';

test('a malformed frame is null, whatever is wrong with it', () => {
  const frames = [
    undefined, null, 7, new ArrayBuffer(4), '', '{', 'null', '7', '"x"', '[]', '{}', '{"type":7}',
    '{"type":"connection"}',
    '{"type":"connection","device_type":"robot","status":"connected"}',
    '{"type":"connection","device_type":"robot","status":"maybe","device_id":"robot_01"}',
    '{"type":"connection","device_type":"robot","status":"connected","device_id":"<b>"}',
    '{"type":"telemetry_update","battery":85}',
    `{"type":"telemetry_update","device_id":"${'x'.repeat(65)}","battery":85}`,
    '{"type":"robot_status","status":"ok"}',
    '{"type":"relay_status","redis":"no"}',
    '{"type":"stop_state","device_id":"a","stopped":1,"confirmed":true}',
    '{"type":"stop_state","stopped":true,"confirmed":true}',
    '{"type":"control_state","device_id":"a","holder":7,"you":false}',
    '{"type":"control_state","device_id":"a","holder":null}',
    '{"type":"robot_heartbeat","device_id":"a","hb":1.5}',
  ];
  for (const frame of frames) assert.equal(parse(frame), null, String(frame));
});

test('types of later versions are no error', () => {
  for (const type of ['fleet', 'toString', '__proto__', 'constructor']) {
    assert.deepEqual(parse(JSON.stringify({ type })), { kind: 'other', type });
  }
});

test('greeting and presence', () => {
  assert.deepEqual(
    parse('{"type":"connection","status":"connected","device_type":"website","message":"Dashboard connected"}'),
    { kind: 'greeting' });
  assert.deepEqual(
    parse('{"type":"connection","status":"disconnected","device_type":"robot","device_id":"robot_01"}'),
    { kind: 'presence', deviceId: 'robot_01', online: false });
});

test('telemetry keeps what is a plausible number and nothing else', () => {
  const message = parse(JSON.stringify({
    type: 'telemetry_update', device_id: 'robot_01', device_name: 'Arm', battery: 85, cpu: 101, temperature: 41.2,
    signal: '93', odometer: -3.5, 'bad name': 1, timestamp: '2026-01-15T10:30:45.123Z',
  }));
  assert.deepEqual(message, {
    kind: 'telemetry', deviceId: 'robot_01', deviceName: 'Arm', late: false,
    metrics: { battery: 85, temperature: 41.2, odometer: -3.5 },
  });
  assert.equal(/** @type {any} */ (parse('{"type":"telemetry_update","device_id":"a","late":true}')).late, true);
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`m${i}`, i]));
  const read = parse(JSON.stringify({ type: 'telemetry_update', device_id: 'a', ...many }));
  assert.equal(Object.keys(/** @type {any} */ (read).metrics).length, 36);
});

test('ack and error', () => {
  assert.deepEqual(parse('{"type":"ack","original_type":"robot_move","status":"received","robots":1,"id":"a-1"}'),
    { kind: 'ack', originalType: 'robot_move', id: 'a-1', robots: 1, outcome: 'received', reason: '', deviceId: '', latency: null });
  assert.deepEqual(parse('{"type":"ack","original_type":"robot_move","robots":"all"}'),
    { kind: 'ack', originalType: 'robot_move', id: '', robots: null, outcome: 'received', reason: '', deviceId: '', latency: null });
  assert.deepEqual(
    parse('{"type":"ack","id":"a","status":"rejected","reason":"old","device_id":"robot_01","latency_ms":12}'),
    { kind: 'ack', originalType: '', id: 'a', robots: null, outcome: 'rejected', reason: 'old', deviceId: 'robot_01', latency: 12 });
  assert.deepEqual(parse('{"type":"error","error":"Robot is offline","code":"no_robot"}'),
    { kind: 'error', originalType: '', id: '', code: 'no_robot', text: 'Robot is offline' });
});

test('commands carry device_id only when one robot is addressed', () => {
  assert.deepEqual(move('robot_move', { x: 0.5, y: -0.3 }, ''), { type: 'robot_move', x: 0.5, y: -0.3 });
  assert.deepEqual(setting('set_speed', 60, 'robot_01'), { type: 'set_speed', value: 60, device_id: 'robot_01' });
  assert.equal(isZero(move('camera_move', { x: 0, y: 0 }, '')), true);
  assert.equal(isZero(setting('set_speed', 1, '')), false);
  assert.equal(describe(move('robot_move', { x: 0.5, y: -0.3 }, '')), 'Drive x 0.50, y -0.30');
  assert.equal(describe(setting('set_brightness', 60, '')), 'Brightness 60 %');
});

test('stop, control, heartbeat and pong', () => {
  assert.deepEqual(
    parse('{"type":"stop_state","device_id":"a","stopped":true,"confirmed":false,"by":"ann","timestamp":"1970-01-01T00:00:01.000Z"}'),
    { kind: 'stop', deviceId: 'a', stopped: true, confirmed: false, by: 'ann', at: 1000 });
  assert.deepEqual(parse('{"type":"stop_state","device_id":"a","stopped":false,"confirmed":true}'),
    { kind: 'stop', deviceId: 'a', stopped: false, confirmed: true, by: '', at: null });
  assert.deepEqual(parse('{"type":"control_state","device_id":"a","holder":null,"you":false,"epoch":3}'),
    { kind: 'control', deviceId: 'a', holder: null, you: false });
  assert.deepEqual(parse('{"type":"robot_heartbeat","device_id":"a","hb":5}'), { kind: 'heartbeat', deviceId: 'a', hb: 5 });
  assert.deepEqual(parse('{"type":"pong","id":"p"}'), { kind: 'pong', id: 'p' });
  assert.deepEqual(latch('stop', ''), { type: 'stop' });
  assert.deepEqual(acquire('a', false), { type: 'control_acquire', device_id: 'a' });
  assert.deepEqual(acquire('a', true), { type: 'control_acquire', device_id: 'a', take: true });
  assert.equal(describe(latch('rearm', 'a')), 'Re-arm');
});
