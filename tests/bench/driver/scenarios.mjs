// What is measured, against what, and the goal of each figure. A figure and its reference are measured in
// turns, several short rounds of each, so that whatever else the machine does hits both alike; what counts is
// the median of the rounds, and the sum of what was lost. "dropped" in the details is what the relay itself says
// it dropped: a load generator that was not let run is a slow website, and those get the newest telemetry only.

import { archive } from './archive.mjs';
import { directory, generate, nchanModule, settings, startNchan, startNodeRelay, startRedis, startStack } from './setup.mjs';

const ROUNDS = settings.smoke ? 1 : 3;
const TIMES = { seconds: settings.seconds / ROUNDS, warmup: settings.smoke ? 0.2 : 0.5 };

const at = (object, dotted) => dotted.split('.').reduce((value, key) => value?.[key], object);
const median = (rounds, field) => rounds.map((one) => at(one, field)).sort((a, b) => a - b)[Math.floor(rounds.length / 2)];
const total = (rounds, field) => rounds.reduce((sum, one) => sum + at(one, field), 0);

// Runs each of the named functions in turns; { name: [result, …] }.
async function inTurns(sides, rounds = ROUNDS) {
  const results = Object.fromEntries(Object.keys(sides).map((name) => [name, []]));
  for (let i = 0; i < rounds; i += 1) {
    for (const [name, run] of Object.entries(sides)) results[name].push(await run());
  }
  return results;
}

async function fanoutCase(report, name, load, ours, nchan) {
  const run = (server, dialect) => () => generate('fanout', { relay: server.relay(1), dialect, pids: server.pids(), ...load, ...TIMES });
  const sides = { ours: run(ours, 'telerelay') };
  if (nchan) sides.nchan = run(nchan, 'nchan');
  const before = await ours.dropped();
  const { ours: own, nchan: theirs } = await inTurns(sides);
  const dropped = (await ours.dropped()) - before;
  const reference = (field) => (theirs ? median(theirs, field) : null);
  const compare = (what, unit, field, most) =>
    report.compare({
      name: `${name}.${what}`, unit, value: median(own, field), reference: reference(field === 'cpu_us.all' ? 'cpu_us.relay' : field),
      referenceName: 'nchan in memory', most, details: what === 'cpu' ? { ours: own, nchan: theirs ?? null } : {},
    });
  compare('cpu', 'µs/delivered', 'cpu_us.relay', 0.8);
  compare('cpu_with_redis', 'µs/delivered', 'cpu_us.all');
  compare('p50', 'µs', 'latency_us.p50');
  compare('p99', 'µs', 'latency_us.p99', 1);
  report.limit({ name: `${name}.lost`, unit: 'messages', value: total(own, 'lost') + total(own, 'duplicate'), most: 0,
    details: { dropped, refused: total(own, 'errors') * load.websites, expected: total(own, 'expected'), nchan_lost: theirs ? total(theirs, 'lost') : null } });
}

async function fanout(report) {
  const ours = await startStack();
  const nchan = nchanModule && (await startNchan());
  await fanoutCase(report, 'fanout_10x20hz_100', { robots: 10, hz: 20, websites: 100 }, ours, nchan);
  await fanoutCase(report, 'fanout_10x500hz_20', { robots: 10, hz: 500, websites: 20 }, ours, nchan);
}

// Several messages in one frame, for pages that offer it.
async function batch(report) {
  const ours = await startStack();
  const nchan = nchanModule && (await startNchan());
  const load = { robots: 10, hz: 20, websites: 100, ...TIMES };
  const sides = { ours: () => generate('fanout', { relay: ours.relay(1), protocol: 'telerelay.batch', pids: ours.pids(), ...load }) };
  if (nchan) sides.nchan = () => generate('fanout', { relay: nchan.relay(1), dialect: 'nchan', pids: nchan.pids(), ...load });
  const { ours: own, nchan: theirs } = await inTurns(sides);
  report.compare({ name: 'batch_10x20hz_100.cpu', unit: 'µs/delivered', value: median(own, 'cpu_us.relay'),
    reference: theirs ? median(theirs, 'cpu_us.relay') : null, referenceName: 'nchan in memory', most: 0.25, details: { ours: own, nchan: theirs ?? null } });
  report.add({ name: 'batch_10x20hz_100.p99', unit: 'µs', value: median(own, 'latency_us.p99') });
  report.limit({ name: 'batch_10x20hz_100.lost', unit: 'messages', value: total(own, 'lost') + total(own, 'duplicate'), most: 0,
    details: { dropped: await ours.dropped() } });
}

