// Gamepads: the left stick of one drives, its right one moves the camera; the four face buttons of any stop. They
// are read by a timer, since browsers tell of no change. Without focus, or out of sight, the sticks are let go.

import { fromPointer, ZERO } from './stick.js';

const READ_MS = 25;
const DEAD_ZONE = 0.15; // sticks rarely come back to their centre exactly

/** @typedef {import('./stick.js').Vector} Vector */

/** @param {readonly number[]} axes @param {number} at index of the horizontal one @returns {Vector} */
export function stickOf(axes, at) {
  const x = axes[at];
  const y = axes[at + 1];
  return Number.isFinite(x) && Number.isFinite(y) && Math.hypot(x, y) > DEAD_ZONE ? fromPointer(x, y, 1) : ZERO;
}

/**
 * Buttons that stop and are down: the four of the face; of a gamepad whose layout is not known, any. Each for itself,
 * since some are switches that stay down.
 * @param {Gamepad} gamepad
 */
const pressedOf = ({ index, mapping, buttons }) =>
  (mapping === 'standard' ? buttons.slice(0, 4) : buttons).flatMap(({ pressed }, i) => (pressed ? [`${index}:${i}`] : []));

/** Which gamepad drives, and whether one stops. Pure. */
export class Gamepads {
  constructor() {
    /** @type {Set<string>} buttons that are down */
    this.pressed = new Set();
    /** Index and name of the one whose sticks are read, '' for none. */
    this.reading = '';
  }

  /**
   * @param {readonly Gamepad[]} connected
   * @param {boolean} driving whether the sticks are wanted now
   * @returns {{stop: boolean, release: boolean, axes: readonly number[] | null}} release: the sticks are not those read
   *   before, so that theirs are let go and these have to be seen at their centre first
   */
  read(connected, driving) {
    const pressed = connected.flatMap(pressedOf);
    const stop = pressed.some((button) => !this.pressed.has(button));
    this.pressed = new Set(pressed);
    // Of any other layout nobody knows which axis is which, or where it rests.
    const usable = driving ? connected.filter((gamepad) => gamepad.mapping === 'standard') : [];
    /** @param {Gamepad} gamepad */
    const key = ({ index, id }) => `${index} ${id}`;
    const chosen = usable.find((gamepad) => key(gamepad) === this.reading) ?? usable[0];
    const before = this.reading;
    this.reading = chosen ? key(chosen) : '';
    return { stop, release: this.reading !== before, axes: chosen?.axes ?? null };
  }
}

/**
 * @param {{drive: (v: Vector) => void, camera: (v: Vector) => void, release: () => void, stop: () => void,
 *   wanted: () => boolean}} actions
 *   release: whatever the sticks hold, also when there is no gamepad any more; wanted: the sticks are in sight
 */
export function createGamepad(actions) {
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let timer;
  const gamepads = new Gamepads();

  const read = () => {
    const connected = navigator.getGamepads().filter((gamepad) => gamepad !== null && gamepad.connected);
    const driving = document.hasFocus() && document.visibilityState !== 'hidden' && actions.wanted();
    const { stop, release, axes } = gamepads.read(/** @type {Gamepad[]} */ (connected), driving);
    if (stop) actions.stop();
    if (release) actions.release();
    if (axes !== null) {
      actions.drive(stickOf(axes, 0));
      actions.camera(stickOf(axes, 2));
    }
    if (connected.length > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
  window.addEventListener('gamepadconnected', () => (timer ??= setInterval(read, READ_MS)));
  window.addEventListener('gamepaddisconnected', read);
}
