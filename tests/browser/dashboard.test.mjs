// The dashboard in a real browser against the real stack: two relays, two robots. What counts is
// what the robots' outputs do, as their traces tell.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import {
  choose, closePage, connected, eventually, grab, launch, monotonic, moves, openPage, pans, parts, point, reads, rests,
  roundTrip, startStack, still,
} from './harness.mjs';

const MS = 1e6; // ns
const METRICS = ['battery', 'cpu', 'temperature', 'signal'];
const PHONE = { viewport: { width: 360, height: 780 }, hasTouch: true, isMobile: true };

let stack;
let browser;
let robot1;
let robot2;

before(async () => {
  stack = await startStack(2);
  browser = await launch();
  robot1 = stack.trace('robot_01');
  robot2 = stack.trace('robot_02');
});

after(async () => {
  await browser?.close();
  await stack?.down();
});

/** A page that drives robot_01 only. */
async function driver(options) {
  const page = await openPage(browser, `${stack.url}/`, options);
  await choose(page, 'robot_01');
  return page;
}

/** Pushes the stick of robot_01 and waits until it drives. */
async function drive(page) {
  const begin = monotonic();
  await grab(page, parts(page).drive, 0.3, 0.6);
  await robot1.first('drive', begin, moves);
}

/** The robot stopped because it was told to: its dead-man had not to help. */
async function stoppedByCommand(trace, output, since, atRest) {
  const line = await trace.first(output, since, atRest);
  assert.equal(line.cause, 'command');
  return line;
}

/** And it was the page that told it, once: the relay's dead-man had not to help either. */
async function stoppedByPage(page, output, since, atRest) {
  const line = await stoppedByCommand(robot1, output, since, atRest);
  const type = output === 'drive' ? 'robot_move' : 'camera_move';
  const zeros = () => page.sent.filter((m) => m.type === type && m.t_ns >= since && m.x === 0 && m.y === 0);
  await eventually('the page sent zero', 1000, () => zeros().length > 0);
  assert.equal(zeros().length, 1);
  return line;
}

test('a pushed stick drives the robot for as long as it is held, its release stops it at once', async () => {
  const page = await driver();
  const begin = monotonic();
  await drive(page);
  // Held still for a good second: commands repeat at 20 Hz and the robot does not stop in between.
  const held = monotonic();
  await eventually('the stick was held', 3000, () => monotonic() - held > 1200 * MS);
  const repeats = page.sent.filter((m) => m.type === 'robot_move' && m.t_ns >= held);
  assert.ok(repeats.length >= 18 && repeats.length <= 27, `${repeats.length} moves in 1.2 s`);
  const outputs = await robot1.since('drive', begin);
  assert.deepEqual(outputs.slice(outputs.findIndex(moves)).filter(rests), []);
  const last = outputs.at(-1);
  assert.ok(last.left > last.right && last.right > 0, 'forward and to the right');
  await page.evaluate(() => addEventListener('pointerup', () => {
    window.releasedAt = performance.timeOrigin + performance.now();
  }));
  const release = monotonic();
  await page.mouse.up();
  const stopped = await stoppedByPage(page, 'drive', release, rests);
  const wallOffset = Date.now() - monotonic() / MS;
  const took = stopped.t_ns / MS + wallOffset - await page.evaluate(() => window.releasedAt);
  assert.ok(took < 150, `from the release in the page to the robot at rest: ${took} ms`);
  assert.deepEqual((await robot2.since('drive', begin)).filter(moves), [], 'the other robot was not addressed');
  await closePage(page);
});

test('a stick that moves all the time sends at most every 50 ms, values within range', async () => {
  const page = await driver();
  const { drive: pad } = parts(page);
  await grab(page, pad, 2, 0);
  const from = monotonic();
  for (let i = 0; monotonic() - from < 1000 * MS; i++) {
    const to = await point(pad, 2 * Math.cos(i / 5), 2 * Math.sin(i / 5)); // far outside of the pad
    await page.mouse.move(to.x, to.y);
  }
  const sent = page.sent.filter((m) => m.type === 'robot_move' && m.t_ns >= from);
  await page.mouse.up();
  assert.ok(sent.length >= 15 && sent.length <= 24, `${sent.length} moves in 1 s`);
  for (const { x, y } of sent) {
    assert.ok(Math.abs(x) <= 1 && Math.abs(y) <= 1 && Math.hypot(x, y) > 0.98 && Math.hypot(x, y) < 1.01);
    assert.equal(Number(x.toFixed(2)), x);
  }
  await closePage(page);
});

