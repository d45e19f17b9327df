/**
 * Every setting, where it comes from, what it means and what happens when it is wrong. The environment is read here and
 * nowhere else; a process with a bad setting does not start, and says which variable and why.
 */
import { LIMITS } from './protocol/limits.ts';
import {
  BLOCK_S_MAX,
  RATE_LIMITS,
  type Rate,
  type RateLimitKind,
  type RateLimitName,
  type RateLimitSettings,
} from './protocol/rate-limits.ts';

/** The four services that a process may run. */
export const SERVICES = ['users', 'documents', 'collaboration', 'worker'] as const;

/** One of {@link SERVICES}. */
export type Service = (typeof SERVICES)[number];

/** The settings of one process. */
export interface Config {
  /** Listen address. */
  readonly host: string;
  /** Listen port; 0 takes a free one. */
  readonly port: number;
  readonly database_url: string;
  /** Of a cluster it may be several addresses, between commas. */
  readonly redis_url: string;
  readonly redis_cluster: boolean;
  /** What runs here; the routes of anything else are 404. */
  readonly services: ReadonlySet<Service>;
  /** Name of this node in the actor directory; null draws a random one. */
  readonly node_id: string | null;
  /** HS256 key: the UTF-8 bytes of this text. */
  readonly jwt_secret: string;
  /** A second such key, whose tokens are good too while one takes the other's place. */
  readonly jwt_secret_previous: string | null;
  /** Who signs access tokens instead of us; null: nobody. */
  readonly identity_provider: IdentityProvider | null;
  readonly access_token_ttl_s: number;
  readonly refresh_token_ttl_s: number;
  /** Null for load tests only. */
  readonly rate_limits: RateLimitSettings | null;
  /** Days that the audit log is kept. Months go whole, so what is kept is up to a month more. */
  readonly audit_retention_days: number;
  readonly sentry_dsn: string | null;
  readonly log_level: string;
  /** Origins that browsers may call from; empty allows none but our own. */
  readonly cors_origins: readonly string[];
  /** Whether `X-Forwarded-For` and `X-Forwarded-Proto` are believed. */
  readonly trust_proxy: boolean;
  /** The size that a document may have: bytes of Yjs state, and 24 for each item. */
  readonly document_bytes_max: number;
  /** After this long without an edit a document gets an automatic version. */
  readonly version_pause_s: number;
  /** So many edits after its last version a document gets one even without a pause. */
  readonly version_edits: number;
  /** How often somebody looks at what background work is due. */
  readonly work_interval_s: number;
  /** A background job whose worker has not been heard of for this long is done by another. */
  readonly job_lost_s: number;
}

/** An organisation's own signer of access tokens. */
export interface IdentityProvider {
  /** Where its public keys are. */
  readonly jwks_url: string;
  /** The `iss` of its tokens. */
  readonly issuer: string;
  /** An `aud` that says that a token is for us. */
  readonly audience: string;
}

/** A setting that is missing or wrong. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';

  constructor(
    readonly variable: string,
    readonly reason: string,
    cause?: unknown,
  ) {
    super(`${variable} ${reason}`, { cause });
  }
}

/** The one setting that a tool beside the server needs. Throws {@link ConfigError} when it is missing or wrong. */
export function readDatabaseUrl(env: Environment = process.env): string {
  return url(env, 'DATABASE_URL', ['postgres:', 'postgresql:']);
}

/** The same for Redis; null when it is not set, since such a tool can do without. Throws {@link ConfigError} when wrong. */
export function readRedis(env: Environment = process.env): Pick<Config, 'redis_url' | 'redis_cluster'> | null {
  return text(env, 'REDIS_URL') === null ? null : redis(env);
}

type Environment = Readonly<Record<string, string | undefined>>;

const REDIS_PROTOCOLS = ['redis:', 'rediss:'];
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

