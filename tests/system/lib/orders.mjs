// What relays ask of the scripts, and robots that listen; for the tests of scripts.
import { after, afterEach, before } from 'node:test';
import assert from 'node:assert/strict';
import { assertRecent } from './harness.mjs';
import { Scripts } from './scripts.mjs';

export const A = 'wsd-1#00000000000000aa';
export const B = 'wsd-2#00000000000000bb';
export const CONTROL = 2000;
export const SENT = 0, EXPIRED = 1, STOPPED = 2, NOT_IN_CONTROL = 3, NOBODY = 4, UNLATCHED = 5;
export const GRANTED = 0, REFUSED = 1, LOST = 2;
export const MOVE = '{"type":"robot_move","x":0.5,"y":-0.3,"text":"a b  c"}';
export const ZERO = '{"type":"robot_move","x":0,"y":0}';
export const open = (json) => json.slice(0, -1); // without its last brace

export let scripts, redis;

// Each test of the file gets an empty Redis.
export function useScripts() {
    before(async () => {
        scripts = await Scripts.start();
        redis = scripts.redis;
    });
    after(() => scripts?.stop());
    afterEach(() => scripts.clear());
}

export const ctl = (id = 'r1') => scripts.hash(`tr:ctl:${id}`);
export const history = (id = 'r1') => scripts.stream(`tr:cmds:${id}`);
export const events = () => scripts.stream('tr:events');
export const attach = (id, instance = A, had = 0) => scripts.run('attach', instance, id, had, 0).then(([conn]) => conn);
export const beat = (instance = A) => scripts.run('beat', instance, 3000, CONTROL);
export const rises = (value, least) => assert.ok(Number(value) >= least, `${value} is less than ${least}`);

// A robot that is online and listens.
export async function robot(id, instance = A) {
    const one = await scripts.robot(id);
    one.conn = await attach(id, instance);
    await one.take();
    await scripts.told();
    return one;
}

// who: NUMBER of a website at relay A, or a whole SENDER
export const senderOf = (who) => (typeof who === 'number' ? `${A}/${who}` : who);
export async function send(id, { who = 1, type = 'robot_move', json = MOVE, flags = '', ttl = 10000, cmd = '' } = {}) {
    const [sender, now] = [senderOf(who), await scripts.now()];
    return scripts.run('command', A, id, now + ttl, now, type, open(json), sender, `name${who}`, `${sender}/77 ${cmd.length} ${cmd}`, flags);
}
export const sent = async (...args) => (await send(...args)).slice(0, 2);

export const stop = async (id, { stopped = true, given = 0, by = 'ann', late = 0 } = {}) =>
    (await scripts.run('stop', A, id, stopped ? 1 : 0, given, (await scripts.now()) - late, `{"type":"${stopped ? 'stop' : 'rearm'}"`, by, `${A}/9/77 2 s1`));
export const rearm = (id, more) => stop(id, { ...more, stopped: false });
export const report = (id, stopped, seq = -1, by = 'robot') => scripts.run('report', A, id, stopped ? 1 : 0, seq, by);

export async function control(op, id, who, { redis: on = redis, instance = A, lease = CONTROL } = {}) {
    const now = await scripts.now();
    return scripts.runOn(on, 'control', instance, op, id, senderOf(who), `name${who}`, lease, open(ZERO),
        open(ZERO).replace('robot', 'camera'), now);
}

// "DEADLINE TYPE SEQ SENDER/T0 IDLEN ID JSON" taken apart
export function parse(text) {
    const [, deadline, type, seq, from, length, rest] = text.match(/^(\d+) (\w+) (\d+) (\S+) (\d+) (.*)$/s);
    const json = rest.slice(Number(length) + 1);
    assert.equal(rest[length], ' ');
    return { deadline: Number(deadline), type, seq: Number(seq), from, id: rest.slice(0, length), json: JSON.parse(json) };
}
export const orders = async (one) => (await one.take()).map(parse);

// Without their time stamps, which are of Redis' clock, now.
export const timeless = async (one) => (await orders(one)).map(({ json: { timestamp, ...json }, ...order }) => {
    assertRecent(timestamp);
    return { ...order, json };
});