test('all robots are addressed by default', async () => {
  const page = await openPage(browser, `${stack.url}/`);
  await eventually('both robots are offered', 5000, async () =>
    (await parts(page).robots.locator('option').allTextContents()).length === 3);
  const begin = monotonic();
  await grab(page, parts(page).drive, 0, 0.7);
  await Promise.all([robot1.first('drive', begin, moves), robot2.first('drive', begin, moves)]);
  await page.mouse.up();
  await Promise.all([robot1, robot2].map((trace) => stoppedByCommand(trace, 'drive', begin, rests)));
  await closePage(page);
});

test('another robot gets the next command, the one before stops', async () => {
  const page = await driver();
  await drive(page);
  const change = monotonic();
  await parts(page).robots.selectOption('robot_02');
  await stoppedByPage(page, 'drive', change, rests);
  await page.mouse.move(5, 5);
  await page.mouse.up();
  await roundTrip(page);
  assert.deepEqual((await robot2.since('drive', change)).filter(moves), [], 'the stick has to be grabbed again');
  await closePage(page);
});

test('two thumbs: both sticks at once, and one that is lifted does not end the other', async () => {
  const page = await driver(PHONE);
  const { drive: pad, camera } = parts(page);
  await camera.scrollIntoViewIfNeeded();
  const cdp = await page.context().newCDPSession(page);
  const touch = (type, touchPoints) => cdp.send('Input.dispatchTouchEvent', { type, touchPoints });
  const left = { ...(await point(pad, 0, 0.6)), id: 1 };
  const right = { ...(await point(camera, 0.6, 0)), id: 2 };
  const begin = monotonic();
  await touch('touchStart', [left]);
  await touch('touchStart', [left, right]);
  await Promise.all([robot1.first('drive', begin, moves), robot1.first('camera', begin, pans)]);
  const lifted = monotonic();
  await touch('touchEnd', [left]);
  await stoppedByPage(page, 'drive', lifted, rests);
  const wait = monotonic();
  await eventually('the other thumb stays for a while', 3000, () => monotonic() - wait > 600 * MS);
  assert.deepEqual((await robot1.since('camera', lifted)).filter(still), []);
  const away = monotonic();
  await touch('touchEnd', [right]);
  await stoppedByPage(page, 'camera', away, still);
  await closePage(page);
});

test('stops when the button is let go while another one is down', async () => {
  const page = await driver();
  await drive(page);
  const begin = monotonic();
  await page.mouse.down({ button: 'right' }); // from here on the browser tells of no pointerup for the first
  await page.mouse.up();
  await stoppedByPage(page, 'drive', begin, rests);
  const to = await point(parts(page).drive, 0, 0.4);
  await page.mouse.move(to.x, to.y);
  await page.mouse.up({ button: 'right' });
  await roundTrip(page);
  assert.deepEqual((await robot1.since('drive', begin + 300 * MS)).filter(moves), []);
  await closePage(page);
});

test('a cancelled touch stops', async () => {
  const page = await driver(PHONE);
  const cdp = await page.context().newCDPSession(page);
  const begin = monotonic();
  const at = { ...(await point(parts(page).drive, 0, 0.6)), id: 1 };
  await cdp.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [at] });
  await robot1.first('drive', begin, moves);
  const cancel = monotonic();
  await cdp.send('Input.dispatchTouchEvent', { type: 'touchCancel', touchPoints: [] });
  await stoppedByPage(page, 'drive', cancel, rests);
  await closePage(page);
});

