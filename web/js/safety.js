// What the page says about stop and control, and what it lets be driven: decided here, drawn elsewhere. It
// claims that a robot is stopped only where the relay said so, and confirmed only where the robot did. Pure.

import { presenceKnown } from './store.js';

/** @typedef {import('./store.js').State} State */
/** @typedef {import('./store.js').Robot} Robot */
/** @typedef {'armed' | 'rearmed' | 'stopping' | 'stopped' | 'failed' | 'unknown' | 'offline'} StopKind */
/** @typedef {{id: string, kind: StopKind, text: string}} Line */

export const CONFIRM_MS = 2000; // a stop that takes longer is worth a warning
const LINES_MAX = 3;

/** The robots that a command would reach: the selected one, or all that are online. @param {State} state @returns {Robot[]} */
export function addressed(state) {
  if (state.selected === '') return [...state.robots.values()].filter((robot) => robot.online);
  const robot = state.robots.get(state.selected);
  return robot ? [robot] : [];
}

/** Those of them that obey this page. @param {State} state */
const reached = (state) => addressed(state).filter((robot) => !state.exclusive || robot.control?.you);

/** @param {Robot} robot its latch is set, or this page has asked for that */
export const isStopped = (robot) => robot.asked?.what === 'stop' || robot.stop?.stopped === true;

/** @param {import('./store.js').Stop} stop @param {(ms: number) => string} clock */
const author = (stop, clock) => `${stop.by ? ` by ${stop.by}` : ''}${stop.at === null ? '' : ` at ${clock(stop.at)}`}`;

/** What was asked for here and no stop state has answered yet. @param {import('./store.js').Asked} asked @param {number} now @returns {Omit<Line, 'id'>} */
function askedLine({ what, at, received }, now) {
  const [name, doing] = what === 'stop' ? ['Stop', 'Stopping'] : ['Re-arm', 'Re-arming'];
  if (now - at < CONFIRM_MS) return { kind: what === 'stop' ? 'stopping' : 'rearmed', text: `${doing}… (not confirmed)` };
  const where = received ? 'received by the relay, no word from the robot' : 'sent, no answer';
  return { kind: 'failed', text: `${name} ${where} (not confirmed)` };
}

/** Why it cannot be said whether the robot is stopped; '' where it can. @param {State} state @param {import('./store.js').Stop | null} stop */
function doubt({ connection, unsureSince, warning }, stop) {
  const before = stop?.stopped ? ' (stopped when last heard)' : '';
  if (connection !== 'connected') return `Not connected: state unknown${before}`;
  if (unsureSince === null || (stop !== null && stop.heardAt >= unsureSince)) return '';
  return `${warning === null ? 'Checking…' : 'Unknown: the relay has lost Redis'}${before}`;
}

/** @param {Robot} robot latched, and has not said so @param {boolean} offline @param {number} now @param {(ms: number) => string} clock */
function unconfirmedLine({ stop }, offline, now, clock) {
  const who = stop === null ? '' : author(stop, clock);
  if (!offline && stop !== null && now - stop.heardAt >= CONFIRM_MS) return `Stop latched${who}, not confirmed by the robot`;
  return `Stopping… (not confirmed), asked${who}${offline ? ': the robot is offline, the stop waits for it' : ''}`;
}

/**
 * @param {State} state @param {Robot} robot @param {number} now
 * @param {(ms: number) => string} clock time of day for people, from ms since 1970
 * @returns {Line}
 */
export function stopLine(state, robot, now, clock) {
  const { id, stop, asked, failure } = robot;
  const doubted = doubt(state, stop);
  const offline = !robot.online && presenceKnown(state);
  if (state.connection !== 'connected') return { id, kind: 'unknown', text: doubted };
  if (failure !== '') return { id, kind: 'failed', text: failure };
  if (asked !== null) return { id, ...askedLine(asked, now) };
  if (doubted !== '') return { id, kind: 'unknown', text: doubted };
  if (stop?.stopped && stop.confirmed) return { id, kind: 'stopped', text: `Stopped${author(stop, clock)}: confirmed by the robot` };
  if (stop?.stopped) return { id, kind: 'stopping', text: unconfirmedLine(robot, offline, now, clock) };
  if (stop !== null && !stop.confirmed) return { id, kind: 'rearmed', text: `Re-armed${author(stop, clock)}, not confirmed by the robot` };
  if (offline) return { id, kind: 'offline', text: 'Offline' };
  return { id, kind: 'armed', text: 'Armed' };
}

/** @type {readonly StopKind[]} what matters most first */
const URGENCY = ['failed', 'stopping', 'unknown', 'stopped', 'rearmed', 'armed', 'offline'];
/** @type {Record<StopKind, string>} */
const COUNTED = {
  failed: 'without an answer (not confirmed)', stopping: 'stopping (not confirmed)', unknown: 'unknown',
  stopped: 'stopped, confirmed by the robots', rearmed: 're-armed, not confirmed', armed: 'armed', offline: 'offline',
};

/**
 * @param {State} state @param {number} now @param {(ms: number) => string} clock
 * @returns {{kind: StopKind, lines: Line[], canRearm: boolean}} kind: of the robot that needs the most attention
 */
