// Motions that were sent and not answered yet. The relay answers each at once; where it does not, the way to it
// stalls, and what waits there is carried out late. So few are let go there, and soon none. Pure: time comes in.

/** @typedef {import('./protocol.js').MoveType} MoveType */

export const LATE_MS = 600; // without an answer: nothing is driven over this connection
export const UNDERWAY_MAX = 6; // of one type
const SPREAD = 3; // from so many on, …
const SPREAD_MS = 90; // … they keep this distance, or the six would be sent at once, and a dead-man act before the next

export class Underway {
  constructor() {
    /** @type {Map<string, {type: MoveType, at: number}>} by command id, oldest first */
    this.motions = new Map();
  }

  /** Another connection. */
  reset() {
    this.motions.clear();
  }

  /** @param {string} id @param {MoveType} type @param {number} now */
  sent(id, type, now) {
    this.motions.set(id, { type, at: now });
  }

  /** What was sent before it has arrived as well, whatever became of its answer. @param {string} id of any command */
  answered(id) {
    if (!this.motions.has(id)) return;
    for (const earlier of this.motions.keys()) {
      this.motions.delete(earlier);
      if (earlier === id) return;
    }
  }

  /** @param {number} now whether the oldest waits for too long */
  late(now) {
    const [oldest] = this.motions.values();
    return oldest !== undefined && now - oldest.at > LATE_MS;
  }

  /** Whether no more of it should be sent now, other than a zero. @param {MoveType} type @param {number} now */
  full(type, now) {
    let count = 0;
    let newest = -Infinity;
    for (const motion of this.motions.values()) {
      if (motion.type !== type) continue;
      count++;
      newest = motion.at;
    }
    return count >= UNDERWAY_MAX || (count >= SPREAD && now - newest < SPREAD_MS);
  }
}
