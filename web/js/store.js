// What the page knows: the connection, the robots and their last values. Times are milliseconds of
// a monotonic clock and come in as arguments; views read `state` and never write it.

/** @typedef {import('./protocol.js').Message} Message */
/** @typedef {'connected' | 'connecting' | 'disconnected'} Connection */

/**
 * @typedef {object} Metric
 * @property {number} value
 * @property {number} at when the sample arrived
 */

/**
 * @typedef {object} Robot
 * @property {string} id
 * @property {string} name '' until it told one
 * @property {boolean} online as the relay said last
 * @property {number} arrivals how often it came online; it may be back before the relay noticed that it was gone
 * @property {number | null} lastAt when its last telemetry arrived
 * @property {Map<string, Metric>} metrics by name; a value stays, with its age, when it stops coming
 * @property {string} status its last status line, '' where none
 * @property {Stop | null} stop what the relay said last about it; null: nothing, so it is not stopped
 * @property {Asked | null} asked a stop or re-arm of this page that no stop state has answered yet
 * @property {string} failure what the robot said instead of stopping, for people; '' where it did stop
 * @property {{holder: string | null, you: boolean} | null} control who has control of it, where the relay says so
 */

/**
 * @typedef {object} Stop
 * @property {boolean} stopped
 * @property {boolean} confirmed the robot itself has said so
 * @property {string} by who did it
 * @property {number | null} at when, ms since 1970
 * @property {number} heardAt when the relay said so
 */

/**
 * @typedef {object} Asked
 * @property {'stop' | 'rearm'} what
 * @property {string} id of the command
 * @property {number} at when it was sent
 * @property {boolean} received the relay has it
 */

/**
 * @typedef {object} State
 * @property {Connection} connection
 * @property {Map<string, Robot>} robots
 * @property {string} selected the addressed robot's id, '' for all
 * @property {string} shown id of the robot whose values are shown, '' while there is none
 * @property {{relay: string, message: string} | null} warning the relay has lost Redis
 * @property {number} ignored malformed frames
 * @property {boolean} exclusive one page at a time may drive a robot
 * @property {number | null} unsureSince when it was lost from sight what is stopped; null: the relay has told it
 * @property {{text: string, until: number} | null} notice what went wrong with a stop or with taking control
 */

export const STALE_MS = 10_000;
export const SETTLE_MS = 1000; // after the greeting, or with Redis back: what is stopped has been told by then
export const NOTICE_MS = 20_000;
const OLD_NEWS_MS = 500;
const LATCHES_MAX = 32;
export const ROBOTS_MAX = 2000;
export const METRICS_MAX = 64; // per robot; a message has at most 36, but each may have others

/** @param {string} id @returns {Robot} */
const newRobot = (id) => ({
  id, name: '', online: false, arrivals: 0, lastAt: null, metrics: new Map(), status: '', stop: null, asked: null, failure: '',
  control: null,
});

/** @param {Map<string, Metric>} metrics not empty @returns {string} the name of the one with the greatest age */
const oldest = (metrics) => [...metrics].reduce((a, b) => (b[1].at < a[1].at ? b : a))[0];

/** @returns {Store} */
export function createStore() {
  return new Store();
}

/**
 * Whether a stop state ends what was asked for: it is so, or somebody else was quicker or later. What comes right after a
 * Stop may be from before it.
 * @param {Asked} asked @param {boolean} stopped @param {number} now
 */
const isAnswer = ({ what, at, received }, stopped, now) =>
  stopped === (what === 'stop') || (received && (what === 'rearm' || now - at >= OLD_NEWS_MS));

export class Store {
  constructor() {
    /** @type {State} */
    this.state = {
      connection: 'connecting', robots: new Map(), selected: '', shown: '', warning: null, ignored: 0,
      exclusive: false, unsureSince: 0, notice: null,
    };
    this.greetedAt = 0;
    /** @type {number | null} when the relay began to say what is stopped; null: it has done so, or cannot */
    this.tellsSince = null;
    /**
     * Stops and re-arms of this connection, also those that no known robot was meant by.
     * @type {Map<string, {what: 'stop' | 'rearm', open: boolean}>} by command id, oldest first; open: not answered
     */
    this.latches = new Map();
    /** Whether the relay said who has control: it does so only where one page at a time may drive. */
    this.heardControl = false;
    /** @type {Set<() => void>} */
    this.listeners = new Set();
  }

  /** @param {() => void} listener called after every change; it should only note that there was one */
  subscribe(listener) {
    this.listeners.add(listener);
  }

