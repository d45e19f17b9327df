/**
 * Signing in to the dashboard and out of it, from a browser: `/admin` and what its forms post. The password is checked as
 * everywhere else; the session that begins goes into a cookie, never into an address.
 */
import { join } from 'node:path';
import { Elysia } from 'elysia';
import type { Static } from 'typebox';
import { DASHBOARD_SESSION_S } from '../domain/dashboard-sessions.ts';
import { compileCheck } from '../protocol/check.ts';
import { ConcordError } from '../protocol/errors.ts';
import {
  ADMIN_PATH,
  BOARD_PATH,
  cookieCaller,
  cookieHeader,
  cookieToken,
  type GuardParts,
  requireSameOrigin,
} from './admin-guard.ts';
import { accountPage, STYLE_PATH, signInPage } from './admin-pages.ts';
import { asConcordError, refusal } from './errors.ts';
import { exchangeOf } from './request.ts';
import { readForm } from './request-body.ts';
import { EMAIL, strictObject } from './schemas.ts';
import { PASSWORD } from './users.ts';

const STYLE = join(import.meta.dir, '../../web/admin/style.css');

const CREDENTIALS = strictObject({ email: EMAIL, password: PASSWORD });
const checkCredentials = compileCheck(CREDENTIALS);
/** An e-mail and a password, percent-encoded at worst. */
const FORM_BYTES_MAX = 16 * 1024;

/** `/admin`, its style sheet, and signing in and out. */
export function adminSignInRoutes(parts: GuardParts): Elysia {
  const app: Elysia = new Elysia({ name: 'admin-sign-in' });
  const serve = (method: 'GET' | 'POST', path: string, answer: (request: Request) => Promise<Response>): void => {
    app.route(
      method,
      path,
      ({ request }) => {
        exchangeOf(request).route = path;
        return answer(request).catch((error: unknown) => signInRefusal(request, error, parts));
      },
      { parse: 'none', detail: { hide: true } },
    );
  };
  serve('GET', ADMIN_PATH, async (request) => {
    const caller = await cookieCaller(request, parts);
    if (caller === null) return signInPage(200);
    const is_admin = caller.role === 'admin';
    return accountPage(is_admin ? 200 : 403, { name: caller.display_name, is_admin });
  });
  serve('GET', STYLE_PATH, async () => {
    const headers = { 'content-type': 'text/css; charset=utf-8', 'cache-control': 'public, max-age=3600' };
    return new Response(Bun.file(STYLE), { headers });
  });
  serve('POST', `${ADMIN_PATH}/sign-in`, (request) => signIn(request, parts));
  serve('POST', `${ADMIN_PATH}/sign-out`, async (request) => {
    requireSameOrigin(request);
    const token = cookieToken(request);
    if (token !== null) await parts.dashboard.signOut(token, exchangeOf(request));
    return seeOther(ADMIN_PATH, cookieHeader(request, null, 0, parts.trust_proxy));
  });
  return app;
}

async function signIn(request: Request, parts: GuardParts): Promise<Response> {
  requireSameOrigin(request);
  let asked: Static<typeof CREDENTIALS>;
  try {
    asked = checkCredentials(await readForm(request, FORM_BYTES_MAX));
  } catch (error) {
    if (error instanceof ConcordError && error.code === 'VALIDATION_ERROR')
      return signInPage(error.status, { problem: 'Enter your e-mail and your password.' });
    throw error;
  }
  try {
    const exchange = exchangeOf(request);
    const prove = () => parts.dashboard.signIn(asked, exchange);
    const token = await (parts.limits === null ? prove() : parts.limits.signIn(exchange, asked.email, prove));
    return seeOther(BOARD_PATH, cookieHeader(request, token, DASHBOARD_SESSION_S, parts.trust_proxy));
  } catch (error) {
    const { status, message } = asConcordError(error);
    // Anything that is not about the person is told, and logged, like everywhere else.
    if (status !== 401 && status !== 403) throw error;
    return signInPage(status, { email: asked.email, problem: message });
  }
}

/** The refusal as a page: what is to be told stands above the form. */
function signInRefusal(request: Request, error: unknown, parts: GuardParts): Response {
  const { status, headers } = refusal(request, error, parts.reporter);
  const page = signInPage(status, { problem: asConcordError(error).message });
  const wait = headers.get('retry-after');
  if (wait !== null) page.headers.set('retry-after', wait);
  return page;
}

/** RFC 9110 section 15.4.4: what was posted is done, get this now. */
function seeOther(location: string, cookie: string): Response {
  return new Response(null, { status: 303, headers: { location, 'set-cookie': cookie } });
}
