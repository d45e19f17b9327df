/**
 * The rules of the house that neither the compiler nor the linter knows. Each failure names the file and what to do instead.
 */
import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { ROOT } from '../bin/lib/paths.ts';

/** From the ground up. What stands on one line may import what stands above it, and never what stands beside it. */
const FLOORS: readonly (readonly string[])[] = [
  ['base'],
  ['protocol'],
  ['store'],
  ['actors'],
  ['domain'],
  ['http', 'ws', 'workers'],
  // Settings are handed down: no part reads them by itself.
  ['config'],
  ['services'],
  ['main', 'admin'],
];

/** What only one file may do, so that tests can drive it, and what all others use instead. */
const BANNED: readonly { what: string; found: RegExp; home: string; instead: string }[] = [
  { what: 'console', found: /(?<![.\w])console\b/, home: 'src/base/log.ts', instead: 'the log of src/base/log.ts' },
  {
    what: 'the environment',
    found: /\bprocess\.env\b|\bBun\.env\b|\bimport\.meta\.env\b/,
    home: 'src/config.ts',
    instead: 'a setting of src/config.ts, handed down',
  },
  {
    what: 'the wall clock',
    found: /\bDate\.now\b|\bnew Date(?!\s*\(\s*[^)\s])/,
    home: 'src/base/clock.ts',
    instead: 'Clock.now() of src/base/clock.ts',
  },
  {
    what: 'the monotonic clock',
    found: /\bperformance\.(now|timeOrigin)\b|\bprocess\.hrtime\b|\bBun\.nanoseconds\b/,
    home: 'src/base/clock.ts',
    instead: 'Clock.monotonic() of src/base/clock.ts',
  },
  {
    what: 'a timer',
    // Not a method that is called so, as in the clock that a library is handed.
    found:
      /(?<![.\w])(setTimeout|setInterval|setImmediate)\b(?!\([^()]*\)\s*\{)|\bBun\.sleep\b|\bAbortSignal\.timeout\b/,
    home: 'src/base/clock.ts',
    instead: 'Clock.after(), every() or endOfTurn() of src/base/clock.ts',
  },
  {
    what: 'chance',
    found: /\bMath\.random\b|\brandomUUID(v7)?\b|\bgetRandomValues\b|\brandomBytes\b/i,
    home: 'src/base/random.ts',
    instead: 'Random of src/base/random.ts',
  },
];

/** Packages that one floor hides from all others. */
const HOMES: Readonly<Record<string, string>> = {
  postgres: 'src/store/',
  'rate-limiter-flexible': 'src/store/',
  elysia: 'src/http/',
  bullmq: 'src/workers/',
  '@bull-board/api': 'src/workers/',
  xstate: 'src/actors/',
  pino: 'src/base/',
  'prom-client': 'src/base/',
  '@sentry/bun': 'src/base/',
};

const LINES_MAX = 400;
const REASON_WITHIN_LINES = 60;

const sources = filesOf('src/**/*.ts').filter((file) => !file.endsWith('.test.ts') && !file.endsWith('.d.ts'));
const texts = new Map(sources.map((file) => [file, readFileSync(join(ROOT, file), 'utf8')]));
const imports = new Map(sources.map((file) => [file, importsOf(file)]));

describe('imports', () => {
  test('every file of src/ stands on a floor', () => {
    const homeless = sources.filter((file) => floorOf(file) < 0);
    expect(homeless.map((file) => `${file}: add ${nameOf(file)} to FLOORS in test/tidy.test.ts`)).toEqual([]);
  });

  test('imports point down', () => {
    const wrong = eachImport((file, target) => {
      if (!target.startsWith('src/') || nameOf(file) === nameOf(target)) return null;
      if (floorOf(target) < floorOf(file)) return null;
      const how = floorOf(target) === floorOf(file) ? 'stands beside it' : 'stands above it';
      return `${file} imports ${target}, which ${how}: have it handed in, or move what both need down to a lower floor`;
    });
    expect(wrong).toEqual([]);
  });

  test('src/ imports nothing of this repository but src/ and package.json', () => {
    const wrong = eachImport((file, target) =>
      target.startsWith('src/') || target === 'package.json' || !target.includes('.')
        ? null
        : `${file} imports ${target}: what the server needs belongs into src/`,
    );
    expect(wrong).toEqual([]);
  });

  test('no file imports itself through others', () => {
    expect(circles().map((circle) => `${circle.join(' -> ')}: move what they share into a file of its own`)).toEqual(
      [],
    );
  });

  test('a package is used on its own floor only', () => {
    const wrong = eachImport((file, target) => {
      const home = HOMES[target];
      return home === undefined || file.startsWith(home)
        ? null
        : `${file} imports ${target}, which only ${home} may: give ${home} a function that does what is needed`;
    });
    expect(wrong).toEqual([]);
  });
});

describe('what only one file may use', () => {
  test.each(BANNED.map((rule) => [rule.what, rule] as const))('%s', (_, { found, home, instead }) => {
    const wrong = sources
      .filter((file) => file !== home)
      .flatMap((file) => {
        const hit = found.exec(codeOf(file));
        return hit ? [`${file} uses ${hit[0]}: use ${instead}`] : [];
      });
    expect(wrong).toEqual([]);
  });
});

test(`a file of src/ has at most ${LINES_MAX} lines, or says in a comment "Long because" why not`, () => {
  const wrong = sources.flatMap((file) => {
    const lines = (texts.get(file) ?? '').trimEnd().split('\n');
    const excused = lines.slice(0, REASON_WITHIN_LINES).some((line) => line.trimStart().startsWith('// Long because'));
    return lines.length > LINES_MAX && !excused ? [`${file} has ${lines.length} lines: split it`] : [];
  });
  expect(wrong).toEqual([]);
});

test('no file names a folder of the machine it was written on', () => {
  // Written in pieces, so that this file does not find itself.
  const places = ['/wo' + 'rk/', '/ho' + 'me/[a-z]', '/Us' + 'ers/[A-Za-z]', '/ro' + 'ot/'];
  const found = new RegExp(`(?<![\\w.])(${places.join('|')})`);
  const written = ['*', '{src,test,bin,bench,client,web,docs,deploy,sql,patches,.ci}/**/*'].flatMap(filesOf);
  const wrong = written
    .filter((file) => !/\.(gz|zst|png|ico|woff2?)$|^bun\.lock$/.test(file))
    .flatMap((file) => {
      const hit = found.exec(readFileSync(join(ROOT, file), 'utf8'));
      return hit ? [`${file} names ${hit[0]}: use a path relative to the repository`] : [];
    });
  expect(wrong).toEqual([]);
});

test('the pinned version of Bun is one version everywhere', () => {
  const pinned = /^BUN_VERSION=(.*)$/m.exec(read('bin/lib/bun.sh'))?.[1] ?? '';
  const packages = JSON.parse(read('package.json'));
  expect(pinned).toMatch(/^\d+\.\d+\.\d+$/);
  expect(packages.engines.bun).toBe(`>=${pinned}`);
  expect(packages.devDependencies['@types/bun']).toBe(pinned);
  for (const [, image] of read('Dockerfile').matchAll(/^FROM oven\/bun:([\d.]+)/gm)) expect(image).toBe(pinned);
});

test('no package runs a script when it is installed: without this list Bun trusts some names of its own', () => {
  expect(JSON.parse(read('package.json')).trustedDependencies).toEqual([]);
});

test('the page takes of Quill the core and what it names, and none of the formats whose HTML export is not safe', () => {
  const taken = filesOf('web/*.ts').flatMap((file) =>
    [...read(file).matchAll(/\bfrom '(quill(?:\/[^']*)?)'/g)].map(([, name]) => name ?? ''),
  );
  expect(taken).toContain('quill/core');
  // CVE-2025-15056, of which no release is free.
  const unsafe = /^quill$|^quill\/(quill|formats\/(video|formula)|modules\/syntax)/;
  expect(taken.filter((name) => unsafe.test(name))).toEqual([]);
});

