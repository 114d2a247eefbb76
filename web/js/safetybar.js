// The bar that is always in sight: Stop, what is stopped, Re-arm, and who has control.

import { clockTime, element, setData, setDisabled, setText } from './dom.js';
import { controlView, stopView } from './safety.js';

/** @typedef {import('./store.js').State} State */

/** Whether keys go into text that somebody writes. @param {EventTarget | null} target */
const isWriting = (target) => target instanceof HTMLElement && (target.isContentEditable ||
  target.matches('textarea, input:not([type="range"], [type="checkbox"], [type="radio"], [type="button"])'));

/**
 * One touch, click or key stops: the finger's arrival counts, not its leaving, and Escape needs no focus.
 * @param {HTMLElement} button @param {() => void} stop
 */
export function createStop(button, stop) {
  let touched = false;
  button.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    touched = true;
    stop();
  });
  button.addEventListener('click', (event) => {
    const done = touched && event.detail > 0; // the end of a touch that has stopped already
    touched = false;
    if (!done) stop();
  });
  // Nor is the key's leaving waited for; without these the browser makes clicks of them.
  button.addEventListener('keydown', (event) => {
    if (event.key !== ' ' && event.key !== 'Enter') return;
    event.preventDefault();
    if (!event.repeat) stop();
  });
  button.addEventListener('keyup', (event) => {
    if (event.key === ' ') event.preventDefault();
  });
  window.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || event.repeat || event.isComposing || isWriting(event.target)) return;
    stop();
  }, { capture: true });
}

/**
 * @param {{bar: HTMLElement, lines: HTMLElement, notice: HTMLElement, rearm: HTMLButtonElement, control: HTMLElement,
 *   take: HTMLButtonElement, release: HTMLButtonElement}} view
 * @returns {(state: State, now: number, armed: boolean) => void} draws; armed: another press takes control from its holder
 */
export function createSafetyBar({ bar, lines, notice, rearm, control, take, release }) {
  let drawn = '';
  // What takes the focus is scrolled to below the bar, however high that is.
  new ResizeObserver(() => {
    document.documentElement.style.scrollPaddingTop = `${bar.offsetHeight + 8}px`;
  }).observe(bar);
  return (state, now, armed) => {
    const stops = stopView(state, now, clockTime);
    setData(bar, 'state', stops.kind);
    // Rebuilt only when it says something else: each change is read out.
    const wanted = JSON.stringify(stops.lines);
    if (wanted !== drawn) {
      drawn = wanted;
      lines.replaceChildren(...stops.lines.map(({ id, kind, text }) => {
        const line = element('p', 'stop-line');
        line.dataset.state = kind;
        if (id !== '') line.append(element('b', '', id), ' ');
        line.append(text);
        return line;
      }));
    }
    setDisabled(rearm, !stops.canRearm);
    setText(notice, state.notice?.text ?? '');

    const held = controlView(state);
    setData(control, 'mode', held.shown ? 'exclusive' : 'shared');
    const connected = state.connection === 'connected';
    const prompt = armed && held.others.length > 0 ? '. Press Take control again to take it from them' : '';
    setText(control, connected ? `${held.text}${prompt}` : '');
    const focused = document.activeElement;
    setDisabled(take, !connected || held.wanted.length === 0);
    take.hidden = !held.shown || (held.mine.length > 0 && held.wanted.length === 0);
    release.hidden = held.mine.length === 0;
    // The one takes the other's place, for the keyboard as well.
    if (focused === take && take.hidden) release.focus();
    if (focused === release && release.hidden) take.focus();
  };
}