test('keys drive while they are down and the pad has the focus', async () => {
  const page = await driver();
  const { drive: pad, camera } = parts(page);
  await pad.focus();
  let begin = monotonic();
  await page.keyboard.down('w');
  const line = await robot1.first('drive', begin, moves);
  assert.ok(line.left > 0 && line.left === line.right);
  await page.keyboard.down('ArrowRight');
  await robot1.first('drive', begin, (l) => l.left > 0 && l.right === 0);
  await page.keyboard.up('ArrowRight');
  const up = monotonic();
  await page.keyboard.up('w');
  await stoppedByPage(page, 'drive', up, rests);
  begin = monotonic();
  await camera.focus();
  await page.keyboard.down('ArrowLeft');
  await robot1.first('camera', begin, (l) => l.pan < 0);
  const blur = monotonic();
  await page.keyboard.press('Tab');
  await stoppedByPage(page, 'camera', blur, still);
  await page.keyboard.up('ArrowLeft');
  await closePage(page);
});

for (const [what, leave] of [
  ['the window loses the focus', () => window.dispatchEvent(new Event('blur'))],
  ['the page is hidden', () => {
    Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }],
  ['the page goes away', () => window.dispatchEvent(new PageTransitionEvent('pagehide'))],
  ['the browser takes the pointer away', () => {
    for (let id = 0; id < 100; id++) {
      const pad = document.querySelector('[role="application"]');
      if (pad.hasPointerCapture(id)) pad.releasePointerCapture(id);
    }
  }],
  ['another tab of the page is chosen', () => document.querySelector('[role="tab"][aria-selected="false"]').click()],
]) {
  test(`stops when ${what}`, async () => {
    const page = await driver();
    await drive(page);
    const begin = monotonic();
    await page.evaluate(leave);
    await stoppedByPage(page, 'drive', begin, rests);
    // Moving on with the button still down moves nothing.
    const to = await point(parts(page).connection, 0, 0);
    await page.mouse.move(to.x, to.y);
    await page.mouse.up();
    await roundTrip(page);
    assert.deepEqual((await robot1.since('drive', begin + 300 * MS)).filter(moves), []);
    await closePage(page);
  });
}

test('stops when the page is closed, or left for another', async () => {
  let page = await driver();
  await drive(page);
  let begin = monotonic();
  await page.goto('about:blank');
  await robot1.first('drive', begin, rests, 1000);
  await page.context().close();
  page = await driver();
  await drive(page);
  begin = monotonic();
  await page.context().close();
  const line = await robot1.first('drive', begin, rests, 1000);
  assert.ok(['command', 'deadman'].includes(line.cause));
});

test('sliders set speed and brightness, and their last value always arrives', async () => {
  const page = await driver();
  const { speed, brightness } = parts(page);
  assert.deepEqual([await speed.getAttribute('min'), await speed.getAttribute('max')], ['1', '100']);
  let begin = monotonic();
  await speed.fill('60');
  await robot1.first('speed', begin, (l) => l.value === 60 && l.cause === 'command');
  begin = monotonic();
  await brightness.focus();
  for (let i = 0; i < 30; i++) await page.keyboard.press('ArrowLeft');
  const value = Number(await brightness.inputValue());
  assert.equal(value, 70);
  await robot1.first('brightness', begin, (l) => l.value === value);
  begin = monotonic();
  await speed.fill('100');
  await robot1.first('speed', begin, (l) => l.value === 100);
  assert.equal(await page.locator('#speed-value').textContent(), '100 %');
  await choose(page, 'robot_02');
  assert.equal(await page.locator('#speed-value').textContent(), 'not set'); // that was another robot's
  await closePage(page);
});

test('the four values appear, age and change', async () => {
  const page = await driver();
  const { metric } = parts(page);
  const read = async () => Object.fromEntries(await Promise.all(METRICS.map(async (name) =>
    [name, Number(await metric(name).textContent())])));
  await eventually('all values are there', 8000, async () =>
    (await Promise.all(METRICS.map((name) => metric(name).getAttribute('data-age')))).every((age) => age !== null));
  const first = await read();
  for (const name of METRICS) {
    assert.ok(Number.isFinite(first[name]), name);
    assert.match(await metric(name).getAttribute('data-age'), /^\d+\.\d$/);
  }
  // Ages are shown at least four times a second: half a second is enough to see one rise.
  const age = () => metric('cpu').getAttribute('data-age').then(Number);
  const ages = new Set();
  const begin = Date.now();
  await eventually('ages rise', 3000, async () => ages.add(await age()) && Date.now() - begin > 1500);
  assert.ok(ages.size >= 6, `${ages.size} different ages in 1.5 s`);
  const changed = new Set();
  await eventually('each value changes', 30_000, async () => {
    const now = await read();
    for (const name of METRICS) if (now[name] !== first[name]) changed.add(name);
    return changed.size === METRICS.length;
  });
  await closePage(page);
});

