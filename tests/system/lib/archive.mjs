// An archive of a test's own, filled through the same interface as the archiver's (bin/telerelay-fill).
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { within } from './wait.mjs';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const program = [process.env.TELERELAY_BIN, 'build/asan/bin', 'build/release/bin']
    .filter(Boolean)
    .map((dir) => path.resolve(root, dir, 'telerelay-fill'))
    .find((file) => fs.existsSync(file));

// Commits [kind, device, id, text] entries, each stream's behind those that it has already.
export async function fillArchive(database, entries) {
    const child = spawn(program, [database], { stdio: ['pipe', 'ignore', 'pipe'] });
    let err = '';
    child.stderr.on('data', (data) => (err += data));
    child.stdin.on('error', () => {});
    child.stdin.end(entries.map((fields) => `${fields.join('\t')}\n`).join(''));
    const code = await within(new Promise((resolve) => child.once('close', resolve)), 60000, 'telerelay-fill ends');
    if (code !== 0) throw new Error(`telerelay-fill ended with ${code}: ${err}`);
}