/** Reads the settings. Throws {@link ConfigError} on the first that is missing or wrong. */
export function readConfig(env: Environment = process.env): Config {
  return {
    host: text(env, 'HOST') ?? '127.0.0.1',
    port: integer(env, 'PORT', 3000, 0, 65_535),
    database_url: readDatabaseUrl(env),
    ...redis(env),
    services: services(env),
    node_id: nodeId(env),
    jwt_secret: secret(env, 'JWT_SECRET') ?? missing('JWT_SECRET'),
    jwt_secret_previous: secret(env, 'JWT_SECRET_PREVIOUS'),
    identity_provider: identityProvider(env),
    access_token_ttl_s: integer(env, 'ACCESS_TOKEN_TTL', 900, 1, 86_400 * 30),
    refresh_token_ttl_s: integer(env, 'REFRESH_TOKEN_TTL', 2_592_000, 1, 86_400 * 3650),
    rate_limits: rateLimits(env),
    audit_retention_days: integer(env, 'AUDIT_RETENTION_DAYS', 400, 30, 36_500),
    sentry_dsn: env.SENTRY_DSN ? url(env, 'SENTRY_DSN', ['https:', 'http:']) : null,
    log_level: choice(env, 'LOG_LEVEL', LOG_LEVELS, 'info'),
    cors_origins: origins(env),
    trust_proxy: choice(env, 'TRUST_PROXY', ['on', 'off'], 'off') === 'on',
    document_bytes_max: integer(
      env,
      'DOCUMENT_BYTES_MAX',
      LIMITS.document_bytes_default,
      LIMITS.document_bytes_min,
      LIMITS.document_bytes_max,
    ),
    version_pause_s: integer(env, 'VERSION_PAUSE_SECONDS', 300, 1, 86_400),
    version_edits: integer(env, 'VERSION_EDITS', 500, 1, 10_000),
    work_interval_s: integer(env, 'WORK_INTERVAL_SECONDS', 30, 1, 3_600),
    job_lost_s: integer(env, 'JOB_LOST_SECONDS', 15, 3, 600),
  };
}

function text(env: Environment, name: string): string | null {
  const value = env[name]?.trim();
  return value === undefined || value === '' ? null : value;
}

function integer(env: Environment, name: string, fallback: number, min: number, max: number): number {
  const raw = text(env, name);
  if (raw === null) return fallback;
  const value = /^\d+$/.test(raw) ? Number(raw) : Number.NaN;
  if (!(value >= min && value <= max)) throw new ConfigError(name, `must be a whole number from ${min} to ${max}`);
  return value;
}

function choice(env: Environment, name: string, allowed: readonly string[], fallback: string): string {
  const value = text(env, name) ?? fallback;
  if (!allowed.includes(value)) throw new ConfigError(name, `must be one of ${allowed.join(', ')}`);
  return value;
}

/** Every limit is read, so that one which is wrong is found before the limits are turned on. */
function rateLimits(env: Environment): RateLimitSettings | null {
  const rates = Object.fromEntries(
    Object.entries<RateLimitKind>(RATE_LIMITS).map(([name, kind]) => [name, rate(env, kind)]),
  ) as Record<RateLimitName, Rate>;
  const settings = {
    rates,
    sockets_unauthenticated_max: integer(env, 'SOCKETS_UNAUTHENTICATED_MAX', 1_000, 1, 1_000_000),
    block_s: integer(env, 'SIGN_IN_BLOCK_SECONDS', 30, 1, BLOCK_S_MAX),
  };
  return choice(env, 'RATE_LIMITS', ['on', 'off'], 'on') === 'on' ? settings : null;
}

/** `count/seconds`. */
function rate(env: Environment, { variable, count, window_s, count_min = 1 }: RateLimitKind): Rate {
  const raw = text(env, variable);
  if (raw === null) return { count, window_s };
  const [, counted, seconds] = /^(\d{1,12})\/(\d{1,5})$/.exec(raw) ?? [];
  const asked = { count: Number(counted), window_s: Number(seconds) };
  if (!(asked.count >= count_min && asked.window_s >= 1 && asked.window_s <= 86_400))
    throw new ConfigError(
      variable,
      `must be such as ${count}/${window_s}: at least ${count_min} in 1 to 86400 seconds`,
    );
  return asked;
}

