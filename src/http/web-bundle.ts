/**
 * The page of `web/`, made into files that browsers take. Bun bundles it in memory when it is first asked for, some
 * hundred milliseconds: nothing is written into the checkout, no build step has to be remembered, and a server whose page
 * nobody opens pays nothing.
 *
 * The name of every file but the page holds a hash of its content. So a browser may keep it for ever, and a page that it
 * kept never runs with a script of another version; on several nodes of one version the names are the same.
 */
import { join } from 'node:path';

/** One file as it is served. */
export interface WebFile {
  /** `Content-Type`. */
  readonly type: string;
  readonly body: Uint8Array<ArrayBuffer>;
  /** The same, compressed with gzip. */
  readonly gzip: Uint8Array<ArrayBuffer>;
  /** Validator of the content, a weak one: both encodings share it. */
  readonly etag: string;
}

/** All files of the page. */
export interface WebBundle {
  readonly page: WebFile;
  /** What the page loads, by name below `/assets/`. */
  readonly assets: ReadonlyMap<string, WebFile>;
}

const ENTRY = join(import.meta.dir, '../../web/index.html');
const ASSET_NAME = 'assets/[name]-[hash].[ext]';

let bundled: Promise<WebBundle> | null = null;

/** The page's files; made once. Rejects when `web/` does not build, and tries again when asked again. */
export function webBundle(): Promise<WebBundle> {
  bundled ??= bundle(ENTRY).catch((error: unknown) => {
    bundled = null;
    throw error;
  });
  return bundled;
}

/** Bundles the page that starts at the HTML file `entry`. */
export async function bundle(entry: string): Promise<WebBundle> {
  const { outputs } = await Bun.build({
    entrypoints: [entry],
    target: 'browser',
    minify: true,
    publicPath: '/',
    naming: { entry: '[name].[ext]', chunk: ASSET_NAME, asset: ASSET_NAME },
  });
  let page: WebFile | null = null;
  const assets = new Map<string, WebFile>();
  for (const output of outputs) {
    const file = await webFile(output);
    const name = /(?:^|\/)assets\/([^/]+)$/.exec(output.path)?.[1];
    if (name === undefined) page = file;
    else assets.set(name, file);
  }
  if (page === null) throw new Error(`${entry} did not become a page`);
  return { page, assets };
}

async function webFile(output: Bun.BuildArtifact): Promise<WebFile> {
  const body = new Uint8Array(await output.arrayBuffer());
  const etag = `W/"${Bun.hash(body).toString(36)}"`;
  return { type: output.type, body, gzip: Bun.gzipSync(body), etag };
}
