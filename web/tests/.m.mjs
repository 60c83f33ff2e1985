import { launch } from './browser.mjs';
const b = await launch(); const p = await b.newPage({ viewport: { width: 1610, height: 1520 } });
await p.goto('file:///tmp/mont.html'); await p.waitForTimeout(500); await p.screenshot({ path: '/tmp/mont.png', fullPage: true }); await b.close();