function url(env: Environment, name: string, protocols: readonly string[]): string {
  const raw = text(env, name);
  if (raw === null) throw new ConfigError(name, 'is required');
  if (!URL.canParse(raw) || !protocols.includes(new URL(raw).protocol))
    throw new ConfigError(name, `must be a URL that begins with ${protocols.map((p) => `${p}//`).join(' or ')}`);
  return raw;
}

function redis(env: Environment): Pick<Config, 'redis_url' | 'redis_cluster'> {
  const redis_cluster = choice(env, 'REDIS_CLUSTER', ['on', 'off'], 'off') === 'on';
  if (!redis_cluster) {
    const redis_url = url(env, 'REDIS_URL', REDIS_PROTOCOLS);
    if (/,\s*rediss?:/.test(redis_url))
      throw new ConfigError('REDIS_URL', 'names several servers without REDIS_CLUSTER=on');
    return { redis_url, redis_cluster };
  }
  const named = (text(env, 'REDIS_URL') ?? '').split(',').map((one) => one.trim());
  for (const one of named) {
    const { pathname } = new URL(url({ REDIS_URL: one }, 'REDIS_URL', REDIS_PROTOCOLS));
    if (!['', '/', '/0'].includes(pathname))
      throw new ConfigError('REDIS_URL', 'names a database; a cluster has only one');
  }
  return { redis_url: named.join(','), redis_cluster };
}

/** Blanks count: it is bytes, not words. */
function secret(env: Environment, name: string): string | null {
  const value = env[name];
  if (value === undefined || value === '') return null;
  if (new TextEncoder().encode(value).length < 32) throw new ConfigError(name, 'must be at least 32 bytes long');
  return value;
}

function missing(name: string, reason = 'is required'): never {
  throw new ConfigError(name, reason);
}

/** All three, or none: with one of them missing, tokens of others would be good. */
function identityProvider(env: Environment): IdentityProvider | null {
  const names = ['AUTH_JWKS_URL', 'AUTH_ISSUER', 'AUTH_AUDIENCE'];
  if (names.every((name) => text(env, name) === null)) return null;
  const [, issuer = '', audience = ''] = names.map(
    (name) => text(env, name) ?? missing(name, `is required with ${names.join(', ')}`),
  );
  return { jwks_url: url(env, 'AUTH_JWKS_URL', ['https:', 'http:']), issuer, audience };
}

function nodeId(env: Environment): string | null {
  const value = text(env, 'NODE_ID');
  if (value !== null && !/^[A-Za-z0-9._-]{1,64}$/.test(value))
    throw new ConfigError('NODE_ID', 'must be 1 to 64 letters, digits, dots, dashes or underscores');
  return value;
}

function services(env: Environment): ReadonlySet<Service> {
  const raw = text(env, 'SERVICES') ?? 'all';
  const named = raw.split(',').map((name) => name.trim());
  if (named.length === 1 && named[0] === 'all') return new Set(SERVICES);
  for (const name of named)
    if (!SERVICES.some((service) => service === name))
      throw new ConfigError('SERVICES', `names '${name}'; it takes all, or a comma list of ${SERVICES.join(', ')}`);
  return new Set(SERVICES.filter((service) => named.includes(service)));
}

function origins(env: Environment): readonly string[] {
  const list = (text(env, 'CORS_ORIGINS') ?? '').split(',').map((origin) => origin.trim());
  const named = list.filter((origin) => origin !== '');
  for (const origin of named)
    if (!URL.canParse(origin) || new URL(origin).origin !== origin)
      throw new ConfigError('CORS_ORIGINS', `holds '${origin}', which is not an origin such as https://example.org`);
  return named;
}