  changed() {
    for (const listener of this.listeners) listener();
  }

  /** @param {Connection} connection @param {number} now */
  setConnection(connection, now) {
    if (this.state.connection === connection) return;
    this.state.connection = connection;
    if (connection !== 'connected') {
      // The next relay speaks for itself: until then its Redis is not known to be away.
      this.state.warning = null;
      this.tellsSince = null;
      this.abandon(now);
    }
    this.changed();
  }

  /** Without a connection nobody has control here, and what was asked is not answered. @param {number} now */
  abandon(now) {
    let stops = [...this.latches.values()].some(({ what, open }) => open && what === 'stop');
    this.latches.clear();
    for (const robot of this.state.robots.values()) {
      stops ||= robot.asked?.what === 'stop';
      robot.asked = null;
      if (robot.control) robot.control = { ...robot.control, you: false };
    }
    if (stops) this.notify('The connection was lost before Stop was answered: it may not have arrived. Press Stop again.', now);
  }

  /** @param {string} text '' takes the notice away @param {number} now */
  notify(text, now) {
    this.state.notice = text === '' ? null : { text, until: now + NOTICE_MS };
    this.changed();
  }

  /** @param {string} id '' for all robots */
  select(id) {
    this.state.selected = id;
    this.chooseShown();
    this.changed();
  }

  countIgnored() {
    this.state.ignored++;
    this.changed();
  }

  /** @param {Message} message @param {number} now */
  apply(message, now) {
    switch (message.kind) {
      case 'greeting':
        // The relay lists who is online right after it; the others are not.
        // What is stopped it says as well; until it had time to, what was known stays.
        this.greetedAt = this.tellsSince = this.state.unsureSince = now;
        this.heardControl = false;
        for (const robot of this.state.robots.values()) {
          robot.online = false;
          robot.control = null;
        }
        break;
      case 'stop': {
        const { stopped, confirmed, by, at } = message;
        const robot = this.robot(message.deviceId);
        if (!robot) break;
        robot.stop = { stopped, confirmed, by, at, heardAt: now };
        if (!stopped || confirmed) robot.failure = '';
        if (robot.asked && isAnswer(robot.asked, stopped, now)) robot.asked = null;
        break;
      }
      case 'control': {
        this.heardControl = true;
        this.state.exclusive = true;
        const robot = this.robot(message.deviceId);
        if (robot) robot.control = { holder: message.holder, you: message.you };
        break;
      }
      case 'presence':
        this.setOnline(message.deviceId, message.online);
        break;
      case 'telemetry':
        this.addSample(message, now);
        break;
      case 'status': {
        const robot = this.robot(message.deviceId);
        if (robot) robot.status = [message.status, message.message].filter(Boolean).join(': ');
        break;
      }
      case 'relay':
        this.setRedis(message, now);
        break;
      default:
        return;
    }
    this.chooseShown();
    this.changed();
  }

  /** @param {import('./protocol.js').RelayStatus} message @param {number} now */
  setRedis({ redis, relay, message }, now) {
    const { state } = this;
    // What changes meanwhile is told only by those that see it, and the rest once Redis is back.
    if (!redis && state.warning === null) state.unsureSince = now;
    this.tellsSince = redis && state.unsureSince !== null ? now : null;
    state.warning = redis ? null : { relay, message };
  }

  /**
   * A stop or re-arm is on its way.
   * @param {'stop' | 'rearm'} what @param {string} target '' for all @param {string} id of the command @param {number} now
   */
  ask(what, target, id, now) {
    this.state.notice = null;
    this.latches.set(id, { what, open: true });
    if (this.latches.size > LATCHES_MAX) this.latches.delete(this.latches.keys().next().value ?? '');
    for (const robot of this.state.robots.values()) {
      if (target === '' ? !robot.online : robot.id !== target) continue;
      robot.asked = { what, id, at: now, received: false };
    }
    this.changed();
  }

  /** The relay answered a command. @param {string} id @param {string} refused '' when it was taken @param {number} now */
  answer(id, refused, now) {
    const latch = this.latches.get(id);
    if (latch === undefined) return;
    latch.open = false;
    for (const robot of this.state.robots.values()) {
      if (robot.asked?.id !== id) continue;
      // A robot that is already so need not say it again.
      const already = (robot.stop?.stopped ?? false) === (latch.what === 'stop');
      robot.asked = refused !== '' || already ? null : { ...robot.asked, received: true };
    }
    if (refused !== '') this.notify(`${latch.what === 'stop' ? 'Stop was not carried out at once' : 'Re-arm was refused'}: ${refused}`, now);
    this.changed();
  }

