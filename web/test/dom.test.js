import assert from 'node:assert/strict';
import { test } from 'node:test';

import { onPress } from '../js/dom.js';

/** A button as far as onPress needs one. @param {() => void} act */
function button(act) {
  /** @type {Record<string, (event: any) => void>} */
  const on = {};
  onPress(/** @type {any} */ ({ addEventListener: (/** @type {string} */ type, /** @type {any} */ fn) => { on[type] = fn; } }), act);
  return on;
}

test('a double click is one press, also where another button has come under it', () => {
  let [taken, released] = [0, 0];
  const [take, release] = [button(() => taken++), button(() => released++)];
  take.click({ detail: 1, timeStamp: 1000 });
  take.click({ detail: 2, timeStamp: 1200 });
  release.click({ detail: 2, timeStamp: 1400 });
  assert.deepEqual([taken, released], [1, 0]);
  release.click({ detail: 3, timeStamp: 1501 });
  assert.deepEqual([taken, released], [1, 1], 'who goes on clicking means it');
  take.click({ detail: 1, timeStamp: 1510 });
  assert.equal(taken, 2, 'another place, or a pause: no double click');
});

test('a key that is held is one press', () => {
  const { keydown } = button(() => {});
  const press = (/** @type {string} */ key, /** @type {boolean} */ repeat) => {
    let prevented = false;
    keydown({ key, repeat, preventDefault: () => { prevented = true; } });
    return prevented;
  };
  assert.deepEqual([press('Enter', false), press('Enter', true), press(' ', true), press('Tab', true)], [false, true, true, false]);
});
