// How long to wait before the next attempt to connect.

const FIRST_MIN = 100; // ms
const FIRST_MAX = 300; // ms
const MAX = 5000; // ms

/**
 * @param {number} attempt failures in a row before this wait, from 0
 * @param {number} random 0..1: spreads pages that lost the same relay
 * @returns {number} ms: 100–300 first, then twice as much each time, at most 5 s
 */
export function delay(attempt, random) {
  const factor = 2 ** Math.min(attempt, 16);
  const high = Math.min(FIRST_MAX * factor, MAX);
  const low = Math.min(FIRST_MIN * factor, MAX / 2);
  return low + (high - low) * random;
}
