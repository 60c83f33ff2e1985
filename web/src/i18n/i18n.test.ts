import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { alertingEn } from './alerting.en';
import { alertingZhCN } from './alerting.zh-CN';
import { en as baseEn } from './en';
import { zhCN as baseZhCN } from './zh-CN';

const en = { ...baseEn, ...alertingEn };
const zhCN = { ...baseZhCN, ...alertingZhCN };

function shape(value: unknown, at = ''): string[] {
  if (typeof value === 'function') return [`${at}(${value.length})`];
  if (Array.isArray(value)) return [`${at}[${value.length}]`];
  if (typeof value === 'object' && value !== null) return Object.entries(value).flatMap(([key, inner]) => shape(inner, `${at}.${key}`));
  return [at];
}

function files(dir: string, end: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    return entry.isDirectory() ? files(path, end) : path.endsWith(end) ? [path] : [];
  });
}

/** Attributes whose text a person reads or hears. */
const SPOKEN = new Set(['title', 'alt', 'placeholder', 'label', 'aria-label', 'aria-description', 'aria-roledescription', 'aria-valuetext']);
const LETTERS = /\p{L}{2,}/u;
/** Names that are the same in every language. */
const NAMES = new Set(['OpenClaw Watch', 'B/s']);

/** Words that are what they are in both languages: names, units, examples. */
const SAME = new Set(['OpenClaw Watch', 'OpenClaw', 'CPU', 'pi-kitchen', 'Windows PowerShell']);

/** User-visible text written directly in a component: JSX text, spoken attributes, and strings used as children. */
function literals(path: string): string[] {
  const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ES2022, true, ts.ScriptKind.TSX);
  const found: string[] = [];
  const note = (node: ts.Node, text: string): void => {
    if (LETTERS.test(text) && !NAMES.has(text.trim())) found.push(`${path}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1}: ${text.trim()}`);
  };
  const strings = (node: ts.Node): void => {
    if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) note(node, node.text);
    else if (ts.isConditionalExpression(node)) [node.whenTrue, node.whenFalse].forEach(strings);
    else if (ts.isBinaryExpression(node) && node.operatorToken.kind !== ts.SyntaxKind.EqualsEqualsEqualsToken) [node.left, node.right].forEach(strings);
    else if (ts.isTemplateExpression(node)) [node.head, ...node.templateSpans.map((span) => span.literal)].forEach((part) => note(part, part.text));
  };
  const visit = (node: ts.Node): void => {
    if (ts.isJsxText(node)) note(node, node.text);
    if (ts.isJsxAttribute(node) && SPOKEN.has(node.name.getText()) && node.initializer) {
      if (ts.isStringLiteral(node.initializer)) note(node, node.initializer.text);
      else if (ts.isJsxExpression(node.initializer) && node.initializer.expression) strings(node.initializer.expression);
    }
    if (ts.isJsxExpression(node) && node.expression && (ts.isJsxElement(node.parent) || ts.isJsxFragment(node.parent))) strings(node.expression);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

describe('words', () => {
  it('are complete in both languages', () => expect(shape(zhCN)).toEqual(shape(en)));

  it('are all said by the dictionaries: no visible text in a component', () => {
    const components = files(join(import.meta.dirname, '..'), '.tsx');
    expect(components.length).toBeGreaterThan(5);
    expect(components.flatMap(literals)).toEqual([]);
  });

  it('are translated', () => {
    const say = (value: unknown, at: string): string[] =>
      typeof value === 'string' ? [`${at}=${value}`] : typeof value === 'object' && value !== null ? Object.entries(value).flatMap(([key, inner]) => say(inner, `${at}.${key}`)) : [];
    const chinese = new Set(say(zhCN, ''));
    const same = say(en, '').filter((entry) => chinese.has(entry)).map((entry) => entry.slice(entry.indexOf('=') + 1));
    expect(same.filter((text) => LETTERS.test(text) && !SAME.has(text))).toEqual([]);
  });

  it('keep to the rules of Chinese typesetting', () => {
    const text = ['zh-CN.ts', 'alerting.zh-CN.ts'].map((name) => readFileSync(join(import.meta.dirname, name), 'utf8')).join('\n');
    for (const line of text.split('\n')) {
      if (!/[\u4e00-\u9fff]/.test(line) || line.trimStart().startsWith('//')) continue;
      const bare = line.replace(/\$\{[^}]*\}/g, '');
      expect(bare, line).not.toMatch(/[\u4e00-\u9fff][A-Za-z0-9]|[A-Za-z0-9][\u4e00-\u9fff]/);
      expect(bare, line).not.toMatch(/您|[“”‘’]/);
      expect(bare, line).not.toMatch(/[\u4e00-\u9fff][,;:?!](?!')/);
    }
  });
});
