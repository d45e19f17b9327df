/**
 * The page: a plain editor that shows what the server does. `/` and `/d/<doc_id>` are the same HTML file, whose script
 * looks at the address; whether there is such a document is between it and the REST routes.
 */
import { Elysia } from 'elysia';
import type { ErrorReporter } from '../base/sentry.ts';
import { ConcordError } from '../protocol/errors.ts';
import { refusal } from './errors.ts';
import { exchangeOf } from './request.ts';
import { type WebFile, webBundle } from './web-bundle.ts';

/**
 * The page may load and call what this server serves and nothing else, so that no script of others ever reads the tokens
 * that it keeps. Colours of text come as style attributes; pictures in documents come as `data:`, or not at all, for one
 * from elsewhere would tell its server who reads the document.
 */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "style-src-attr 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** `/`, `/d/:id`, and the files of the page. */
export function webRoutes({ reporter }: { readonly reporter: ErrorReporter }): Elysia {
  const app: Elysia = new Elysia({ name: 'web' });
  const hidden = { detail: { hide: true } };
  const serve = (path: string, answer: (request: Request, name: string) => Promise<Response>): void => {
    app.get(
      path,
      ({ request, params }) => {
        exchangeOf(request).route = path;
        // A path without parameters has none at all.
        const named = params as { readonly name?: string } | undefined;
        return answer(request, named?.name ?? '').catch((error: unknown) => refusal(request, error, reporter));
      },
      hidden,
    );
  };
  const page = async (request: Request): Promise<Response> => {
    const { page } = await webBundle();
    // Kept, but asked for each time: the names of all other files stand in it.
    return fileResponse(request, page, { 'cache-control': 'no-cache', 'content-security-policy': PAGE_POLICY });
  };
  serve('/', page);
  serve('/d/:id', page);
  serve('/assets/:name', async (request, name) => {
    const file = (await webBundle()).assets.get(name);
    if (file === undefined) throw new ConcordError('NOT_FOUND', 'The page has no such file.');
    return fileResponse(request, file, { 'cache-control': 'public, max-age=31536000, immutable' });
  });
  return app;
}

function fileResponse(request: Request, file: WebFile, headers: Readonly<Record<string, string>>): Response {
  const common = { ...headers, etag: file.etag, vary: 'accept-encoding' };
  if (request.headers.get('if-none-match') === file.etag) return new Response(null, { status: 304, headers: common });
  const zipped = /\bgzip\b/.test(request.headers.get('accept-encoding') ?? '');
  const encoding = zipped ? { 'content-encoding': 'gzip' } : {};
  return new Response(zipped ? file.gzip : file.body, {
    headers: { ...common, ...encoding, 'content-type': file.type },
  });
}
