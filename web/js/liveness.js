// Whether the relay still answers. A connection that hangs is not closed by anybody for a long time; only
// asking tells. Pure: time comes in as an argument, ms of a monotonic clock.

export const PING_MS = 1000;
export const HOLDER_PING_MS = 500; // while in control: a sign of life that keeps the lease
export const SILENCE_MS = 3000; // without a word: the relay counts as gone
export const TICK_MS = 250;
const ANSWER_MS = 1500; // an unanswered ping is at least this old by then
const LATE_MS = 2000; // hidden pages tick once a second; a tick this late: the browser held the page up, and answers may be waiting behind it

export class Liveness {
  constructor() {
    this.heardAt = 0;
    this.pingedAt = 0;
    this.tickedAt = 0;
    /** @type {number | null} when the oldest ping was sent that nothing has been heard since */
    this.waitsSince = null;
    this.serial = 0;
    /** @type {number | null} ms from the newest answered ping to its pong */
    this.roundTrip = null;
  }

  /** A new connection, which has just spoken. @param {number} now */
  begin(now) {
    this.heardAt = this.tickedAt = now;
    this.pingedAt = now - PING_MS;
    this.waitsSince = null;
    this.roundTrip = null;
  }

  /** Anything arrived. @param {number} now */
  heard(now) {
    this.heardAt = now;
    this.waitsSince = null;
  }

  /** @param {string} id @param {number} now */
  pong(id, now) {
    if (id === this.pingId()) this.roundTrip = now - this.pingedAt;
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
    return 'ping';
  }
}