test('the command log shows what became of each command', async () => {
  const page = await openPage(browser, `${stack.url}/`);
  const { speed, log, robots } = parts(page);
  await eventually('both robots are offered', 5000, async () => (await robots.locator('option').count()) === 3);
  await speed.fill('90');
  const entry = log.locator('li[data-type="set_speed"]').first();
  await reads(entry, /Speed 90 %.*all robots.*applied by 2 of 2 robots \(\d+ ms\)/);
  assert.equal(await entry.getAttribute('data-state'), 'applied');
  await choose(page, 'robot_02');
  await speed.fill('100');
  await reads(log.locator('li').first(), /Speed 100 %.*robot_02.*applied \(\d+ ms\)/);
  await grab(page, parts(page).camera, 0.5, 0.5);
  await page.mouse.up();
  await reads(log.locator('li').first(), /Camera to zero.*applied \(\d+ ms\)/);
  await closePage(page);
});

test('two pages both see and both drive, and closing one leaves the other', async () => {
  const first = await driver();
  const second = await driver();
  await eventually('both show values', 8000, async () => (await Promise.all([first, second].map((page) =>
    parts(page).metric('battery').getAttribute('data-age')))).every((age) => age !== null));
  for (const page of [first, second]) {
    await drive(page);
    const release = monotonic();
    await page.mouse.up();
    await stoppedByCommand(robot1, 'drive', release, rests);
  }
  await closePage(second);
  const age = () => parts(first).metric('battery').getAttribute('data-age').then(Number);
  await eventually('the value is getting old', 8000, async () => (await age()) > 1.5);
  await eventually('the next sample still comes', 8000, async () => (await age()) < 1);
  await closePage(first);
});

test('a killed relay: the page is back without a reload, and the stick has to be grabbed again', async () => {
  const page = await driver();
  await page.evaluate(() => {
    window.survivor = 'still here';
    window.states = [];
    const pill = document.querySelector('[data-testid="connection"]');
    new MutationObserver(() => window.states.push(pill.dataset.state)).observe(pill, { attributes: true });
  });
  await drive(page);
  // It is on one of the two; the robots may be on either.
  const killed = monotonic();
  await stack.kill('wsd-1');
  await eventually('connected again, or never cut', 5000, () => connected(page));
  await stack.start('wsd-1');
  await stack.kill('wsd-2');
  await eventually('the loss is shown', 3000, () => page.evaluate(() => window.states.some((s) => s !== 'connected')));
  await stack.start('wsd-2');
  await connected(page);
  await robot1.first('drive', killed, rests, 2000);
  assert.equal(await page.evaluate(() => window.survivor), 'still here');
  assert.equal(await parts(page).robots.inputValue(), 'robot_01', 'the choice survives');
  const again = monotonic();
  await page.mouse.move(10, 10);
  await page.mouse.up();
  await roundTrip(page);
  assert.deepEqual((await robot1.since('drive', again)).filter(moves), []);
  // It may be listed before it is back, and a stick that was grabbed meanwhile is let go when it comes.
  const back = monotonic();
  await eventually('robot_01 is heard again', 12_000, async () => {
    const age = await parts(page).metric('battery').getAttribute('data-age');
    return age !== null && Number(age) * 1000 * MS < monotonic() - back;
  });
  await drive(page);
  await page.mouse.up();
  page.faults.length = 0; // the browser notes each failed connection
  await closePage(page);
});

