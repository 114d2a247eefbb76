// Runs the chosen scenarios one after the other, prints the table and writes the JSON lines.

import fs from 'node:fs';
import path from 'node:path';
import { cleanUp, root, settings } from './setup.mjs';
import { Report } from './report.mjs';
import { scenarios } from './scenarios.mjs';

const out = path.resolve(process.env.BENCH_OUT || path.join(root, 'build/bench.jsonl'));
const wanted = (process.env.BENCH || '').split(',').filter(Boolean);
const unknown = wanted.filter((name) => !(name in scenarios));
if (unknown.length) {
  console.error(`bench: there is no ${unknown.join(', ')}; there are ${Object.keys(scenarios).join(' ')}`);
  process.exit(2);
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, async () => {
    await cleanUp();
    process.exit(1);
  });
}

const report = new Report();
let failed = 0;
for (const [name, run] of Object.entries(scenarios)) {
  if (wanted.length && !wanted.includes(name)) continue;
  const begin = Date.now();
  process.stderr.write(`bench: ${name} …`);
  try {
    await run(report);
    process.stderr.write(` ${((Date.now() - begin) / 1000).toFixed(0)} s\n`);
  } catch (error) {
    failed += 1;
    process.stderr.write(` failed\n${error.message}\n`);
    if (process.env.BENCH_DEBUG) console.error(error);
  } finally {
    await cleanUp();
  }
}

fs.mkdirSync(path.dirname(out), { recursive: true });
fs.writeFileSync(out, report.jsonLines());
console.log(report.table());
console.log(`${settings.smoke ? 'A smoke run: the figures mean nothing. ' : ''}JSON lines: ${out}`);
process.exitCode = failed ? 1 : 0;
