// A gamepad: its left stick drives, its right one moves the camera, any of its four face buttons stops.
// It is read by a timer, since browsers tell of no change. Without the page's focus its sticks are let go.

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
 * @param {{drive: (v: Vector) => void, camera: (v: Vector) => void, release: () => void, stop: () => void}} actions
 *   release: whatever the sticks hold, also when there is no gamepad any more
 */
export function createGamepad(actions) {
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let timer;
  let pressed = false;
  let reading = false;

  const read = () => {
    const gamepad = navigator.getGamepads().find((g) => g?.connected);
    if (!gamepad) {
      clearInterval(timer);
      timer = undefined;
    } else {
      const before = pressed;
      pressed = gamepad.buttons.slice(0, 4).some((button) => button.pressed);
      if (pressed && !before) actions.stop();
    }
    if (!gamepad || !document.hasFocus() || document.visibilityState === 'hidden') {
      if (reading) actions.release();
      reading = false;
      return;
    }
    reading = true;
    actions.drive(stickOf(gamepad.axes, 0));
    actions.camera(stickOf(gamepad.axes, 2));
  };
  window.addEventListener('gamepadconnected', () => (timer ??= setInterval(read, READ_MS)));
  window.addEventListener('gamepaddisconnected', read);
}