// What it costs to drive safely. Telemetry stored while all robots are driven at 20 Hz with ids, receipts, heartbeats
// and all that belongs to them, against the same telemetry of robots that nobody drives: one website listens in
// either case. And a move with all of that against a plain one, without telemetry.
async function safety(report) {
  const ours = await startStack();
  const load = { robots: 10, relay: ours.relay(1), pids: ours.pids(), ...TIMES };
  const busy = { ...load, outstanding: 16, websites: 0, 'drive-hz': 20 };
  const moves = { ...load, outstanding: 0, websites: 0, 'drive-hz': 100 };
  const { still, driven, plain, safe } = await inTurns({
    still: () => generate('ingest', { ...busy, websites: 1, 'drive-hz': 0 }),
    driven: () => generate('ingest', { ...busy, safe: true }),
    plain: () => generate('ingest', moves),
    safe: () => generate('ingest', { ...moves, safe: true }),
  });
  const compare = (what, unit, field, own, reference, referenceName, goal) =>
    report.compare({ name: `safety.${what}`, unit, value: median(own, field), reference: median(reference, field), referenceName, ...goal,
      details: what === 'throughput' ? { driven, still } : what === 'move_cpu' ? { safe, plain } : {} });
  compare('throughput', 'samples/s', 'per_second', driven, still, 'robots that nobody drives', { least: 0.9 });
  compare('cpu', 'µs/sample', 'cpu_us.all', driven, still, 'robots that nobody drives');
  compare('move_cpu', 'µs/move', 'cpu_us.all', safe, plain, 'plain moves');
  const sent = total(driven, 'moves') + total(safe, 'moves');
  report.limit({ name: 'safety.without_receipt', unit: 'moves', value: total(driven, 'without_receipt') + total(safe, 'without_receipt'),
    least: 0, most: Math.max(20, Math.round(sent / 100)), details: { moves: sent, dropped: total(driven, 'dropped') + total(safe, 'dropped') } });
  const all = [...still, ...driven, ...plain, ...safe];
  const errors = (rounds) => total(rounds, 'errors') + rounds.reduce((sum, one) => sum + (one.driver_errors ?? 0), 0);
  report.limit({ name: 'safety.errors', unit: 'messages', value: errors(all), most: 0,
    details: { still: errors(still), driven: errors(driven), plain: errors(plain), safe: errors(safe) } });
}

async function command(report) {
  const ours = await startStack({ relays: 2 });
  const nchan = nchanModule && (await startNchan({ redis: await startRedis(directory()), count: 2 }));
  const run = (server, dialect) => () =>
    generate('command', { relay: [server.relay(1), server.relay(2)], dialect, pids: server.pids(), hz: 100, ...TIMES });
  const sides = { ours: run(ours, 'telerelay') };
  if (nchan) sides.nchan = run(nchan, 'nchan');
  const before = await ours.dropped();
  const { ours: own, nchan: theirs } = await inTurns(sides);
  const dropped = (await ours.dropped()) - before;
  const compare = (what, unit, field, most) =>
    report.compare({ name: `command.${what}`, unit, value: median(own, field), reference: theirs ? median(theirs, field) : null,
      referenceName: 'nchan + Redis', most, details: what === 'p50' ? { ours: own, nchan: theirs ?? null } : {} });
  compare('p50', 'µs', 'latency_us.p50', 0.5);
  compare('p99', 'µs', 'latency_us.p99');
  compare('ack_p50', 'µs', 'ack_us.p50');
  compare('ack_p99', 'µs', 'ack_us.p99');
  compare('cpu', 'µs/command', 'cpu_us.all');
  report.limit({ name: 'command.lost', unit: 'commands', value: total(own, 'lost') + total(own, 'unacked') + total(own, 'duplicate'),
    most: 0, details: { dropped, sent: total(own, 'sent'), nchan_lost: theirs ? total(theirs, 'lost') : null } });
}

async function ingest(report) {
  const ours = await startStack();
  const node = await startNodeRelay();
  const load = { robots: 10, outstanding: 16, ...TIMES };
  const run = (server, prefix, websites) => () =>
    generate('ingest', { relay: server.relay(1), pids: server.pids(), redis: server.redis, prefix, websites, ...load });
  const alone = await inTurns({ ours: run(ours, 'tr:tel:', 0), node: run(node, 'node:tel:', 0) });
  const served = await inTurns({ ours: run(ours, 'tr:tel:', 5), node: run(node, 'node:tel:', 5) });
  for (const [name, { ours: own, node: theirs }] of [['ingest', alone], ['ingest_5_websites', served]]) {
    const compare = (what, unit, field, goal) =>
      report.compare({ name: `${name}.${what}`, unit, value: median(own, field), reference: median(theirs, field),
        referenceName: 'Node', ...goal, details: what === 'cpu' ? { ours: own, node: theirs } : {} });
    compare('cpu', 'µs/sample', 'cpu_us.all', { most: 0.35 });
    compare('throughput', 'samples/s', 'per_second', { least: 2 });
    compare('ack_p99', 'µs', 'ack_us.p99');
    if (name !== 'ingest') {
      compare('update_p99', 'µs', 'update_us.p99');
      const gap = Math.max(...own.map((one) => one.longest_gap_ms));
      const share = Math.min(...own.map((one) => one.updates_least / one.acked));
      report.limit({ name: `${name}.longest_silence`, unit: 'ms', value: gap, most: 1000, details: { least_share_of_updates: share } });
    }
    const gone = total(own, 'unacked') + total(own, 'errors') + own.reduce((sum, one) => sum + Math.max(0, one.acked_in_all - one.stored), 0);
    report.limit({ name: `${name}.lost`, unit: 'samples', value: gone, most: 0,
      details: { acked: total(own, 'acked_in_all'), stored: total(own, 'stored') } });
  }
}

