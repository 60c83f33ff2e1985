import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

/** Styles of a view stay when it is left: a class that two views style means something else once both were seen. */
it('is one view that styles a class by its name alone', () => {
  const shared = ['tokens.css', 'ui.css'];
  const owners = new Map<string, Set<string>>();
  for (const file of readdirSync(import.meta.dirname).filter((name) => name.endsWith('.css') && !shared.includes(name))) {
    const text = readFileSync(`${import.meta.dirname}/${file}`, 'utf8').replace(/\/\*.*?\*\//gs, '');
    for (const [, selectors = ''] of text.matchAll(/([^{};]+)\{/g)) {
      for (const selector of selectors.split(',').map((each) => each.trim())) {
        if (/^\.[\w-]+$/.test(selector)) owners.set(selector, (owners.get(selector) ?? new Set()).add(file));
      }
    }
  }
  expect([...owners].filter(([, files]) => files.size > 1).map(([name, files]) => `${name}: ${[...files].join(', ')}`)).toEqual([]);
});