test('a robot that leaves is shown as offline, its values as old ones', async () => {
  const page = await openPage(browser, `${stack.url}/robot/dashboard/`);
  assert.equal(await page.getByRole('tab', { name: 'Dashboard' }).getAttribute('aria-selected'), 'true');
  const card = page.locator('[data-device-id="robot_02"]');
  await eventually('robot_02 is online with values', 8000, async () =>
    (await card.count()) === 1 && /online.*\d %/.test(await card.textContent()));
  await stack.stop('robot_02');
  await eventually('robot_02 is offline', 6000, async () => (await card.getAttribute('data-presence')) === 'offline');
  assert.match(await card.textContent(), /offline.*Battery[\d.]+ %/);
  assert.equal(await card.locator('dd').first().getAttribute('data-stale'), 'true');
  assert.ok(!(await parts(page).robots.locator('option').allTextContents()).includes('robot_02'));
  await stack.start('robot_02');
  await eventually('robot_02 is online again', 8000, async () => (await card.getAttribute('data-presence')) === 'online');
  await card.getByRole('button', { name: 'Select robot_02' }).click();
  await eventually('it is selected', 1000, async () => (await parts(page).robots.inputValue()) === 'robot_02');
  await closePage(page);
});

test('a relay without Redis says so, until it is back', async () => {
  const page = await driver();
  const alert = page.getByRole('alert').filter({ hasText: 'Redis' });
  assert.equal(await alert.count(), 0);
  await stack.stop('redis');
  await eventually('the warning', 4000, async () =>
    (await alert.count()) === 1);
  await page.getByRole('tab', { name: 'Dashboard' }).click();
  const state = page.locator('[data-device-id="robot_01"] .robot-state');
  await eventually('nobody is called online', 1000, async () => (await state.textContent()) === 'unknown');
  await stack.start('redis');
  await eventually('it is gone', 5000, async () => (await alert.count()) === 0);
  await eventually('the robot is online', 5000, async () => (await state.textContent()) === 'online');
  await closePage(page);
});

test('malformed and hostile frames are ignored and counted', async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.routeWebSocket(/\/ws\/telemetry\//, (route) => {
    const server = route.connectToServer();
    let first = true;
    server.onMessage((message) => {
      route.send(message);
      if (!first) return;
      first = false;
      route.send('{"type":"telemetry_update"');
      route.send('[1,2,3]');
      route.send('{"type":"telemetry_update","device_id":"<img src=x>","battery":1}');
      route.send(JSON.stringify({
        type: 'telemetry_update', device_id: 'evil', device_name: '<img src=x onerror=alert(1)>', battery: 1e9, cpu: 7,
      }));
    });
  });
  await page.goto(`${stack.url}/robot/dashboard/`);
  await connected(page);
  await eventually('they are counted', 3000, () => page.getByText('Malformed messages ignored: 3').count());
  await choose(page, 'evil');
  await eventually('its name is text', 3000, () =>
    page.getByRole('heading', { name: '<img src=x onerror=alert(1)> (evil)' }).count());
  assert.equal(await parts(page).metric('battery').textContent(), '—');
  assert.equal(await parts(page).metric('battery').getAttribute('data-age'), null);
  assert.equal(await parts(page).metric('cpu').textContent(), '7');
  await context.close();
});

test('a hundred robots at 20 Hz do not melt the page', async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  let flood;
  await page.routeWebSocket(/\/ws\/telemetry\//, (route) => {
    route.connectToServer();
    let n = 0;
    flood = setInterval(() => {
      n++;
      for (let i = 0; i < 100; i++) {
        route.send(`{"type":"telemetry_update","device_id":"r${i}","battery":${n % 100},"cpu":${i}}`);
      }
    }, 50);
  });
  try {
    await page.goto(`${stack.url}/robot/dashboard/`);
    await eventually('a hundred robots are listed', 10_000, async () =>
      (await page.locator('[data-device-id^="r"]').count()) >= 100);
    const frames = await page.evaluate(() => new Promise((resolve) => {
      let count = 0;
      const end = performance.now() + 2000;
      const next = () => {
        count++;
        if (performance.now() < end) requestAnimationFrame(next);
        else resolve(count);
      };
      next();
    }));
    assert.ok(frames >= 20, `${frames} frames in 2 s`);
    const ages = await page.locator('[data-device-id="r50"] .robot-age').textContent();
    assert.match(ages, /telemetry 0\.\d s ago/);
  } finally {
    clearInterval(flood);
    await context.close();
  }
});

