/**
 * The service `users`: accounts, sign-in, sessions. Its routes are `/v1/auth` and `/v1/users`. The parts are made in
 * every process, because every door asks them who is calling; the routes are served only where the service runs.
 */
import type { Signals } from '../actors/gateway.ts';
import { Accounts } from '../domain/accounts.ts';
import { ForeignTokens } from '../domain/foreign-tokens.ts';
import { IssuerKeys } from '../domain/issuer-keys.ts';
import { Passwords } from '../domain/passwords.ts';
import { Sessions } from '../domain/sessions.ts';
import { AccessTokens } from '../domain/tokens.ts';
import { SessionCache } from '../store/sessions-cache.ts';
import type { NodeParts } from './node.ts';

/** Who people are, and whether they are signed in. */
export interface UserService {
  readonly accounts: Accounts;
  readonly sessions: Sessions;
  /** The identity provider that signs people in instead of us; null: we do. */
  readonly issuer: string | null;
}

/** Makes the parts. */
export function createUserService(node: NodeParts, signals: Signals): UserService {
  const { sql, clock, random, redis, config } = node;
  const tokens = new AccessTokens({
    clock,
    random,
    secret: config.jwt_secret,
    other_secret: config.jwt_secret_previous,
    ttl_s: config.access_token_ttl_s,
  });
  const cache = new SessionCache(redis.commands, clock, config.access_token_ttl_s);
  const refresh_ttl_s = config.refresh_token_ttl_s;
  const foreign = foreignTokens(node);
  const sessions = new Sessions({ sql, clock, random, tokens, foreign, cache, signals, refresh_ttl_s });
  const accounts = new Accounts({ sql, clock, random, passwords: new Passwords(random), sessions, signals });
  return { accounts, sessions, issuer: config.identity_provider?.issuer ?? null };
}

function foreignTokens({ sql, clock, random, log, config }: NodeParts): ForeignTokens | null {
  if (config.identity_provider === null) return null;
  const { jwks_url, issuer, audience } = config.identity_provider;
  const keys = new IssuerKeys({ clock, log, url: jwks_url });
  return new ForeignTokens({ sql, clock, random, keys, issuer, audience });
}