  /** A robot says what it made of a stop. @param {import('./protocol.js').Ack} ack @param {number} now */
  stopOutcome({ deviceId, outcome, reason }, now) {
    const robot = this.state.robots.get(deviceId);
    if (!robot || (outcome !== 'rejected' && outcome !== 'expired')) return;
    // Of an answer that got lost nothing follows where the robot has said that it is stopped.
    if (outcome === 'expired' && robot.stop?.stopped && robot.stop.confirmed) return;
    robot.failure = `Stop ${outcome === 'rejected' ? 'was REJECTED by the robot' : 'got NO ANSWER from the robot'}` +
      `${reason && ` (${reason})`}: its outputs may not be at zero`;
    this.notify(`${robot.id}: ${robot.failure}`, now);
  }

  /** What time alone decides. @param {number} now */
  tick(now) {
    const { state } = this;
    if (state.notice !== null && state.connection === 'connected' && now >= state.notice.until) state.notice = null;
    if (this.tellsSince === null || now - this.tellsSince < SETTLE_MS) return;
    this.tellsSince = state.unsureSince = null;
    let online = false;
    for (const robot of state.robots.values()) {
      online ||= robot.online;
      if (robot.stop !== null && robot.stop.heardAt >= this.greetedAt) continue;
      robot.stop = null; // this relay does not know of any
      robot.failure = '';
    }
    if (online && !this.heardControl) state.exclusive = false;
    this.changed();
  }

  /** @param {string} id @param {boolean} online */
  setOnline(id, online) {
    const robot = this.robot(id);
    if (!robot) return;
    robot.online = online;
    if (online) robot.arrivals++;
  }

  /** @param {import('./protocol.js').Telemetry} message @param {number} now */
  addSample(message, now) {
    if (message.late) return; // back-fill: history, never the present
    // A sample that overtakes a "disconnected" must not bring the robot back; an unknown one is online.
    const known = this.state.robots.has(message.deviceId);
    const robot = this.robot(message.deviceId);
    if (!robot) return;
    if (!known) this.setOnline(robot.id, true);
    if (message.deviceName) robot.name = message.deviceName;
    robot.lastAt = now;
    for (const [name, value] of Object.entries(message.metrics)) {
      if (robot.metrics.size >= METRICS_MAX && !robot.metrics.has(name)) robot.metrics.delete(oldest(robot.metrics));
      robot.metrics.set(name, { value, at: now });
    }
  }

  /** Finds or adds a robot. @param {string} id @returns {Robot | null} null: too many robots are online */
  robot(id) {
    const { robots } = this.state;
    let robot = robots.get(id) ?? null;
    if (robot) return robot;
    if (robots.size >= ROBOTS_MAX) {
      const gone = [...robots.values()].find((r) => !r.online && !r.stop?.stopped && r.id !== this.state.selected);
      if (!gone) return null;
      robots.delete(gone.id);
    }
    robot = newRobot(id);
    robots.set(id, robot);
    return robot;
  }

  /**
   * Whose values are shown: the selected robot's; with all robots addressed one that is online, the
   * same as long as it stays, so that the values do not jump between robots.
   */
  chooseShown() {
    const { state } = this;
    if (state.selected !== '') {
      state.shown = state.selected;
      return;
    }
    if (state.robots.get(state.shown)?.online) return;
    const online = [...state.robots.values()].filter((r) => r.online).map((r) => r.id);
    if (online.length > 0) state.shown = online.sort()[0];
  }
}

/** Whether what `online` says holds now: not without a relay, nor with one that has lost Redis. @param {State} state */
export const presenceKnown = (state) => state.connection === 'connected' && state.warning === null;

/** @param {State} state @returns {Robot[]} online first, then by id */
export function sortedRobots(state) {
  return [...state.robots.values()].sort(
    (a, b) => Number(b.online) - Number(a.online) || (a.id < b.id ? -1 : Number(a.id > b.id)),
  );
}

/**
 * @param {State} state @param {Robot | undefined} robot @param {number | null | undefined} at @param {number} now
 * @returns {boolean} the value that arrived at `at` says nothing about the present
 */
export function isStale(state, robot, at, now) {
  if (!robot || at === null || at === undefined) return false;
  return !robot.online || state.connection !== 'connected' || now - at >= STALE_MS;
}
