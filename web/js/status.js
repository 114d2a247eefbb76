// The connection pill and the warning when the relay has lost its database.

import { setData, setText } from './dom.js';

const TEXT = { connected: 'Connected', connecting: 'Connecting…', disconnected: 'Disconnected' };

/**
 * @param {HTMLElement} pill @param {HTMLElement} pillText @param {HTMLElement} banner
 * @param {HTMLElement} latency to the relay and back; not part of what is announced
 * @param {HTMLElement} ignored counts malformed frames
 * @returns {(state: import('./store.js').State, roundTrip: number | null) => void} draws
 */
export function createStatus(pill, pillText, latency, banner, ignored) {
  return (state, roundTrip) => {
    setData(pill, 'state', state.connection);
    setText(pillText, TEXT[state.connection]);
    setText(latency, state.connection === 'connected' && roundTrip !== null ? `${Math.round(roundTrip)} ms` : '');
    const { warning } = state;
    banner.hidden = warning === null;
    const reason = warning?.message || 'it does not reach its store, so that no telemetry is saved';
    setText(banner, warning === null ? '' : `${warning.relay || 'Relay'} (Redis is away): ${reason}`);
    ignored.hidden = state.ignored === 0;
    setText(ignored, `Malformed messages ignored: ${state.ignored}`);
  };
}
