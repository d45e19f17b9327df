import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { readOptions, slugOf } from './options.ts';
import { fillPage } from './page.ts';

const CHOICE = {
  scenarios: ['hot-50', 'hot-1', 'fanout-10', 'fanout-cursor-10'],
  contenders: ['hocuspocus-on-bun', 'hocuspocus-on-node', 'sharedb'],
};
const read = (...args: string[]) => readOptions(args, CHOICE);

test('without options everything is run three times in full', () => {
  const options = read();
  expect(options).toMatchObject({ runs: 3, size: 'full', trace: null, json: null, markdown: null });
  expect(CHOICE.scenarios.filter(options.wantsScenario)).toEqual(CHOICE.scenarios);
  expect(CHOICE.contenders.filter(options.wantsContender)).toEqual(CHOICE.contenders);
});

test('a choice is a name, or what names start with up to a hyphen', () => {
  const { wantsScenario, wantsContender } = read('--only=hot-1,fanout', '--against=hocuspocus');
  expect(CHOICE.scenarios.filter(wantsScenario)).toEqual(['hot-1', 'fanout-10', 'fanout-cursor-10']);
  expect(CHOICE.contenders.filter(wantsContender)).toEqual(['hocuspocus-on-bun', 'hocuspocus-on-node']);
  expect(CHOICE.scenarios.filter(read('--only=hot-1').wantsScenario)).toEqual(['hot-1']);
});

test('what makes no sense is refused with its name and the reason', () => {
  expect(() => read('--only=hot-5')).toThrow("--only: 'hot-5' is none of hot-50, hot-1");
  expect(() => read('--against=google')).toThrow("--against: 'google' is none of hocuspocus-on-bun");
  for (const runs of ['0', '21', '1.5', 'many', '']) expect(() => read(`--runs=${runs}`)).toThrow('--runs is a whole');
  expect(() => read('--trace=nowhere.json.gz')).toThrow('--trace: there is no file nowhere.json.gz');
  expect(() => read('--markdown=nowhere.md')).toThrow('--markdown: there is no file nowhere.md');
  expect(() => read('--json=')).toThrow('--json names no file');
  expect(() => read('--fast')).toThrow("'--fast'");
  expect(() => read('hot-50')).toThrow("'hot-50'");
});

test("a contender's name becomes what can be typed", () => {
  expect(slugOf('Hocuspocus on Bun')).toBe('hocuspocus-on-bun');
  expect(slugOf('concord, waiting for the disk')).toBe('concord-waiting-for-the-disk');
});

test('a run fills its own places of the page and leaves the others', () => {
  const page = 'Prose.\n<!-- begin a -->\nold\n<!-- end a -->\nMore.\n<!-- begin b -->\nkept\n<!-- end b -->\n';
  const filled = fillPage(page, new Map([['a', 'new']]));
  expect(filled).toBe(page.replace('old', 'new'));
  expect(fillPage(filled, new Map([['a', 'new']]))).toBe(filled);
  expect(() => fillPage(page, new Map([['c', 'new']]))).toThrow('the page has no place for c');
});

test('the page has a place for every scenario', async () => {
  const { allScenarios } = await import('./scenarios/all.ts');
  const names = ['machine', ...allScenarios(() => Promise.reject(new Error('not read'))).map((e) => e.scenario.name)];
  const page = await Bun.file(join(import.meta.dir, '..', 'docs', 'BENCHMARKS.md')).text();
  expect(() => fillPage(page, new Map(names.map((name) => [name, ''])))).not.toThrow();
});
