import { expect, test } from 'bun:test';
import { createLog, describeError } from './log.ts';
import { REDACTED, SECRET_KEYS } from './secrets.ts';

function logTo(level = 'info') {
  const written: string[] = [];
  const destination = { write: (line: string) => void written.push(line) };
  const log = createLog({ level, service: 'users,documents', node_id: 'node-1', destination });
  return { log, lines: () => written.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

test('a line is JSON with timestamp, level by name, service, node and the context of its caller', () => {
  const { log, lines } = logTo();
  log.child({ request_id: 'r-1', user_id: 'u-1' }).info({ doc_id: 'd-1' }, 'something happened');
  const [line] = lines();
  expect(line).toEqual({
    level: 'info',
    timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    service: 'users,documents',
    node_id: 'node-1',
    request_id: 'r-1',
    user_id: 'u-1',
    doc_id: 'd-1',
    message: 'something happened',
  });
});

test('what is below the level is not written', () => {
  const { log, lines } = logTo('warn');
  log.info('no');
  log.warn('yes');
  expect(lines().map((line) => line.message)).toEqual(['yes']);
});

test('without a destination lines go to stdout', async () => {
  const script = `import { createLog } from '${import.meta.dir}/log.ts';
    createLog({ level: 'info', service: 'all', node_id: 'n' }).info('to stdout');`;
  const child = Bun.spawn([process.execPath, '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const out = await new Response(child.stdout).text();
  expect(JSON.parse(out)).toMatchObject({ message: 'to stdout', service: 'all' });
});

test('a secret is replaced at the top and up to two levels down', () => {
  const { log, lines } = logTo();
  for (const key of SECRET_KEYS) {
    log.info({ [key]: 'hunter2' }, 'top');
    log.info({ body: { [key]: 'hunter2' } }, 'one down');
    log.info({ request: { headers: { [key]: 'hunter2' } } }, 'two down');
  }
  expect(lines()).toHaveLength(SECRET_KEYS.length * 3);
  const text = JSON.stringify(lines());
  expect(text).not.toContain('hunter2');
  expect(text.split(REDACTED)).toHaveLength(SECRET_KEYS.length * 3 + 1);
});

test('an error is logged with its name, message, code and stack, and nothing that a driver attached', () => {
  const { log, lines } = logTo();
  const error = Object.assign(new TypeError('broken'), {
    code: '23505',
    parameters: ['the text of a user'],
    query: 'q',
  });
  log.error({ error }, 'failed');
  const logged = lines()[0]?.error as Record<string, unknown>;
  expect(logged).toEqual({
    name: 'TypeError',
    message: 'broken',
    code: '23505',
    stack: expect.stringContaining('broken') as unknown,
  });
});

test('whatever else is thrown is described too', () => {
  expect(describeError('a string')).toEqual({ name: 'thrown', message: 'a string' });
  expect(describeError(undefined)).toEqual({ name: 'thrown', message: 'undefined' });
  const bare = new Error('no stack');
  delete bare.stack;
  expect(describeError(Object.assign(bare, { code: 7 }))).toEqual({ name: 'Error', message: 'no stack' });
});

test('no token in an address reaches the log within an error, nor does the password of a database', () => {
  const described = describeError(new Error('GET /v1/yjs/1?token=abc.def failed'));
  expect(JSON.stringify(described)).not.toContain('abc.def');
  const away = new Error('connect to postgres://concord:hunter2@db/concord failed');
  expect(JSON.stringify(describeError(away))).not.toContain('hunter2');
  expect(describeError('password=hunter2')).toEqual({ name: 'thrown', message: `password=${REDACTED}` });
});
