// A slider that sends a setting while it moves: at most ten times a second, its last value always.

import { setDisabled, setText } from './dom.js';
import { Throttle } from './throttle.js';

const INTERVAL_MS = 100;

/**
 * @param {HTMLInputElement} input @param {HTMLElement} output
 * @param {(value: number) => void} send
 */
export function createSlider(input, output, send) {
  const throttle = new Throttle(INTERVAL_MS, send, {
    now: () => performance.now(),
    start: (fn, ms) => setTimeout(fn, ms),
    stop: (timer) => clearTimeout(timer),
  });
  const unknown = output.textContent ?? '';
  const paint = () => input.style.setProperty('--at', `${input.value}%`);
  input.addEventListener('input', () => {
    paint();
    setText(output, `${input.value} %`);
    throttle.push(input.valueAsNumber);
  });
  input.addEventListener('change', () => throttle.flush());
  paint();
  return {
    /** Another robot is addressed: what waits goes to the present one, and what the next one is set to is not known. */
    leave() {
      throttle.flush();
      setText(output, unknown);
    },
    /** @param {string} reason why nothing can be set, '' where it can; then nothing is sent later either */
    block(reason) {
      if (reason !== '') throttle.cancel();
      setDisabled(input, reason !== '');
      input.title = reason;
    },
  };
}
