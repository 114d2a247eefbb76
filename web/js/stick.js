// The geometry and the timing of a stick, without its looks: where a pointer or keys put it, and
// when its position is sent.

/** @typedef {{x: number, y: number}} Vector x right, y up (forward), each −1..1 */

export const REPEAT_MS = 50; // 20 Hz while held
export const DEAD_ZONE = 0.06; // share of the travel around the centre that counts as zero
/** @type {Vector} */
export const ZERO = Object.freeze({ x: 0, y: 0 });

/** @param {Vector} v */
const isZero = (v) => v.x === 0 && v.y === 0;

/** @param {number} value */
const round = (value) => Math.round(value * 100) / 100 + 0; // + 0: no minus zero

/**
 * @param {number} dx @param {number} dy the pointer's distance from the centre, y downwards
 * @param {number} travel how far the knob goes, in the same unit
 * @returns {Vector} inside the unit circle; the dead zone is taken out of the range, not cut from it
 */
export function fromPointer(dx, dy, travel) {
  const length = Math.hypot(dx, dy);
  if (!(travel > 0) || !(length > 0)) return ZERO;
  const pushed = Math.min(length / travel, 1);
  if (pushed <= DEAD_ZONE) return ZERO;
  const scaled = (pushed - DEAD_ZONE) / (1 - DEAD_ZONE);
  return { x: round((dx / length) * scaled), y: round((-dy / length) * scaled) };
}

/** @type {Record<string, Vector>} by KeyboardEvent.code: the place of a key, not its letter */
const KEYS = {
  ArrowUp: { x: 0, y: 1 },
  ArrowDown: { x: 0, y: -1 },
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
  KeyW: { x: 0, y: 1 },
  KeyS: { x: 0, y: -1 },
  KeyA: { x: -1, y: 0 },
  KeyD: { x: 1, y: 0 },
};

/** @param {string} code */
export const isStickKey = (code) => Object.hasOwn(KEYS, code);

/** @param {Iterable<string>} codes the keys that are down @returns {Vector} */
export function fromKeys(codes) {
  let x = 0;
  let y = 0;
  for (const code of codes) {
    x += KEYS[code]?.x ?? 0;
    y += KEYS[code]?.y ?? 0;
  }
  x = Math.sign(x);
  y = Math.sign(y);
  const length = Math.hypot(x, y) || 1;
  return { x: round(x / length), y: round(y / length) };
}

/**
 * @typedef {object} Clock
 * @property {() => number} now ms, monotonic
 * @property {(fn: () => void, ms: number) => unknown} start a repeating timer
 * @property {(timer: any) => void} stop
 */

/**
 * Decides when a stick's position is sent: at once when it changes, but at most every REPEAT_MS, and
 * again every REPEAT_MS while it is held. A zero that ends a motion, and that of a release, is sent at
 * once, whenever the last was. The timer only repeats: that a robot stops when nothing comes is the robot's own duty.
 */
export class Stick {
  /** @param {(v: Vector) => void} send @param {Clock} clock */
  constructor(send, clock) {
    this.send = send;
    this.clock = clock;
    this.held = false;
    /** A stick that was only touched, at its centre, has nothing to say yet. */
    this.moved = false;
    /** @type {Vector} */
    this.value = ZERO;
    /** What was sent last was not zero. */
    this.moving = false;
    this.sentAt = -Infinity;
    /** @type {unknown} */
    this.timer = null;
  }

  /** The stick is held at `value`. @param {Vector} value */
  hold(value) {
    const changed = value.x !== this.value.x || value.y !== this.value.y;
    const first = !this.moved;
    const ends = this.moving && isZero(value);
    this.value = value;
    this.held = true;
    if (!changed) return;
    this.moved = true;
    // The first and a stop never wait.
    if (first || ends || this.clock.now() - this.sentAt >= REPEAT_MS) this.transmit();
  }

  /** The stick is let go: exactly one zero, now. */
  release() {
    if (!this.held) return;
    this.drop();
    this.moving = false;
    this.send(ZERO);
  }

  /** The connection is gone: the stick falls back without sending; it has to be grabbed again. */
  drop() {
    this.held = false;
    this.moved = false;
    this.value = ZERO;
    this.clock.stop(this.timer);
    this.timer = null;
  }

  transmit() {
    this.clock.stop(this.timer);
    this.timer = this.clock.start(() => this.repeat(), REPEAT_MS);
    this.repeat();
  }

  repeat() {
    this.sentAt = this.clock.now();
    this.moving = !isZero(this.value);
    this.send(this.value);
  }
}
