// Makes the pictures in docs/ from the real page. Only with SCREENSHOTS=1.

import path from 'node:path';
import { test } from 'node:test';

import { choose, closePage, eventually, grab, launch, openPage, parts, root, startStack } from './harness.mjs';

test('screenshots', { skip: !process.env.SCREENSHOTS }, async () => {
  const stack = await startStack(2);
  const browser = await launch();
  try {
    for (const [file, width, height, scale] of [['screenshot', 1280, 800, 1], ['screenshot-phone', 390, 844, 1.5]]) {
      const page = await openPage(browser, `${stack.url}/`, {
        viewport: { width, height }, deviceScaleFactor: scale, colorScheme: 'dark',
      });
      await choose(page, 'robot_01');
      await parts(page).speed.fill('60');
      await parts(page).brightness.fill('80');
      await grab(page, parts(page).camera, -0.4, 0.2);
      await page.mouse.up();
      await eventually('values are there', 8000, () => parts(page).metric('signal').getAttribute('data-age'));
      await grab(page, parts(page).drive, 0.3, 0.55);
      const rows = parts(page).log.locator('li');
      await eventually('what became of the commands', 3000, async () => (await rows.count()) === 5 &&
        (await rows.evaluateAll((items) => items.every((item) => !['sent', 'received'].includes(item.dataset.state)))));
      await page.screenshot({ path: path.join(root, 'docs', `${file}.png`) });
      await page.mouse.up();
      await closePage(page);
    }
  } finally {
    await browser.close();
    await stack.down();
  }
});
