/**
 * docker-compose.yml and Dockerfile as Docker would read them, as far as the tests look at them: variables of the
 * environment filled in, anchors resolved.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../bin/lib/paths.ts';

/** A container of docker-compose.yml. */
export interface ComposeService {
  readonly image: string;
  readonly build?: string;
  readonly user?: string;
  readonly init?: boolean;
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly tmpfs?: readonly string[];
  readonly ports?: readonly string[];
  readonly networks?: readonly string[];
  readonly network_mode?: string;
  readonly restart?: string;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly cap_add?: readonly string[];
  readonly privileged?: boolean;
  readonly security_opt?: readonly string[];
  readonly stop_grace_period?: string;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
}

/** The file, read. */
export interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean } | null>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

/** Reads docker-compose.yml with these variables. */
export function readCompose(env: Readonly<Record<string, string>> = {}): Compose {
  return fillIn(Bun.YAML.parse(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8')), env) as Compose;
}

/** The container of this name; throws when there is none. */
export function containerOf(compose: Compose, name: string): ComposeService {
  const found = compose.services[name];
  if (found === undefined) throw new Error(`docker-compose.yml has no ${name}`);
  return found;
}

/** The file of this checkout that a path inside a container names through a mounted file; the path itself when none does. */
export function mountedFile({ volumes = [] }: ComposeService, path: string): string {
  const mounts = volumes.map((volume) => volume.split(':'));
  const source = mounts.find(([, target]) => target === path)?.[0];
  return source === undefined ? path : join(ROOT, source);
}

/** `$VARIABLE` in every string, as the Compose specification has it: `${NAME}`, `${NAME:-default}`, `$$`. */
function fillIn(value: unknown, env: Readonly<Record<string, string>>): unknown {
  if (typeof value === 'string')
    return value.replace(/\$(?:\$|\{(\w+)(?::-([^}]*))?\})/g, (whole, name: string | undefined, fallback = '') =>
      name === undefined ? whole.slice(1) : env[name] || fallback,
    );
  if (Array.isArray(value)) return value.map((item) => fillIn(item, env));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fillIn(item, env)]));
}

/** An instruction of the Dockerfile, its continued lines joined. */
export interface Instruction {
  readonly name: string;
  readonly rest: string;
}

/** The Dockerfile by instructions, comments left out. */
export function readDockerfile(): Instruction[] {
  const text = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .replace(/\\\n\s*/g, ' ');
  return text.split('\n').flatMap((line) => {
    const [, name, rest] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    return name === undefined || rest === undefined ? [] : [{ name, rest }];
  });
}

/** What the last stage of the Dockerfile sets with ENV. */
export function imageEnvironment(): Readonly<Record<string, string>> {
  const pairs = readDockerfile()
    .filter(({ name }) => name === 'ENV')
    .flatMap(({ rest }) => [...rest.matchAll(/(\w+)=(\S+)/g)]);
  return Object.fromEntries(pairs.map(([, name = '', value = '']) => [name, value]));
}

/** Whether the checkout has this file or folder. */
export function isThere(path: string): boolean {
  return existsSync(join(ROOT, path));
}
