// Lets values through at most every `interval` ms; the last one always arrives.

/**
 * @typedef {object} Timers
 * @property {() => number} now ms, monotonic
 * @property {(fn: () => void, ms: number) => unknown} start a one-shot timer
 * @property {(timer: any) => void} stop
 */

/** @template T */
export class Throttle {
  /** @param {number} interval ms @param {(value: T) => void} send @param {Timers} timers */
  constructor(interval, send, timers) {
    this.interval = interval;
    this.send = send;
    this.timers = timers;
    this.sentAt = -Infinity;
    /** @type {{value: T} | null} */
    this.waiting = null;
    /** @type {unknown} */
    this.timer = null;
  }

  /** @param {T} value */
  push(value) {
    this.waiting = { value };
    const wait = this.sentAt + this.interval - this.timers.now();
    if (wait <= 0) this.flush();
    else if (this.timer === null) this.timer = this.timers.start(() => this.flush(), wait);
  }

  /** Sends what waits, now. */
  flush() {
    const { waiting } = this;
    this.cancel();
    if (!waiting) return;
    this.sentAt = this.timers.now();
    this.send(waiting.value);
  }

  /** Forgets what waits. */
  cancel() {
    if (this.timer !== null) this.timers.stop(this.timer);
    this.timer = null;
    this.waiting = null;
  }
}
