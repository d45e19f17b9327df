import { expect, test } from 'bun:test';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runFolder, uniqueName } from '../../test/support/environment.ts';
import { systemClock } from '../base/clock.ts';
import { createLog } from '../base/log.ts';
import { createMetrics } from '../base/metrics.ts';
import { systemRandom } from '../base/random.ts';
import { silentReporter } from '../base/sentry.ts';
import { createHttpApp, type HttpParts } from './app.ts';
import { bundle } from './web-bundle.ts';

/** Nothing behind the page is reached. */
const unreached = {} as never;
const parts: HttpParts = {
  clock: systemClock,
  random: systemRandom,
  log: createLog({ level: 'silent', service: 'test', node_id: 'test' }),
  metrics: createMetrics(),
  trust_proxy: false,
  cors_origins: [],
  version: '1.2.3',
  users: null,
  documents: unreached,
  collaboration: null,
  worker: null,
  ready: async () => ({ ok: true }),
  authenticate: async () => ({ ok: false, code: 'UNAUTHENTICATED' }),
  limits: null,
  isAdmin: async () => false,
  reporter: silentReporter,
};
const app = createHttpApp(parts);
const get = (path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Response> =>
  app.handle(new Request(`http://concord.test${path}`, { method, headers }));

/** What the page says that it loads. */
async function assetsOfPage(): Promise<string[]> {
  const html = await (await get('/')).text();
  return [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path ?? '');
}

test('the page stands at / and at the address of every document', async () => {
  const page = await get('/');
  expect(page.status).toBe(200);
  expect(page.headers.get('content-type')).toBe('text/html;charset=utf-8');
  const html = await page.text();
  expect(html).toContain('<title>Concord</title>');
  for (const path of ['/d/0198c5c2-7a3e-7d51-9b0a-3f6f2f1f6a10', '/d/whatever']) {
    const other = await get(path);
    expect([other.status, await other.text()]).toEqual([200, html]);
  }
});

test('everything that the page loads comes from here and may be kept for ever, since its name tells its content', async () => {
  const paths = await assetsOfPage();
  expect(paths.map((path) => path.replace(/.*\./, '')).sort()).toEqual(['css', 'js', 'svg']);
  for (const path of paths) {
    expect(path).toMatch(/^\/assets\/[a-z]+-[0-9a-z]{8}\.(css|js|svg)$/);
    const asset = await get(path);
    expect(asset.status).toBe(200);
    expect(asset.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    const text = await asset.text();
    expect(text.length).toBeGreaterThan(100);
    expect(text).not.toMatch(/@import|url\(["']?https?:|(?:import|from)\s*["']https?:/);
  }
});

test('the page itself is asked for each time, and not sent again when it is the same', async () => {
  const page = await get('/');
  expect(page.headers.get('cache-control')).toBe('no-cache');
  const etag = page.headers.get('etag') ?? '';
  const again = await get('/', { 'if-none-match': etag });
  expect([again.status, await again.text(), again.headers.get('etag')]).toEqual([304, '', etag]);
  expect((await get('/', { 'if-none-match': 'W/"other"' })).status).toBe(200);
});

test('its files are compressed for whoever takes that', async () => {
  for (const path of ['/', ...(await assetsOfPage())]) {
    const plain = await get(path, { 'accept-encoding': 'identity' });
    const zipped = await get(path, { 'accept-encoding': 'br, gzip' });
    expect([plain, zipped].map(({ headers }) => headers.get('content-encoding'))).toEqual([null, 'gzip']);
    expect(zipped.headers.get('vary')).toBe('accept-encoding');
    const bytes = Bun.gunzipSync(new Uint8Array(await zipped.arrayBuffer()));
    expect(Buffer.from(bytes).equals(Buffer.from(await plain.arrayBuffer()))).toBe(true);
  }
});

test('its policy lets nothing run or load but what this server serves', async () => {
  const policy = (await get('/')).headers.get('content-security-policy') ?? '';
  const directives = new Map(policy.split('; ').map((part) => part.split(/ (.*)/s) as [string, string]));
  expect(directives.get('default-src')).toBe("'none'");
  expect(directives.get('script-src')).toBe("'self'");
  expect(directives.get('connect-src')).toBe("'self'");
  expect(directives.get('frame-ancestors')).toBe("'none'");
  expect(policy).not.toMatch(/https?:|\*|unsafe-eval|script-src[^;]*unsafe/);
  const html = await (await get('/')).text();
  expect(html).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=/);
});

test('a file that the page does not have is 404 in our envelope, and other methods are 405', async () => {
  const missing = await get('/assets/index-00000000.js');
  expect([missing.status, (await missing.json()).error.code]).toEqual([404, 'NOT_FOUND']);
  expect(missing.headers.get('cache-control')).toBe('no-store');
  const posted = await get('/', {}, 'POST');
  expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD, OPTIONS']);
});

test('the page is served where the service documents runs, and only there', async () => {
  const without = createHttpApp({ ...parts, documents: null });
  expect((await without.handle(new Request('http://concord.test/'))).status).toBe(404);
});

test('a page that does not build is told with its reason', async () => {
  const folder = runFolder(uniqueName('web'));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'index.html'), '<script type="module" src="./gone.ts"></script>');
  await expect(bundle(join(folder, 'index.html'))).rejects.toThrow();
  rmSync(folder, { recursive: true });
});