export function stopView(state, now, clock) {
  const robots = state.selected === ''
    ? [...state.robots.values()].filter((robot) => robot.online || isStopped(robot)) : addressed(state);
  const canRearm = state.connection === 'connected' && robots.some(isStopped);
  if (robots.length === 0) {
    const text = presenceKnown(state) ? 'No robot is online' : doubt(state, null);
    const kind = presenceKnown(state) ? 'offline' : 'unknown';
    return { kind, lines: [{ id: '', kind, text }], canRearm };
  }
  const lines = robots.map((robot) => stopLine(state, robot, now, clock));
  lines.sort((a, b) => URGENCY.indexOf(a.kind) - URGENCY.indexOf(b.kind) || (a.id < b.id ? -1 : 1));
  const { kind } = lines[0];
  const same = lines.every((line) => line.text === lines[0].text);
  if (lines.length === 1 || same) return { kind, lines: [{ ...lines[0], id: lines.length === 1 ? lines[0].id : 'All' }], canRearm };
  if (lines.length <= LINES_MAX) return { kind, lines, canRearm };
  const counted = URGENCY.map((k) => ({ k, n: lines.filter((line) => line.kind === k).length })).filter(({ n }) => n > 0);
  return { kind, lines: counted.map(({ k, n }) => ({ id: `${n} of ${lines.length}`, kind: k, text: COUNTED[k] })), canRearm };
}

/**
 * @param {State} state
 * @returns {{shown: boolean, mine: string[], others: {id: string, holder: string}[], wanted: string[], text: string}}
 *   shown: one page at a time may drive; wanted: what Take control would ask for
 */
export function controlView(state) {
  const robots = addressed(state);
  const mine = robots.filter((robot) => robot.control?.you).map((robot) => robot.id);
  const others = robots.flatMap(({ id, control }) =>
    control && !control.you && control.holder !== null ? [{ id, holder: control.holder }] : []);
  const wanted = robots.filter((robot) => robot.online && !robot.control?.you).map((robot) => robot.id);
  const named = robots.length > 1 && new Set(others.map((o) => o.holder)).size > 1;
  const holders = named ? `Others (${others.slice(0, 3).map((o) => `${o.id}: ${o.holder}`).join(', ')}) have control` :
    `${others[0]?.holder} has control${robots.length > 1 ? ` of ${others.length} of ${robots.length} robots` : ''}`;
  let text = 'Nobody has control';
  if (!state.exclusive) text = 'Shared control: anyone may drive';
  else if (robots.length === 0) text = 'One page at a time may drive';
  else if (mine.length === robots.length) text = 'You have control';
  else if (mine.length > 0) text = `You have control of ${mine.length} of ${robots.length} robots`;
  else if (others.length > 0) text = holders;
  return { shown: state.exclusive, mine, others, wanted, text };
}

/**
 * Why nothing can be driven or set, for people; '' where it can.
 * @param {State} state @param {boolean} [stalled] the relay leaves motions unanswered
 * @returns {{pads: string, sliders: string}}
 */
export function blocks(state, stalled = false) {
  if (state.connection !== 'connected') return { pads: 'No connection', sliders: 'No connection' };
  const { shown, mine, others } = controlView(state);
  let control = '';
  if (shown && mine.length === 0) control = others.length > 0 ? `${others[0].holder} has control` : 'Take control first';
  if (presenceKnown(state) && !addressed(state).some((robot) => robot.online)) {
    return { pads: state.selected === '' ? 'No robot is online' : 'Offline', sliders: control };
  }
  const robots = reached(state);
  const stopped = robots.length > 0 && robots.every(isStopped);
  return { pads: control || (stopped ? 'Stopped: no effect' : stalled ? 'The relay does not answer' : ''), sliders: control };
}

/**
 * The robots that a stick moves now, each with its arrivals.
 * @param {State} state @returns {Map<string, number>} none while it is not known who is online
 */
export function movable(state) {
  const robots = presenceKnown(state) ? reached(state) : [];
  return new Map(robots.filter((robot) => robot.online && !isStopped(robot)).map((robot) => [robot.id, robot.arrivals]));
}

/**
 * Whether a robot can be moved now that could not before: a stick that was grabbed without it must not move it.
 * @param {Map<string, number>} before @param {Map<string, number>} after
 */
export const gains = (before, after) => [...after].some(([id, arrivals]) => before.get(id) !== arrivals);

/**
 * Taking control from somebody needs a second press, after the page has said who has it.
 */
export class TakeGuard {
  constructor() {
    /** @type {number | null} when it was said */
    this.toldAt = null;
  }

  /** @param {number} now whether a press now would take it */
  armed(now) {
    return this.toldAt !== null && now - this.toldAt < 10_000;
  }

  /** @param {boolean} held somebody else has it @param {number} now @returns {boolean} whether to take it from them */
  press(held, now) {
    // A double click is one decision.
    const take = held && this.toldAt !== null && now - this.toldAt >= 300 && this.armed(now);
    if (take) this.toldAt = null;
    else if (held && !this.armed(now)) this.toldAt = now;
    return take;
  }

  /** The relay said that somebody has it. @param {number} now */
  refused(now) {
    if (!this.armed(now)) this.toldAt = now;
  }

  forget() {
    this.toldAt = null;
  }
}
