// run [PATTERN…]: every test, or the suites whose name matches one of the patterns (regular expressions).
// Builds what they need, runs suite after suite (many are about time, so nothing else runs beside them),
// and ends with one line "N passed, N failed". A suite that crashes, hangs or tests nothing has failed.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
const patterns = process.argv.slice(2).map((text) => new RegExp(text));
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'telerelay-tests-'));
const total = { passed: 0, failed: 0, skipped: 0 };

const list = (dir, pattern) => (fs.existsSync(dir) ? fs.readdirSync(dir).filter((name) => pattern.test(name)).sort() : []);

// --- the suites: {name, command, args, env, seconds, count(output) → {passed, failed, skipped}} --------

// cmocka's TAP.
const countTap = (output) => ({
    passed: (output.match(/^ok \d+(?!.*# SKIP)/gm) ?? []).length,
    failed: (output.match(/^not ok \d+/gm) ?? []).length,
    skipped: (output.match(/^ok \d+.*# SKIP/gm) ?? []).length,
});
// node:test's summary, which counts tests but not the groups they are in.
const countNode = (output) => {
    const of = (word) => Number(new RegExp(`^# ${word} (\\d+)$`, 'm').exec(output)?.[1] ?? 0);
    return { passed: of('pass'), failed: of('fail') + of('cancelled'), skipped: of('skipped') + of('todo') };
};
// "N passed, N failed" of our own scripts.
const countWords = (output) => {
    const [, passed = 0, failed = 0] = /(\d+) passed, (\d+) failed/.exec(output) ?? [];
    return { passed: Number(passed), failed: Number(failed), skipped: 0 };
};
const countStatus = (output, status) => ({ passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1, skipped: 0 });

const nodeTest = (name, file, seconds, env = {}, cwd = root) => ({
    name, command: process.execPath, args: ['--test', '--test-reporter=tap', file], env, seconds, count: countNode, cwd,
});

function suites() {
    const all = [];
    for (const config of ['release', 'asan'])
        for (const source of list('tests/unit', /\.c$/)) {
            const unit = path.basename(source, '.c');
            all.push({ name: `unit/${config}/${unit}`, command: `build/${config}/unit/${unit}`, args: [], env: { CMOCKA_MESSAGE_OUTPUT: 'TAP' }, seconds: 120, count: countTap });
        }
    for (const source of list('tests/fuzz', /^(?!replay).*\.c$/)) {
        const name = path.basename(source, '.c');
        all.push({ name: `fuzz/${name}`, command: `build/asan/replay/${name}`, args: [`tests/fuzz/corpus/${name}`], seconds: 120, count: countStatus });
    }
    for (const [config, worlds] of [['release', 16], ['asan', 4]])
        all.push({ name: `sim/${config}`, command: `build/${config}/bin/telerelay-sim`, args: ['--runs', String(worlds)], seconds: 120, count: countStatus });
    all.push({ name: 'sim/repeats', command: 'build/release/bin/telerelay-sim', args: ['--runs', '3', '--twice'], seconds: 120, count: countStatus });
    all.push({ name: 'sim/mistakes', command: 'tests/sim/mistakes/run', args: [], seconds: 240, count: countWords });
    all.push({ name: 'arch/check', command: 'tests/arch/check', args: [], seconds: 60, count: countStatus });
    all.push({ name: 'arch/selftest', command: 'tests/arch/selftest', args: [], seconds: 120, count: countWords });
    for (const file of list('web/test', /\.test\.m?js$/))
        all.push(nodeTest(`web/${file.replace(/\.test\.m?js$/, '')}`, `test/${file}`, 60, {}, path.join(root, 'web')));
    for (const [dir, config] of [['system', 'asan'], ['faults', 'asan'], ['bench', 'release'], ['browser', 'release'], ['docs', 'release']])
        for (const file of list(`tests/${dir}`, /\.test\.m?js$/))
            all.push(nodeTest(`${dir}/${file.replace(/\.test\.m?js$/, '')}`, `tests/${dir}/${file}`, process.env.FAULTS_LONG ? 1200 : 300, { TELERELAY_BIN: path.join(root, `build/${config}/bin`) }));
    return all.filter(({ name }) => patterns.length === 0 || patterns.some((pattern) => pattern.test(name)));
}

// --- running them ------------------------------------------------------------------------------------

let current; // the child that runs

function run({ name, command, args, env = {}, seconds, cwd = root }) {
    return new Promise((resolve) => {
        const reports = path.join(work, name.replaceAll('/', '_'));
        fs.mkdirSync(reports, { recursive: true });
        const child = spawn(path.isAbsolute(command) ? command : path.join(root, command), args, {
            cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe'],
            env: {
                ...process.env,
                // Daemons that a test starts write here what their sanitizers find; a test that sets these
                // itself looks there itself.
                TELERELAY_SAN_LOG: reports,
                ...(env.CMOCKA_MESSAGE_OUTPUT ? {} : { ASAN_OPTIONS: `log_path=${reports}/asan:detect_leaks=1`, UBSAN_OPTIONS: `log_path=${reports}/ubsan:print_stacktrace=1` }),
                ...env,
            },
        });
        current = child;
        let output = '';
        let late = false;
        for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
        const timer = setTimeout(() => {
            late = true;
            killGroup(child, 'SIGKILL');
        }, seconds * 1000);
        const end = (status, signal) => {
            clearTimeout(timer);
            killGroup(child, 'SIGKILL'); // what a crashed suite has left in its group
            current = undefined;
            const found = fs.readdirSync(reports).map((file) => fs.readFileSync(path.join(reports, file), 'utf8').slice(0, 8000));
            resolve({ output, status, signal, late, found });
        };
        child.on('error', (error) => {
            output += error.message;
            end(127, null);
        });
        // Not "close": a daemon that a test forgot may hold the pipes open.
        child.on('exit', (status, signal) => setImmediate(end, status, signal));
    });
}

function killGroup(child, signal) {
    try {
        process.kill(-child.pid, signal);
    } catch { /* nobody is left */ }
}

function build() {
    const jobs = process.env.JOBS || String(os.availableParallelism?.() ?? os.cpus().length);
    for (const args of [['CONFIG=release', 'all', 'units', 'simulator', 'web'], ['CONFIG=asan', 'all', 'units', 'simulator', 'replays']]) {
        const { status } = spawnSync('make', [`-j${jobs}`, '--no-print-directory', ...args], { stdio: 'inherit' });
        if (status !== 0) return false;
    }
    return true;
}

function report(suite, result, counted, seconds) {
    const { output, status, signal, late, found } = result;
    const bad = [];
    if (late) bad.push(`no end after ${suite.seconds} s`);
    else if (signal) bad.push(`ended by ${signal}`);
    else if (status !== 0 && counted.failed === 0) bad.push(`exit status ${status}`);
    if (found.length > 0) bad.push('a sanitizer reported');
    if (bad.length === 0 && counted.passed + counted.failed + counted.skipped === 0) bad.push('tested nothing');
    if (bad.length > 0) counted.failed = Math.max(counted.failed, 1);
    for (const key of Object.keys(total)) total[key] += counted[key];
    const failed = counted.failed > 0;
    const numbers = `${counted.passed} passed${failed ? `, ${counted.failed} FAILED` : ''}${counted.skipped ? `, ${counted.skipped} skipped` : ''}`;
    console.log(`  ${failed ? 'FAIL' : 'ok  '}  ${suite.name.padEnd(34)} ${numbers}  (${seconds.toFixed(1)} s)${bad.length ? `: ${bad.join(', ')}` : ''}`);
    for (const [, figure] of output.matchAll(/^# figure: (.*)$/gm)) console.log(`          ${figure}`);
    if (!failed) return;
    for (const text of [interesting(output), ...found]) console.log(text.replace(/^/gm, '        '));
}

// Of TAP: the failed tests with their details; of anything else: the end.
function interesting(output) {
    const lines = output.split('\n');
    const kept = [];
    let within = false;
    for (const line of lines) {
        if (/^\s*not ok /.test(line)) within = !/subtests? failed/.test(output.slice(output.indexOf(line), output.indexOf(line) + 400).split('...')[0]);
        else if (/^\s*(ok |# Subtest|1\.\.\d)/.test(line)) within = false;
        if (within) kept.push(line);
    }
    return (kept.length > 0 ? kept : lines).slice(-120).join('\n');
}

function finish() {
    fs.rmSync(work, { recursive: true, force: true });
    const { passed, failed, skipped } = total;
    console.log(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`);
    process.exit(failed === 0 && passed > 0 ? 0 : 1);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, () => {
        // The suite's own end takes its daemons along.
        if (current) killGroup(current, 'SIGTERM');
        fs.rmSync(work, { recursive: true, force: true });
        setTimeout(() => process.exit(130), 1000);
    });

if (!build()) {
    console.log('the build failed');
    total.failed = 1;
    finish();
}
for (const suite of suites()) {
    const begin = performance.now();
    const result = await run(suite);
    report(suite, result, suite.count(result.output, result.status), (performance.now() - begin) / 1000);
}
finish();
