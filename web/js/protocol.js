// The wire protocol as the page needs it: text frames in, checked objects out, and the commands
// it sends. Nothing here touches the DOM, the clock or the network.

export const MOVES = /** @type {const} */ (['robot_move', 'camera_move']);
export const SETTINGS = /** @type {const} */ (['set_speed', 'set_brightness']);

/** @typedef {typeof MOVES[number]} MoveType */
/** @typedef {typeof SETTINGS[number]} SettingType */

/**
 * A command as it is sent. Without `device_id` it goes to every robot. hb: the newest heartbeat heard of
 * the addressed robot.
 * @typedef {{type: MoveType, x: number, y: number, device_id?: string, id?: string, hb?: number}} Move
 * @typedef {{type: SettingType, value: number, device_id?: string, id?: string, hb?: number}} Setting
 * @typedef {{type: 'stop' | 'rearm', device_id?: string, id?: string}} Latch
 * @typedef {{type: 'control_acquire' | 'control_release', device_id?: string, take?: boolean, id?: string}} Control
 * @typedef {Move | Setting | Latch | Control} Command
 */

/**
 * What the relay sends, checked.
 * @typedef {{kind: 'greeting'}} Greeting
 * @typedef {{kind: 'presence', deviceId: string, online: boolean}} Presence
 * @typedef {{kind: 'telemetry', deviceId: string, deviceName: string, metrics: Record<string, number>,
 *   late: boolean}} Telemetry
 * @typedef {{kind: 'status', deviceId: string, status: string, message: string}} Status
 * @typedef {{kind: 'ack', originalType: string, id: string, robots: number | null, outcome: Outcome,
 *   reason: string, deviceId: string, latency: number | null}} Ack from the relay (received), or what the robot said
 * @typedef {{kind: 'stop', deviceId: string, stopped: boolean, confirmed: boolean, by: string, at: number | null}}
 *   StopState at: ms since 1970
 * @typedef {{kind: 'control', deviceId: string, holder: string | null, you: boolean}} ControlState
 * @typedef {{kind: 'heartbeat', deviceId: string, hb: number}} Heartbeat
 * @typedef {{kind: 'pong', id: string}} Pong
 * @typedef {{kind: 'error', originalType: string, id: string, code: string, text: string}} Failure
 * @typedef {{kind: 'relay', relay: string, redis: boolean, message: string}} RelayStatus
 * @typedef {{kind: 'other', type: string}} Other
 * @typedef {Greeting | Presence | Telemetry | Status | Ack | Failure | RelayStatus | StopState | ControlState |
 *   Heartbeat | Pong | Other} Message
 */

/** @typedef {'received' | 'applied' | 'rejected' | 'expired'} Outcome */
/** @type {readonly Outcome[]} */
const OUTCOMES = ['received', 'applied', 'rejected', 'expired'];

const DEVICE_ID = /^[A-Za-z0-9_.-]{1,64}$/;
const METRIC_NAME = /^[A-Za-z][A-Za-z0-9_]{0,31}$/;
const METRICS_MAX = 36;
const TEXT_MAX = 300;
const RANGES = /** @type {Record<string, [number, number]>} */ ({
  battery: [0, 100],
  cpu: [0, 100],
  signal: [0, 100],
  temperature: [-100, 300],
});

/** @param {unknown} value */
const text = (value) => (typeof value === 'string' ? value.slice(0, TEXT_MAX) : '');

/** @param {unknown} value @returns {value is string} */
export const isDeviceId = (value) => typeof value === 'string' && DEVICE_ID.test(value);

/** @param {Record<string, unknown>} raw */
function metricsOf(raw) {
  /** @type {Record<string, number>} */
  const metrics = {};
  let count = 0;
  for (const [name, value] of Object.entries(raw)) {
    if (typeof value !== 'number' || !Number.isFinite(value) || !METRIC_NAME.test(name)) continue;
    const range = Object.hasOwn(RANGES, name) ? RANGES[name] : null;
    if (range && (value < range[0] || value > range[1])) continue;
    if (++count > METRICS_MAX) break;
    metrics[name] = value;
  }
  return metrics;
}

/** @param {Record<string, unknown>} raw @returns {Message | null} */
function connection(raw) {
  if (raw.device_type === 'website') return raw.status === 'connected' ? { kind: 'greeting' } : null;
  if (raw.device_type !== 'robot' || !isDeviceId(raw.device_id)) return null;
  if (raw.status !== 'connected' && raw.status !== 'disconnected') return null;
  return { kind: 'presence', deviceId: raw.device_id, online: raw.status === 'connected' };
}

/** @param {Record<string, unknown>} raw @returns {Message} */
function ack(raw) {
  const latency = raw.latency_ms;
  return {
    kind: 'ack',
    originalType: text(raw.original_type),
    id: text(raw.id),
    robots: Number.isInteger(raw.robots) ? /** @type {number} */ (raw.robots) : null,
    outcome: OUTCOMES.find((outcome) => outcome === raw.status) ?? 'received',
    reason: text(raw.reason),
    deviceId: isDeviceId(raw.device_id) ? raw.device_id : '',
    latency: typeof latency === 'number' && latency >= 0 ? latency : null,
  };
}

