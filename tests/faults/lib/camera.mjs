// camera.mjs URL FRAME_BYTES FRAMES_PER_S: a robot that sends video, telemetry at 10 Hz and heartbeats, and obeys
// Stop; runs inside the robot's network. Prints a JSON line per command: {t_ns, type, y, hb_ms}; hb_ms: how long ago it
// sent the older of the heartbeats that the command names, null when it names none. At most one frame is not yet
// acknowledged, so that what is more urgent does not wait behind many.
import WebSocket from 'ws';

const [url, bytes, rate] = process.argv.slice(2);
const ws = new WebSocket(url, { perMessageDeflate: false });
const frame = '/9j/'.padEnd(Number(bytes), 'A');
let hb = Math.floor(Math.random() * 1e9);
const beats = new Map(); // number → when it was sent, ns
let n = 0;
let underWay = false;

const now = () => Number(process.hrtime.bigint());
const send = (message) => ws.readyState === WebSocket.OPEN && ws.send(JSON.stringify(message));

function picture() {
    if (underWay) return;
    underWay = true;
    send({ type: 'video_frame', frame_data: frame, frame_number: n++, timestamp: Date.now() });
}

ws.on('open', () => {
    send({ type: 'stop_state', stopped: false });
    setInterval(() => {
        beats.set(++hb, now());
        send({ type: 'heartbeat', hb });
    }, 200);
    setInterval(() => send({ type: 'telemetry', battery: 50, timestamp: Date.now() }), 100);
    setInterval(picture, 1000 / Number(rate));
});
ws.on('message', (data) => {
    const t_ns = now();
    const message = JSON.parse(data);
    if (message.original_type === 'video_frame') underWay = false;
    if (['connection', 'ack', 'error'].includes(message.type)) return;
    const named = [message.hb, message.relay_hb].filter((one) => one !== undefined).map((one) => beats.get(one));
    const hb_ms = named.length ? (t_ns - Math.min(...named)) / 1e6 : null;
    process.stdout.write(`${JSON.stringify({ t_ns, type: message.type, y: message.y, hb_ms })}\n`);
    if (message.type === 'stop' || message.type === 'rearm') send({ type: 'stop_state', stopped: message.type === 'stop', seq: message.seq, by: message.by });
});
ws.on('close', (code) => process.exit(code === 1000 ? 0 : 1));
ws.on('error', () => process.exit(1));
process.stdin.resume().on('end', () => process.exit(0)); // ends with the test
