/**
 * People in front of the page: a headless Chromium of the test file's own, with a window for each of them. Whatever a
 * window reports as an error, a breach of the page's policy among it, is kept for the test file to look at in the end.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Browser as Driver,
  type Page,
} from 'playwright-core';
import { ROOT } from '../../bin/lib/paths.ts';
import { type Daemon, killTree, startDaemon } from '../../bin/lib/processes.ts';
import { recordsFolder, runFolder, uniqueName } from '../support/environment.ts';
import { until } from '../support/until.ts';

/** The Chromium that bin/test found; empty when the tests in a browser are left out. */
export const CHROMIUM = process.env.CONCORD_TEST_CHROMIUM ?? '';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--hide-scrollbars',
  '--lang=en-GB',
  // A name that browsers trust no more than any address of a local network: pages there are "insecure contexts".
  '--host-resolver-rules=MAP concord.test 127.0.0.1',
  '--remote-debugging-port=0',
];

/** Words of the indicator, as `data-state` has them. */
export type Word = 'opening' | 'saved' | 'saving' | 'unsaved' | 'offline' | 'read_only';

/** Somebody who has signed in over REST. */
export interface SignedIn {
  readonly user_id: string;
  readonly display_name: string;
  readonly email: string;
  readonly token: string;
  readonly refresh_token: string;
}

/** See the head of this file. */
export class TestBrowser {
  /** What went wrong in any window. */
  readonly errors: string[] = [];

  private constructor(
    private readonly daemon: Daemon,
    private readonly driver: Driver,
  ) {}

  static async start(): Promise<TestBrowser> {
    const name = uniqueName('chromium');
    const folder = runFolder(name);
    const daemon = startDaemon({
      name,
      cmd: [CHROMIUM, ...FLAGS, `--user-data-dir=${join(folder, 'profile')}`, 'about:blank'],
      cwd: ROOT,
      env: { PATH: process.env.PATH, HOME: folder, LANG: 'C.UTF-8' },
      log: join(folder, 'log'),
      records: recordsFolder(),
      stopSignal: 'SIGTERM',
      graceMs: 10_000,
    });
    const port = await until(
      'Chromium to listen',
      () => {
        if (daemon.hasExited()) throw new Error(`it ended: ${readFileSync(join(folder, 'log'), 'utf8')}`);
        return readFileSync(join(folder, 'profile/DevToolsActivePort'), 'utf8').split('\n')[0];
      },
      20_000,
    );
    return new TestBrowser(daemon, await chromium.connectOverCDP(`http://127.0.0.1:${port}`));
  }

  /** A browser profile of its own: what is signed in there is seen by its windows and by no others. */
  profile(url: string, options: BrowserContextOptions = {}): Promise<Profile> {
    return this.driver
      .newContext({ viewport: { width: 1200, height: 760 }, baseURL: url, ...options })
      .then((context) => new Profile(context, this.errors));
  }

  async stop(): Promise<void> {
    await this.driver.close();
    await killTree(this.daemon);
  }
}

/** See {@link TestBrowser.profile}. */
export class Profile {
  readonly #windows: Window[] = [];

  constructor(
    private readonly context: BrowserContext,
    private readonly errors: string[],
  ) {}

  /** A new window, at this path of the page. */
  async open(path: string): Promise<Window> {
    const page = await this.context.newPage();
    page.setDefaultTimeout(10_000);
    page.on('pageerror', (error) => this.errors.push(error.stack ?? error.message));
    page.on('console', (message) => {
      // A server that is away is what some tests are about, and a refusal is not the page's fault.
      const expected = /WebSocket connection to|Failed to load resource/.test(message.text());
      if (message.type() === 'error' && !expected) this.errors.push(message.text());
    });
    await page.goto(path);
    const window = new Window(page);
    this.#windows.push(window);
    return window;
  }

  /** Closes its windows. */
  async closeWindows(): Promise<void> {
    await Promise.all(this.#windows.splice(0).map((window) => window.close()));
  }

  /** Signs in with tokens that the test has, as if it had been done in the page. */
  async signIn(user: SignedIn): Promise<void> {
    const { user_id: id, display_name, email, token: access_token, refresh_token } = user;
    const life_ms = 900_000;
    const session = {
      user: { id, email, display_name },
      access_token,
      refresh_token,
      life_ms,
      expires_at: Date.now() + life_ms,
    };
    const page = await this.context.newPage();
    await page.goto('/');
    await page.getByRole('heading').waitFor();
    await page.evaluate(keepSession, session);
    await page.close();
  }
}

/** Runs in the page: puts a session where the page keeps it. */
function keepSession(session: object): Promise<void> {
  return new Promise((resolve) => {
    const request = indexedDB.open('concord');
    request.onsuccess = () => {
      const transaction = request.result.transaction('kept', 'readwrite');
      transaction.objectStore('kept').put(session, 'session');
      transaction.oncomplete = () => resolve();
    };
  });
}

/** One window with the page. */
export class Window {
  constructor(readonly page: Page) {}

  /** The text as it is shown; without the line break that Quill ends every text with. */
  async text(): Promise<string> {
    const lines = await this.page
      .locator('.ql-editor > :not(ol), .ql-editor > ol > li')
      .evaluateAll((found) => found.map((line) => line.textContent?.replaceAll('\ufeff', '') ?? ''));
    return lines.join('\n');
  }

  /** The text with its formatting, as the editor's HTML. */
  html(): Promise<string> {
    return this.page.locator('.ql-editor').innerHTML();
  }

  /** Waits for the text to be there, and puts the cursor at its end. */
  async toEnd(): Promise<void> {
    await this.page.locator('.ql-editor').click();
    await this.page.keyboard.press('Control+End');
  }

  /** Types as a person does, key by key. */
  type(text: string, delay_ms = 0): Promise<void> {
    return this.page.keyboard.type(text, { delay: delay_ms });
  }

  /** Waits until the indicator says this. */
  async untilSays(word: Word, within_ms = 10_000): Promise<void> {
    await this.page.locator(`.indicator[data-state="${word}"]`).waitFor({ timeout: within_ms });
  }

  /** What the indicator says now. */
  says(): Promise<string | null> {
    return this.page.locator('.indicator').getAttribute('data-state');
  }

  button(name: string) {
    return this.page.getByRole('button', { name, exact: true });
  }

  close(): Promise<void> {
    return this.page.close();
  }
}
