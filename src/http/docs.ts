/**
 * The API page: Swagger UI at `/docs`, the OpenAPI document at `/docs/json`. The plugin makes the document out of the
 * routes; the page is our own, because the plugin's loads its script and style from a CDN and must also work on a
 * machine without internet. So the files of `swagger-ui-dist` are served from here, and its badge, which would ask a
 * validator on the internet about the document, is off.
 */
import { swagger } from '@elysiajs/swagger';
import { Elysia } from 'elysia';
import { ERROR_SCHEMA } from './docs-operation.ts';
import { exchangeOf } from './request.ts';

const ASSETS = ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png'] as const;

const SETUP = `SwaggerUIBundle({
  url: '/docs/json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  persistAuthorization: true,
  validatorUrl: null,
});
`;

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Concord API</title>
<link rel="icon" href="/docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/assets/setup.js"></script>
</body>
</html>
`;

/** The page may load what this server serves and nothing else; Swagger UI sets styles and images inline. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** `/docs`, its files and `/docs/json`. Its page shows the routes of every app that is used beside it. */
export function docsRoutes(): Elysia {
  const app: Elysia = new Elysia({ name: 'docs' });
  const hidden = { detail: { hide: true } };
  app.get(
    '/docs',
    ({ request }) => {
      exchangeOf(request).route = '/docs';
      const headers = { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': PAGE_POLICY };
      return new Response(PAGE, { headers });
    },
    hidden,
  );
  const serve = (name: string, file: () => BodyInit, type: string): void => {
    const path = `/docs/assets/${name}`;
    app.get(
      path,
      ({ request }) => {
        exchangeOf(request).route = '/docs/assets';
        return new Response(file(), { headers: { 'content-type': type, 'cache-control': 'public, max-age=3600' } });
      },
      hidden,
    );
  };
  serve('setup.js', () => SETUP, 'text/javascript; charset=utf-8');
  for (const name of ASSETS) {
    const file = Bun.file(Bun.resolveSync(`swagger-ui-dist/${name}`, import.meta.dir));
    serve(name, () => file, file.type);
  }
  return app;
}

/**
 * Makes `/docs/json` of all routes of the app that uses it. Its page stands at `/docs` too, so {@link docsRoutes} must
 * come after it: in Elysia the later of two routes is the one that answers.
 */
export function openApi(version: string) {
  return swagger({
    path: '/docs',
    specPath: '/docs/json',
    excludeStaticFile: false,
    documentation: {
      info: {
        title: 'Concord',
        version,
        description:
          'Documents that people and programs edit together. Success is `{"success":true,"data":…}`, a refusal `{"success":false,"error":{"code","message","details"}}`, for every status.',
        license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
      },
      components: {
        securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
        schemas: { Error: ERROR_SCHEMA },
      },
    },
  });
}
