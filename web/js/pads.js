// The looks and the input of a stick: pointer, keys, a gamepad's axes, and everything that must end a motion.

import { setText } from './dom.js';
import { fromKeys, fromPointer, isStickKey, Stick, ZERO } from './stick.js';

/** @typedef {import('./stick.js').Vector} Vector */

const TRAVEL = 0.36; // how far the knob goes, as a share of the pad's width

/**
 * @param {HTMLElement} pad @param {HTMLElement} knob @param {HTMLElement} readout
 * @param {(v: Vector) => void} send
 */
export function createPad(pad, knob, readout, send) {
  const stick = new Stick((v) => send(v), {
    now: () => performance.now(),
    start: (fn, ms) => setInterval(fn, ms),
    stop: (timer) => clearInterval(timer),
  });
  /** @type {number | null} the finger or mouse that holds the stick; others are ignored */
  let pointer = null;
  /** @type {Set<string>} keys that are down */
  const keys = new Set();
  /** Where the stick was grabbed: fixed until it is let go, even if the page moves under the finger. */
  let centre = { x: 0, y: 0, travel: 0 };
  let usable = false;
  let blocked = '';
  /** A gamepad's stick: holds the pad, may take it, or has to come back to its centre first. @type {'holds' | 'free' | 'away'} */
  let axis = 'away';

  /** @param {Vector} v */
  const draw = (v) => {
    const travel = pad.clientWidth * TRAVEL;
    knob.style.transform = `translate(${v.x * travel}px, ${-v.y * travel}px)`;
    pad.dataset.held = String(stick.held);
    setText(readout, blocked || `x ${v.x.toFixed(2)}  y ${v.y.toFixed(2)}`);
  };
  /** @param {Vector} v */
  const hold = (v) => {
    stick.hold(v);
    draw(stick.value); // where it may have been let go meanwhile
  };
  const letGo = () => {
    const id = pointer;
    pointer = null;
    keys.clear();
    axis = 'away';
    if (id !== null && pad.hasPointerCapture(id)) pad.releasePointerCapture(id);
  };
  const release = () => {
    stick.release();
    letGo();
    draw(ZERO);
  };
  /** @param {PointerEvent} event */
  const follow = (event) => hold(fromPointer(event.clientX - centre.x, event.clientY - centre.y, centre.travel));

  pad.addEventListener('pointerdown', (event) => {
    if (!usable || pointer !== null || event.button !== 0) return;
    keys.clear();
    axis = 'away';
    pointer = event.pointerId;
    pad.setPointerCapture(event.pointerId);
    const box = pad.getBoundingClientRect();
    centre = { x: box.left + box.width / 2, y: box.top + box.height / 2, travel: box.width * TRAVEL };
    follow(event);
  });
  pad.addEventListener('pointermove', (event) => {
    if (event.pointerId !== pointer) return;
    if (!(event.buttons & 1)) release(); // let go where the browser did not tell, or while another button is down
    else follow(event);
  });
  for (const end of /** @type {const} */ (['pointerup', 'pointercancel', 'lostpointercapture'])) {
    pad.addEventListener(end, (event) => {
      if (event.pointerId === pointer) release();
    });
  }
  pad.addEventListener('contextmenu', (event) => event.preventDefault());

  pad.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) {
      if (keys.size > 0) release(); // the release of a key held with these may never be told
      return;
    }
    if (!isStickKey(event.code)) return;
    event.preventDefault();
    if (!usable || pointer !== null || event.repeat || keys.has(event.code)) return;
    axis = 'away';
    keys.add(event.code);
    hold(fromKeys(keys));
  });
  pad.addEventListener('keyup', (event) => {
    if (!keys.delete(event.code)) return;
    if (keys.size === 0) release();
    else hold(fromKeys(keys));
  });
  pad.addEventListener('blur', () => {
    if (keys.size > 0) release();
  });
  draw(ZERO);

  return {
    release,
    /** Where a gamepad's stick is. A finger or a key on the pad takes precedence. @param {Vector} v */
    axis(v) {
      if (v.x === 0 && v.y === 0) {
        if (axis === 'holds') release();
        axis = 'free';
      } else if (!usable || pointer !== null || keys.size > 0) {
        axis = 'away';
      } else if (axis !== 'away') {
        axis = 'holds';
        hold(v);
      }
    },
    /**
     * @param {string} reason why nothing can be driven, '' where it can. A held stick sends its zero and has to be
     *   grabbed again.
     */
    block(reason) {
      if (usable === (reason === '') && blocked === reason) return;
      usable = reason === '';
      blocked = reason;
      pad.setAttribute('aria-disabled', String(!usable));
      if (usable) draw(ZERO);
      else release();
    },
  };
}

/** Whatever takes the page out of sight or focus ends every motion. @param {() => void} releaseAll */
export function releaseWhenAway(releaseAll) {
  window.addEventListener('blur', releaseAll);
  window.addEventListener('pagehide', releaseAll);
  document.addEventListener('freeze', releaseAll);
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'hidden') releaseAll();
  });
}