function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

function filesOf(pattern: string): string[] {
  const found = new Bun.Glob(pattern).scanSync({ cwd: ROOT, dot: true, onlyFiles: true });
  // Packages are others' work, wherever in the tree they are installed.
  return [...found].filter((file) => !file.includes('node_modules/')).sort();
}

/** `store` for src/store/heads.ts, `main` for src/main.ts. */
function nameOf(file: string): string {
  return file.split('/')[1]?.replace(/\.ts$/, '') ?? '';
}

function floorOf(file: string): number {
  return FLOORS.findIndex((floor) => floor.includes(nameOf(file)));
}

/** The code without types and comments, as Bun would run it. */
function codeOf(file: string): string {
  return new Bun.Transpiler({ loader: 'ts' }).transformSync(texts.get(file) ?? '');
}

/** All that a file imports, types included: files as paths from the root of the repository, packages by name. */
function importsOf(file: string): string[] {
  const statements = /^(?:import|export)\s(?:[^'";]*?\sfrom\s*)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm;
  return [...(texts.get(file) ?? '').matchAll(statements)].map((match) => {
    const target = match[1] ?? match[2] ?? '';
    return target.startsWith('.') ? normalize(join(dirname(file), target)) : target;
  });
}

function eachImport(judge: (file: string, target: string) => string | null): string[] {
  return [...imports].flatMap(([file, targets]) => targets.flatMap((target) => judge(file, target) ?? []));
}

/** Every circle once, found by walking the imports depth first: an import of a file that is still being walked closes one. */
function circles(): string[][] {
  const found: string[][] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const walk = (file: string): void => {
    if (done.has(file)) return;
    const at = path.indexOf(file);
    if (at >= 0) {
      found.push([...path.slice(at), file]);
      return;
    }
    path.push(file);
    for (const target of imports.get(file) ?? []) if (imports.has(target)) walk(target);
    path.pop();
    done.add(file);
  };
  for (const file of sources) walk(file);
  return found;
}
