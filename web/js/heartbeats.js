// The newest heartbeat heard from each robot, which commands to it repeat: so the robot can tell a command
// that was held up on its way. Pure: time comes in as an argument.

const FLOW_MS = 9000; // heartbeats come for 10 s after a command; what is known before a longer pause is old
const ROBOTS_MAX = 256;

export class Heartbeats {
  constructor() {
    /** @type {Map<string, {hb: number | null, commandedAt: number}>} by robot, the longest unused first */
    this.robots = new Map();
  }

  /** Those of an older connection say nothing about this one. */
  reset() {
    this.robots.clear();
  }

  /** @param {string} id @param {number} hb */
  heard(id, hb) {
    const robot = this.robots.get(id);
    if (robot) robot.hb = hb; // others come for robots that this page does not command
  }

  /**
   * A command goes to a robot now.
   * @param {string} id @param {number} now
   * @returns {number | null} the heartbeat that it should carry, null where none is known
   */
  command(id, now) {
    const before = this.robots.get(id);
    const hb = before && now - before.commandedAt <= FLOW_MS ? before.hb : null;
    this.robots.delete(id);
    this.robots.set(id, { hb, commandedAt: now });
    if (this.robots.size > ROBOTS_MAX) this.robots.delete(this.robots.keys().next().value ?? '');
    return hb;
  }
}
