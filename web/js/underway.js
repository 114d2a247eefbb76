// Motions that were sent and not answered yet. The relay answers each at once; where it does not, the way to it
// stalls, and what waits there is carried out late. So few are let go there, and soon none. Pure: time comes in.

/** @typedef {import('./protocol.js').MoveType} MoveType */

export const LATE_MS = 600; // without an answer: nothing is driven over this connection
export const UNDERWAY_MAX = 6; // of one type: with a round trip of LATE_MS still ten a second, which no dead-man minds

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

  /** @param {string} id of any command */
  answered(id) {
    this.motions.delete(id);
  }

  /** @param {number} now whether the oldest waits for too long */
  late(now) {
    const [oldest] = this.motions.values();
    return oldest !== undefined && now - oldest.at > LATE_MS;
  }

  /** @param {MoveType} type whether no more of it should be sent now, other than a zero */
  full(type) {
    let count = 0;
    for (const motion of this.motions.values()) if (motion.type === type) count++;
    return count >= UNDERWAY_MAX;
  }
}
