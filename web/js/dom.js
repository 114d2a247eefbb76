// Small helpers around the DOM.

/** @template {HTMLElement} T @param {string} id @param {new () => T} type @returns {T} */
export function byId(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no ${type.name} #${id}`);
  return found;
}

/**
 * @param {string} tag @param {string} [className] @param {string} [content]
 * @returns {HTMLElement}
 */
export function element(tag, className = '', content = '') {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (content) made.textContent = content;
  return made;
}

/** Touches the DOM only when something differs. @param {Node} node @param {string} content */
export function setText(node, content) {
  if (node.textContent !== content) node.textContent = content;
}

/** @param {HTMLElement} node @param {string} name @param {string | null} value null: no such data- attribute */
export function setData(node, name, value) {
  if (value === null) delete node.dataset[name];
  else if (node.dataset[name] !== value) node.dataset[name] = value;
}

/**
 * Some browsers hand no keys to anybody while what has the focus is disabled, and Escape must always stop.
 * @param {HTMLButtonElement | HTMLInputElement} control @param {boolean} disabled
 */
export function setDisabled(control, disabled) {
  if (disabled && !control.disabled && control === document.activeElement) control.blur();
  control.disabled = disabled;
}

const DOUBLE_MS = 500; // what systems take for a double click
let actedAt = -Infinity; // of any button: another may have taken the place of the first

/**
 * A double click is one press, and so is a key that is held: what comes right behind the first could do what that made
 * the button mean.
 * @param {HTMLElement} button @param {() => void} act
 */
export function onPress(button, act) {
  button.addEventListener('keydown', (event) => {
    if (event.repeat && (event.key === 'Enter' || event.key === ' ')) event.preventDefault();
  });
  button.addEventListener('click', (event) => {
    if (event.detail > 1 && event.timeStamp - actedAt < DOUBLE_MS) return;
    actedAt = event.timeStamp;
    act();
  });
}

/** Times for people: "0.4 s", "12 s", "3 min", "2 h". @param {number} ms */
export function duration(ms) {
  const s = Math.max(0, ms) / 1000;
  if (s < 9.95) return `${s.toFixed(1)} s`;
  if (s < 100) return `${Math.round(s)} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  return `${Math.round(s / 3600)} h`;
}

const time = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
const day = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' });

/** Time of day, with the day where it is not today. @param {number} ms since 1970 */
export function clockTime(ms) {
  const today = new Date(ms).toDateString() === new Date().toDateString();
  return today ? time.format(ms) : `${day.format(ms)} ${time.format(ms)}`;
}
