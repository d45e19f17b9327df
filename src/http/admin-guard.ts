/**
 * Who gets to the dashboard: admins, and whether somebody is one is asked at every request. A browser shows the cookie of
 * its session, a program its bearer token.
 *
 * A browser adds a cookie to requests by itself, so the cookie must not count when another site's page made the browser
 * ask. It is `SameSite=Strict`; and a request that changes something must besides come from a page of this very origin,
 * which browsers tell in `Sec-Fetch-Site` or else in `Origin`, both beyond the reach of a page's script. What sends
 * neither is no browser, and has no cookies that it does not know of. (The same rule as Go's CrossOriginProtection.)
 */
import type { DashboardCaller, DashboardSessions } from '../domain/dashboard-sessions.ts';
import { ConcordError } from '../protocol/errors.ts';
import { admit, type EndpointServices } from './endpoint.ts';
import { exchangeOf } from './request.ts';

/** Where the pages for signing in and out are; the dashboard is below it. */
export const ADMIN_PATH = '/admin';
/** Where the dashboard is. */
export const BOARD_PATH = '/admin/queues';

const COOKIE = 'concord_admin';
/** A refresh token: 32 bytes in base64url. */
const COOKIE_VALUE = new RegExp(`(?:^|;)\\s*${COOKIE}=([A-Za-z0-9_-]{43})\\s*(?:;|$)`);

/** What the guard asks. */
export interface GuardParts extends EndpointServices {
  readonly dashboard: DashboardSessions;
  /** Whether `X-Forwarded-Proto` is believed. */
  readonly trust_proxy: boolean;
}

/** Whose cookie the request shows, admin or not; null when it shows none, or one whose session is over. */
export async function cookieCaller(request: Request, parts: GuardParts): Promise<DashboardCaller | null> {
  const token = cookieToken(request);
  const caller = token === null ? null : await parts.dashboard.find(token);
  if (caller !== null) exchangeOf(request).user_id = caller.user_id;
  return caller;
}

/** The token in the request's cookie, whatever it is worth. */
export function cookieToken(request: Request): string | null {
  return COOKIE_VALUE.exec(request.headers.get('cookie') ?? '')?.[1] ?? null;
}

/**
 * Lets admins pass. Errors: UNAUTHENTICATED, TOKEN_EXPIRED, TOKEN_REVOKED, RATE_LIMITED; FORBIDDEN (not an admin, or a change that was
 * not asked for by our own page).
 */
export async function requireAdmin(request: Request, parts: GuardParts): Promise<void> {
  const exchange = exchangeOf(request);
  if (request.headers.has('authorization')) {
    await admit(request, exchange, parts, true);
    return;
  }
  const caller = await cookieCaller(request, parts);
  if (caller === null) {
    await parts.limits?.address(request);
    throw new ConcordError('UNAUTHENTICATED');
  }
  await parts.limits?.charge(1).settle(exchange, caller);
  if (caller.role !== 'admin') throw new ConcordError('FORBIDDEN', 'This account is not an admin.');
  if (request.method !== 'GET' && request.method !== 'HEAD') requireSameOrigin(request);
}

/** Refuses what a page of another origin made the browser ask. Errors: FORBIDDEN. */
export function requireSameOrigin(request: Request): void {
  const site = request.headers.get('sec-fetch-site');
  const origin = request.headers.get('origin');
  // A proxy may have changed the scheme and keeps the host.
  const own =
    site !== null
      ? site === 'same-origin' || site === 'none'
      : origin === null || hostOf(origin) === hostOf(request.url);
  if (!own) throw new ConcordError('FORBIDDEN', 'This was asked for by a page of another site.');
}

function hostOf(url: string): string | null {
  return URL.canParse(url) ? new URL(url).host : null;
}

/** `Set-Cookie` that keeps `token`, or with null removes what was kept. */
export function cookieHeader(request: Request, token: string | null, life_s: number, trust_proxy: boolean): string {
  const kept = token === null ? `${COOKIE}=; Max-Age=0` : `${COOKIE}=${token}; Max-Age=${life_s}`;
  const secure = isSecure(request, trust_proxy) ? '; Secure' : '';
  return `${kept}; Path=${ADMIN_PATH}; HttpOnly; SameSite=Strict${secure}`;
}

/** Whether the browser speaks HTTPS, to us or to the proxy in front of us. */
function isSecure(request: Request, trust_proxy: boolean): boolean {
  if (new URL(request.url).protocol === 'https:') return true;
  const told = request.headers.get('x-forwarded-proto')?.split(',').at(-1)?.trim();
  return trust_proxy && told === 'https';
}
