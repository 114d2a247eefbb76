// Whether the relay still answers. A connection that hangs is not closed by anybody for a long time; only
// asking tells. Pure: time comes in as an argument, ms of a monotonic clock.

export const PING_MS = 1000;
export const HOLDER_PING_MS = 500; // while in control: a sign of life that keeps the lease
export const SILENCE_MS = 3000; // without a word: the relay counts as gone
export const TICK_MS = 250;
const ANSWER_MS = 1500; // an unanswered ping is at least this old by then
const PINGS_MAX = 16;
const LATE_MS = 2000; // hidden pages tick once a second; a tick this late: the browser held the page up, and answers may be waiting behind it

export class Liveness {
  constructor() {
    this.heardAt = 0;
    this.pingedAt = 0;
    this.tickedAt = 0;
    /** @type {number | null} when the oldest ping was sent that nothing has been heard since */
    this.waitsSince = null;
    this.serial = 0;
    /** @type {Map<string, number>} when each unanswered ping was sent, oldest first */
    this.pings = new Map();
    /** @type {number | null} ms from the ping that was answered last to its pong */
    this.answered = null;
  }

  /** A new connection, which has just spoken. @param {number} now */
  begin(now) {
    this.heardAt = this.tickedAt = now;
    this.pingedAt = now - PING_MS;
    this.waitsSince = null;
    this.pings.clear();
    this.answered = null;
  }

  /** Anything arrived. @param {number} now */
  heard(now) {
    this.heardAt = now;
    this.waitsSince = null;
  }

  /** @param {string} id @param {number} now */
  pong(id, now) {
    const at = this.pings.get(id);
    if (at === undefined) return;
    this.answered = now - at;
    for (const ping of this.pings.keys()) {
      this.pings.delete(ping);
      if (ping === id) return; // answers come in order
    }
  }

  /** @param {number} now @returns {number | null} ms; never less than an unanswered ping waits already */
  roundTrip(now) {
    const [oldest = now] = this.pings.values();
    return this.answered === null ? null : Math.max(this.answered, now - oldest);
  }

  pingId() {
    return `ping-${this.serial}`;
  }

  /**
   * Call every TICK_MS.
   * @param {number} now @param {number} every ms between pings
   * @returns {'ping' | 'dead' | null} ping: send one, with the id pingId()
   */
  tick(now, every) {
    const late = now - this.tickedAt > LATE_MS;
    this.tickedAt = now;
    if (late) this.waitsSince = null;
    else if (this.waitsSince !== null && now - this.heardAt >= SILENCE_MS && now - this.waitsSince >= ANSWER_MS) {
      return 'dead';
    }
    if (!late && now - this.pingedAt < every - TICK_MS / 2) return null; // ticks come a little early or late
    this.pingedAt = now;
    this.waitsSince ??= now;
    this.serial++;
    if (this.pings.size < PINGS_MAX) this.pings.set(this.pingId(), now);
    return 'ping';
  }
}