async function idle(report) {
  const ours = await startStack();
  const load = { websites: settings.idle, seconds: settings.smoke ? 0.5 : 2 };
  ours.restart('wsd-1');
  const own = await generate('idle', { relay: ours.relay(1), pids: ours.pids(), ...load });
  const nchan = nchanModule && (await startNchan());
  const theirs = nchan && (await generate('idle', { relay: nchan.relay(1), dialect: 'nchan', pids: nchan.pids(), ...load }));
  report.add({ name: 'idle.connections', unit: 'connections', value: settings.idle - Math.max(own.closed, own.not_greeted), goal: `= ${settings.idle}`,
    ok: own.closed === 0 && own.not_greeted === 0, details: { ours: own, nchan: theirs } });
  report.add({ name: 'idle.memory', unit: 'bytes/connection', value: own.bytes.relay_rss, goal: '≤ 2560, with all of them',
    ok: own.closed === 0 && own.bytes.relay_rss <= 2560,
    details: { pss: own.bytes.relay_pss, nchan_rss: theirs?.bytes.relay_rss ?? null } });
  report.compare({ name: 'idle.accept_cpu', unit: 'µs/connection', value: own.accept.cpu_us.relay,
    reference: theirs?.accept.cpu_us.relay, referenceName: 'nchan' });
  report.compare({ name: 'idle.hold_cpu', unit: 'µs/connection/s', value: own.hold.cpu_us.relay,
    reference: theirs?.hold.cpu_us.relay, referenceName: 'nchan' });
}

async function blocked(report) {
  const ours = await startStack();
  ours.restart('wsd-1');
  const before = await ours.dropped();
  const own = await generate('blocked', { relay: ours.relay(1), pids: ours.pids(), websites: 100, robots: 1, hz: 500,
    seconds: settings.smoke ? 1 : 6 });
  report.limit({ name: 'blocked.memory', unit: 'bytes/connection', value: own.bytes.relay_rss, most: 65536, details: { ours: own } });
  report.limit({ name: 'blocked.lost_to_a_reader', unit: 'messages', value: own.lost_to_reader, most: 0,
    details: { dropped_in_all: (await ours.dropped()) - before, p99_us: own.latency_us.p99 } });
}

// nginx, api, Redis and the load use both cores; what Redis alone gives has them, too.
async function history(report) {
  const spread = { spread: true };
  const ours = await startStack(spread);
  const times = { seconds: settings.seconds / ROUNDS / 2, warmup: 0.2 };
  const seed = { redis: ours.redis, samples: 5000 };
  await generate('seed', { ...seed, 'one-field': true }, spread);
  await generate('seed', { ...seed, prefix: 'bench:four:' }, spread);
  for (const limit of [1000, 100]) {
    for (const concurrency of [1, 4]) {
      const load = { limit, concurrency, ...times };
      const raw = { redis: ours.redis, pids: ours.redisPids(), ...load };
      const { api, one, four } = await inTurns({
        api: () => generate('history', { relay: ours.http, pids: ours.apiPids(), ...load }, spread),
        one: () => generate('xrange', raw, spread),
        four: () => generate('xrange', { ...raw, prefix: 'bench:four:' }, spread),
      });
      const goal = limit === 1000 ? { least: 0.7 } : {};
      const figures = { unit: 'answers/s', value: median(api, 'per_second') };
      const name = `history_${limit}x${concurrency}`;
      report.compare({ name: `${name}.of_redis`, ...figures, reference: median(four, 'per_second'), referenceName: 'Redis', ...goal,
        details: { api, redis: four, note: 'Redis alone, four fields a sample' } });
      report.compare({ name: `${name}.of_same_stream`, ...figures, reference: median(one, 'per_second'), referenceName: 'Redis', ...goal,
        details: { redis: one, note: 'Redis alone, the very stream that the api reads' } });
    }
  }
}

export const scenarios = { fanout, batch, command, safety, ingest, idle, blocked, history, archive };
