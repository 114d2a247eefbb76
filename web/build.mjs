// Builds the dashboard into ../build/web: one script, one style sheet, both named by their content
// so that they may be cached for ever, and index.html that refers to them. Every text file gets a
// .gz beside it (nginx gzip_static).
import { build } from 'esbuild';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const here = path.dirname(fileURLToPath(import.meta.url));
const out = path.resolve(here, '../build/web');
const assets = path.join(out, 'assets');
const FIRST_LOAD_MAX = 60_000; // bytes, gzip, everything that the first load fetches

/** @type {Set<string>} names in assets/ that belong to this build */
const kept = new Set();
let firstLoad = 0;

/** @param {string} file @param {string | Uint8Array} content */
async function emit(file, content) {
  const packed = gzipSync(content, { level: 9 });
  firstLoad += packed.length;
  await writeFile(file, content);
  await writeFile(`${file}.gz`, packed);
  kept.add(path.basename(file)).add(`${path.basename(file)}.gz`);
}

const result = await build({
  absWorkingDir: here,
  entryPoints: { app: 'js/app.js', style: 'css/main.css', icon: 'icon.svg' },
  outdir: assets,
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['es2022'],
  loader: { '.svg': 'copy' },
  entryNames: '[name]-[hash]',
  metafile: true,
  write: false,
  legalComments: 'none',
});

await mkdir(assets, { recursive: true });
/** @type {Map<string, string>} source path to public path */
const published = new Map();
for (const file of result.outputFiles) {
  await emit(file.path, file.contents);
  const name = path.relative(here, file.path);
  const entry = result.metafile.outputs[name]?.entryPoint ?? Object.keys(result.metafile.outputs[name].inputs)[0];
  published.set(entry, `/assets/${path.basename(file.path)}`);
}

const template = await readFile(path.join(here, 'index.html'), 'utf8');
const html = template.replace(/(href|src)="\/((?:js|css)\/[^"]+|icon\.svg)"/g, (_, attribute, source) => {
  const target = published.get(source);
  if (!target) throw new Error(`index.html refers to ${source}, which is not built`);
  return `${attribute}="${target}"`;
});
await emit(path.join(out, 'index.html'), html);

// Old assets go last: a page that is loading right now has already got its new index.html.
for (const name of await readdir(assets)) {
  if (!kept.has(name)) await rm(path.join(assets, name));
}
if (firstLoad > FIRST_LOAD_MAX) {
  throw new Error(`first load is ${firstLoad} bytes gzip, more than ${FIRST_LOAD_MAX}`);
}
console.log(`  WEB    build/web (first load ${(firstLoad / 1000).toFixed(1)} kB gzip)`);