/** @param {Record<string, unknown>} raw @returns {Message | null} */
function stopState(raw) {
  const { device_id: deviceId, stopped, confirmed } = raw;
  if (!isDeviceId(deviceId) || typeof stopped !== 'boolean' || typeof confirmed !== 'boolean') return null;
  const at = Date.parse(text(raw.timestamp));
  return { kind: 'stop', deviceId, stopped, confirmed, by: text(raw.by), at: Number.isNaN(at) ? null : at };
}

/** @param {Record<string, unknown>} raw @returns {Message | null} */
function controlState(raw) {
  const { device_id: deviceId, holder, you } = raw;
  if (!isDeviceId(deviceId) || typeof you !== 'boolean') return null;
  if (holder !== null && typeof holder !== 'string') return null;
  return { kind: 'control', deviceId, holder: holder === null ? null : text(holder), you };
}

/** @type {Record<string, (raw: Record<string, unknown>) => Message | null>} */
const READERS = {
  connection,
  telemetry_update: (raw) =>
    isDeviceId(raw.device_id)
      ? {
          kind: 'telemetry',
          deviceId: raw.device_id,
          deviceName: text(raw.device_name),
          metrics: metricsOf(raw),
          late: raw.late === true,
        }
      : null,
  robot_status: (raw) =>
    isDeviceId(raw.device_id)
      ? { kind: 'status', deviceId: raw.device_id, status: text(raw.status), message: text(raw.message) }
      : null,
  ack,
  stop_state: stopState,
  control_state: controlState,
  robot_heartbeat: (raw) =>
    isDeviceId(raw.device_id) && Number.isSafeInteger(raw.hb)
      ? { kind: 'heartbeat', deviceId: raw.device_id, hb: /** @type {number} */ (raw.hb) }
      : null,
  pong: (raw) => ({ kind: 'pong', id: text(raw.id) }),
  error: (raw) => ({
    kind: 'error',
    originalType: text(raw.original_type),
    id: text(raw.id),
    code: text(raw.code),
    text: text(raw.error),
  }),
  relay_status: (raw) =>
    typeof raw.redis === 'boolean'
      ? { kind: 'relay', relay: text(raw.relay), redis: raw.redis, message: text(raw.message) }
      : null,
};

/**
 * Reads one text frame.
 * @param {unknown} frame
 * @returns {Message | null} null: malformed, to be ignored. Types of later versions are `other`.
 */
export function parse(frame) {
  if (typeof frame !== 'string') return null;
  let raw;
  try {
    raw = JSON.parse(frame);
  } catch {
    return null;
  }
  if (raw === null || typeof raw !== 'object' || Array.isArray(raw) || typeof raw.type !== 'string') return null;
  return Object.hasOwn(READERS, raw.type) ? READERS[raw.type](raw) : { kind: 'other', type: text(raw.type) };
}

/** @template {Command} T @param {T} command @param {string} target the addressed robot, '' for all @returns {T} */
function address(command, target) {
  if (target !== '') command.device_id = target;
  return command;
}

/** @param {MoveType} type @param {{x: number, y: number}} stick @param {string} target @returns {Move} */
export const move = (type, { x, y }, target) => address({ type, x, y }, target);

/** @param {SettingType} type @param {number} value @param {string} target @returns {Command} */
export const setting = (type, value, target) => address({ type, value }, target);

/** @param {'stop' | 'rearm'} type @param {string} target @returns {Command} */
export const latch = (type, target) => address({ type }, target);

/** @param {string} target one robot @param {boolean} take from whoever has it @returns {Command} */
export const acquire = (target, take) => ({ type: 'control_acquire', device_id: target, ...(take && { take }) });

/** @param {string} target one robot @returns {Command} */
export const letGo = (target) => ({ type: 'control_release', device_id: target });

/** @param {Command} command @returns {command is Move} */
export const isMove = (command) => 'x' in command;

/** A command that ends a motion. @param {Command} command */
export const isZero = (command) => isMove(command) && command.x === 0 && command.y === 0;

/** Motions and settings say which heartbeat their sender has seen. @param {Command} command @returns {command is Move | Setting} */
export const isFreshnessBound = (command) => isMove(command) || 'value' in command;

/** @type {Record<string, string>} what people call it */
const NAMES = {
  robot_move: 'Drive',
  camera_move: 'Camera',
  set_speed: 'Speed',
  set_brightness: 'Brightness',
  stop: 'Stop',
  rearm: 'Re-arm',
  control_acquire: 'Take control',
  control_release: 'Release control',
};

/** @param {Command} command */
export function describe(command) {
  const name = NAMES[command.type];
  if ('value' in command) return `${name} ${command.value} %`;
  if (!isMove(command)) return name;
  return isZero(command) ? `${name} to zero` : `${name} x ${command.x.toFixed(2)}, y ${command.y.toFixed(2)}`;
}
