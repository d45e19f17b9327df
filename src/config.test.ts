import { describe, expect, test } from 'bun:test';
import { ConfigError, readConfig, readDatabaseUrl, SERVICES } from './config.ts';
import { LIMITS } from './protocol/limits.ts';
import { RATE_LIMITS, type Rate, type RateLimitKind, type RateLimitName } from './protocol/rate-limits.ts';

const REQUIRED = {
  DATABASE_URL: 'postgres://concord@127.0.0.1:5432/concord',
  REDIS_URL: 'redis://127.0.0.1:6379',
  JWT_SECRET: 'x'.repeat(32),
};

const ALL_THREE = 'is required with AUTH_JWKS_URL, AUTH_ISSUER, AUTH_AUDIENCE';

function refusal(env: Record<string, string | undefined>): ConfigError {
  try {
    readConfig({ ...REQUIRED, ...env });
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error(`accepted ${JSON.stringify(env)}`);
}

test('with the required settings alone everything else has its documented default', () => {
  expect(readConfig(REQUIRED)).toEqual({
    host: '127.0.0.1',
    port: 3000,
    database_url: REQUIRED.DATABASE_URL,
    redis_url: REQUIRED.REDIS_URL,
    redis_cluster: false,
    services: new Set(SERVICES),
    node_id: null,
    jwt_secret: REQUIRED.JWT_SECRET,
    jwt_secret_previous: null,
    identity_provider: null,
    access_token_ttl_s: 900,
    refresh_token_ttl_s: 2_592_000,
    rate_limits: {
      rates: Object.fromEntries(
        Object.entries(RATE_LIMITS).map(([name, { count, window_s }]) => [name, { count, window_s }]),
      ) as Record<RateLimitName, Rate>,
      sockets_unauthenticated_max: 1_000,
      block_s: 30,
    },
    sentry_dsn: null,
    log_level: 'info',
    cors_origins: [],
    trust_proxy: false,
    version_pause_s: 300,
    version_edits: 500,
    work_interval_s: 30,
    job_lost_s: 15,
    audit_retention_days: 400,
    document_bytes_max: 33_554_432,
  });
});

test('every setting is read from its variable', () => {
  const config = readConfig({
    DATABASE_URL: 'postgresql://db/concord',
    REDIS_URL: 'rediss://cache:6380, rediss://other:6381/0',
    REDIS_CLUSTER: 'on',
    JWT_SECRET: '€'.repeat(11),
    JWT_SECRET_PREVIOUS: ' '.repeat(32),
    HOST: ' 0.0.0.0 ',
    PORT: '0',
    SERVICES: 'worker, users,worker',
    NODE_ID: 'node-1.eu_west',
    AUTH_JWKS_URL: 'https://id.example.org/keys',
    AUTH_ISSUER: 'https://id.example.org/',
    AUTH_AUDIENCE: ' concord-of-example ',
    ACCESS_TOKEN_TTL: '60',
    REFRESH_TOKEN_TTL: '3600',
    RATE_LIMITS: 'off',
    SENTRY_DSN: 'https://key@sentry.example.org/1',
    LOG_LEVEL: 'debug',
    CORS_ORIGINS: 'https://a.example.org, http://localhost:5173,',
    TRUST_PROXY: 'on',
    VERSION_PAUSE_SECONDS: '2',
    VERSION_EDITS: '10',
    WORK_INTERVAL_SECONDS: '1',
    JOB_LOST_SECONDS: '3',
    AUDIT_RETENTION_DAYS: '30',
    DOCUMENT_BYTES_MAX: '65536',
  });
  expect(config).toEqual({
    database_url: 'postgresql://db/concord',
    redis_url: 'rediss://cache:6380,rediss://other:6381/0',
    redis_cluster: true,
    jwt_secret: '€'.repeat(11),
    jwt_secret_previous: ' '.repeat(32),
    host: '0.0.0.0',
    port: 0,
    services: new Set(['users', 'worker'] as const),
    node_id: 'node-1.eu_west',
    identity_provider: {
      jwks_url: 'https://id.example.org/keys',
      issuer: 'https://id.example.org/',
      audience: 'concord-of-example',
    },
    access_token_ttl_s: 60,
    refresh_token_ttl_s: 3_600,
    rate_limits: null,
    sentry_dsn: 'https://key@sentry.example.org/1',
    log_level: 'debug',
    cors_origins: ['https://a.example.org', 'http://localhost:5173'],
    trust_proxy: true,
    version_pause_s: 2,
    version_edits: 10,
    work_interval_s: 1,
    job_lost_s: 3,
    audit_retention_days: 30,
    document_bytes_max: 65_536,
  });
});

test('an empty variable counts as absent', () => {
  const empty = { HOST: '', PORT: ' ', SERVICES: '', NODE_ID: '', SENTRY_DSN: '', LOG_LEVEL: '', CORS_ORIGINS: '' };
  expect(readConfig({ ...REQUIRED, ...empty })).toEqual(readConfig(REQUIRED));
});

describe('what is missing or wrong stops the start, by the name of the variable and the reason', () => {
  const wrong: [string, Record<string, string | undefined>, string][] = [
    ['DATABASE_URL', { DATABASE_URL: undefined }, 'is required'],
    ['DATABASE_URL', { DATABASE_URL: ' ' }, 'is required'],
    [
      'DATABASE_URL',
      { DATABASE_URL: 'mysql://db/concord' },
      'must be a URL that begins with postgres:// or postgresql://',
    ],
    ['DATABASE_URL', { DATABASE_URL: 'not a url' }, 'must be a URL'],
    ['REDIS_URL', { REDIS_URL: undefined }, 'is required'],
    ['REDIS_URL', { REDIS_URL: 'http://127.0.0.1' }, 'must be a URL that begins with redis:// or rediss://'],
    ['REDIS_URL', { REDIS_URL: 'redis://a,redis://b' }, 'names several servers without REDIS_CLUSTER=on'],
    ['REDIS_CLUSTER', { REDIS_CLUSTER: 'yes' }, 'must be one of on, off'],
    ['REDIS_URL', { REDIS_URL: undefined, REDIS_CLUSTER: 'on' }, 'is required'],
    ['REDIS_URL', { REDIS_URL: 'redis://a,http://b', REDIS_CLUSTER: 'on' }, 'must be a URL that begins with redis://'],
    ['REDIS_URL', { REDIS_URL: 'redis://a,redis://b/2', REDIS_CLUSTER: 'on' }, 'names a database'],
    ['JWT_SECRET', { JWT_SECRET: undefined }, 'is required'],
    ['JWT_SECRET', { JWT_SECRET: '' }, 'is required'],
    ['JWT_SECRET', { JWT_SECRET: 'x'.repeat(31) }, 'must be at least 32 bytes long'],
    ['AUTH_ISSUER', { AUTH_JWKS_URL: 'https://id.example.org/keys', AUTH_AUDIENCE: 'a' }, ALL_THREE],
    ['AUTH_AUDIENCE', { AUTH_JWKS_URL: 'https://id.example.org/keys', AUTH_ISSUER: 'a' }, ALL_THREE],
    ['AUTH_JWKS_URL', { AUTH_AUDIENCE: 'a' }, ALL_THREE],
    [
      'AUTH_JWKS_URL',
      { AUTH_JWKS_URL: 'file:///keys', AUTH_ISSUER: 'a', AUTH_AUDIENCE: 'a' },
      'must be a URL that begins with https:// or http://',
    ],
    ['JWT_SECRET_PREVIOUS', { JWT_SECRET_PREVIOUS: 'x'.repeat(31) }, 'must be at least 32 bytes long'],
    ['PORT', { PORT: '65536' }, 'must be a whole number from 0 to 65535'],
    ['PORT', { PORT: '-1' }, 'must be a whole number'],
    ['PORT', { PORT: '80.5' }, 'must be a whole number'],
    ['PORT', { PORT: '0x50' }, 'must be a whole number'],
    ['ACCESS_TOKEN_TTL', { ACCESS_TOKEN_TTL: '0' }, 'must be a whole number from 1'],
    ['ACCESS_TOKEN_TTL', { ACCESS_TOKEN_TTL: String(86_400 * 30 + 1) }, 'to 2592000'],
    ['REFRESH_TOKEN_TTL', { REFRESH_TOKEN_TTL: '1e3' }, 'must be a whole number'],
    ['SERVICES', { SERVICES: 'users,everything' }, "names 'everything'"],
    ['SERVICES', { SERVICES: 'all,users' }, "names 'all'"],
    ['SERVICES', { SERVICES: 'users,,worker' }, "names ''"],
    ['NODE_ID', { NODE_ID: 'node 1' }, 'must be 1 to 64'],
    ['NODE_ID', { NODE_ID: 'n'.repeat(65) }, 'must be 1 to 64'],
    ['RATE_LIMITS', { RATE_LIMITS: 'true' }, 'must be one of on, off'],
    ['TRUST_PROXY', { TRUST_PROXY: '1' }, 'must be one of on, off'],
    ['LOG_LEVEL', { LOG_LEVEL: 'verbose' }, 'must be one of trace'],
    ['SENTRY_DSN', { SENTRY_DSN: 'key@sentry' }, 'must be a URL that begins with https:// or http://'],
    ['CORS_ORIGINS', { CORS_ORIGINS: 'https://a.example.org/path' }, 'is not an origin'],
    ['CORS_ORIGINS', { CORS_ORIGINS: '*' }, "holds '*'"],
  ];
  for (const [variable, env, reason] of wrong)
    test(`${variable}=${JSON.stringify(Object.values(env)[0])?.slice(0, 40)}`, () => {
      const error = refusal(env);
      expect(error.variable).toBe(variable);
      expect(error.message).toStartWith(`${variable} `);
      expect(error.reason).toContain(reason);
    });

  test('no refusal shows a secret or the password of an address', () => {
    expect(refusal({ JWT_SECRET: 'hunter2' }).message).not.toContain('hunter2');
    expect(refusal({ DATABASE_URL: 'mysql://concord:hunter2@db/x' }).message).not.toContain('hunter2');
    expect(refusal({ REDIS_URL: 'http://:hunter2@cache' }).message).not.toContain('hunter2');
  });
});

test('limits of numbers are at the named bounds', () => {
  expect(readConfig({ ...REQUIRED, PORT: '65535' }).port).toBe(65_535);
  expect(readConfig({ ...REQUIRED, ACCESS_TOKEN_TTL: '1' }).access_token_ttl_s).toBe(1);
  expect(readConfig({ ...REQUIRED, ACCESS_TOKEN_TTL: String(86_400 * 30) }).access_token_ttl_s).toBe(2_592_000);
  expect(readConfig({ ...REQUIRED, NODE_ID: 'n'.repeat(64) }).node_id).toHaveLength(64);
  for (const bytes of [LIMITS.document_bytes_min, LIMITS.document_bytes_max])
    expect(readConfig({ ...REQUIRED, DOCUMENT_BYTES_MAX: String(bytes) }).document_bytes_max).toBe(bytes);
  for (const bytes of [LIMITS.document_bytes_min - 1, LIMITS.document_bytes_max + 1])
    expect(() => readConfig({ ...REQUIRED, DOCUMENT_BYTES_MAX: String(bytes) })).toThrow('DOCUMENT_BYTES_MAX');
});

test('a tool beside the server reads the database address alone', () => {
  expect(readDatabaseUrl({ DATABASE_URL: 'postgres://db/concord' })).toBe('postgres://db/concord');
  expect(() => readDatabaseUrl({})).toThrow(new ConfigError('DATABASE_URL', 'is required'));
});

test('every rate limit is read from its variable', () => {
  const kinds = Object.entries<RateLimitKind>(RATE_LIMITS);
  const env = Object.fromEntries(
    kinds.map(([, { variable, count_min = 1 }], i) => [variable, `${count_min + i}/${i + 1}`]),
  );
  const settings = readConfig({
    ...REQUIRED,
    ...env,
    SOCKETS_UNAUTHENTICATED_MAX: '7',
    SIGN_IN_BLOCK_SECONDS: '3',
  }).rate_limits;
  const rates = kinds.map(([name, { count_min = 1 }], i) => [name, { count: count_min + i, window_s: i + 1 }]);
  expect(settings).toEqual({ rates: Object.fromEntries(rates), sockets_unauthenticated_max: 7, block_s: 3 });
});

test.each([
  ['RATE_LIMIT_USER', '100', 'must be such as 12000/60: at least 1 in 1 to 86400 seconds'],
  ['RATE_LIMIT_USER', '0/60', 'must be such as 12000/60: at least 1 in 1 to 86400 seconds'],
  ['RATE_LIMIT_USER', '10/86401', 'must be such as 12000/60: at least 1 in 1 to 86400 seconds'],
  ['RATE_LIMIT_SOCKET_BYTES', '8388607/1', 'must be such as 67108864/32: at least 8388608 in 1 to 86400 seconds'],
  ['SIGN_IN_BLOCK_SECONDS', '3601', 'must be a whole number from 1 to 3600'],
])('%s=%s is refused, with limits off too', (variable, value, reason) => {
  expect(refusal({ [variable]: value, RATE_LIMITS: 'off' })).toMatchObject({ variable, reason });
});