test('roles, names and keys', async () => {
  const page = await openPage(browser, `${stack.url}/robot/controller/`);
  const { drive: pad, camera, speed, brightness, robots } = parts(page);
  for (const part of [pad, camera, speed, brightness, robots]) assert.equal(await part.count(), 1);
  assert.equal(await robots.locator('option').first().textContent(), 'All robots');
  const tabs = page.getByRole('tab');
  assert.deepEqual(await tabs.allTextContents(), ['Controller', 'Dashboard']);
  await tabs.first().focus();
  await page.keyboard.press('ArrowRight');
  assert.equal(await page.getByRole('tabpanel', { name: 'Dashboard' }).isVisible(), true);
  assert.equal(new URL(page.url()).pathname, '/robot/dashboard/');
  await page.keyboard.press('ArrowLeft');
  assert.equal(await pad.isVisible(), true);
  // Everything that takes the focus has a name, and no id is used twice.
  const nameless = await page.evaluate(() => [...document.querySelectorAll('button, input, select, [tabindex="0"]')]
    .filter((e) => !(e.ariaLabel || e.textContent.trim() || e.labels?.length || e.getAttribute('aria-labelledby')))
    .map((e) => e.outerHTML));
  assert.deepEqual(nameless, []);
  const ids = await page.evaluate(() => [...document.querySelectorAll('[id]')].map((e) => e.id));
  assert.equal(new Set(ids).size, ids.length);
  const touchAction = (selector) =>
    page.evaluate((s) => getComputedStyle(document.querySelector(s)).touchAction, selector);
  assert.deepEqual([await touchAction('[role="application"]'), await touchAction('body')], ['none', 'auto']);
  await closePage(page);
});

for (const [name, width, height] of [
  ['a phone', 360, 640], ['a phone on its side', 640, 360], ['a tablet', 820, 1180], ['a desktop', 1920, 1080],
]) {
  test(`fits ${name}: nothing sticks out, touch targets are large enough`, async () => {
    const page = await openPage(browser, `${stack.url}/`, { viewport: { width, height }, hasTouch: width < 900 });
    for (const tab of ['Controller', 'Dashboard']) {
      await page.getByRole('tab', { name: tab }).click();
      await page.locator('[data-device-id="robot_01"]').waitFor({ state: tab === 'Dashboard' ? 'visible' : 'hidden' });
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), tab);
      const small = await page.evaluate(() =>
        [...document.querySelectorAll('button, input, select, [role="application"]')].filter((e) => e.checkVisibility())
          .map((e) => [e.id || e.textContent, e.getBoundingClientRect().height]).filter(([, h]) => h < 44));
      assert.deepEqual(small, [], tab);
    }
    if (height === 360) {
      await page.getByRole('tab', { name: 'Controller' }).click();
      for (const pad of [parts(page).drive, parts(page).camera]) {
        const box = await pad.boundingBox();
        assert.ok(box.y >= 0 && box.y + box.height <= height, 'a stick is in reach without scrolling');
      }
    }
    await closePage(page);
  });
}

test('what takes the focus is not below the bar that stays in sight', async () => {
  const page = await openPage(browser, `${stack.url}/`, { viewport: { width: 360, height: 640 } });
  const { brightness } = parts(page);
  await eventually('the sliders work', 3000, () => brightness.isEnabled());
  await brightness.evaluate((slider) => {
    window.scrollBy(0, slider.getBoundingClientRect().top - 20);
    slider.focus();
  });
  const bar = await page.getByTestId('safety').boundingBox();
  const box = await brightness.boundingBox();
  assert.ok(box.y >= bar.y + bar.height, `${box.y} below ${bar.y + bar.height}`);
  await closePage(page);
});

test('works over TLS', async () => {
  const page = await openPage(browser, `${stack.tlsUrl}/`);
  await choose(page, 'robot_01');
  await drive(page);
  const release = monotonic();
  await page.mouse.up();
  await stoppedByCommand(robot1, 'drive', release, rests);
  await closePage(page);
});

test('the first load is small', async () => {
  const page = await openPage(browser, `${stack.url}/`);
  const bytes = await page.evaluate(() =>
    [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
      .reduce((sum, entry) => sum + entry.transferSize, 0));
  assert.ok(bytes > 1000 && bytes <= 60_000, `${bytes} bytes`);
  await closePage(page);
});
