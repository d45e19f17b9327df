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
  '--disable-software-rasterizer',
  '--disable-extensions',
  '--disable-default-apps',
  '--metrics-recording-only',
  '--mute-audio',
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

  /** A profile of its own, as another computer would be: what its windows keep, no other profile sees. */
  async profile(options: BrowserContextOptions = {}): Promise<Profile> {
    const context = await this.driver.newContext({ viewport: { width: 1200, height: 760 }, ...options });
    context.on('page', (page) => this.#listen(page));
    return new Profile(context, await context.newPage());
  }

  async stop(): Promise<void> {
    await this.driver.close();
    await killTree(this.daemon);
  }

  #listen(page: Page): void {
    page.setDefaultTimeout(10_000);
    page.on('pageerror', (error) => this.errors.push(error.stack ?? error.message));
    page.on('console', (message) => {
      // A server that is away is what some tests are about, and a refusal is not the page's fault.
      const expected = /WebSocket connection to|Failed to load resource/.test(message.text());
      if (message.type() === 'error' && !expected) this.errors.push(message.text());
    });
  }
}

/** See {@link TestBrowser.profile}. */
export class Profile {
  readonly #windows: Window[] = [];

  constructor(
    private readonly context: BrowserContext,
    /** The window that it has anyway: making one takes the browser the better part of a second. */
    private readonly first: Page,
  ) {}

  /** A window with this address. */
  async open(url: string): Promise<Window> {
    const page = this.#windows.length === 0 ? this.first : await this.#another();
    const window = new Window(page);
    this.#windows.push(window);
    await page.goto(url);
    return window;
  }

  /** Closes its windows. */
  async closeWindows(): Promise<void> {
    await Promise.all(
      this.#windows.splice(0).map(({ page }) => (page === this.first ? page.goto('about:blank') : page.close())),
    );
  }

  /** Signs in at a server with tokens that the test has, as if it had been done in the page. */
  async signIn(origin: string, user: SignedIn): Promise<void> {
    const { user_id: id, display_name, email, token: access_token, refresh_token } = user;
    const life_ms = 900_000;
    const session = {
      user: { id, email, display_name },
      access_token,
      refresh_token,
      life_ms,
      expires_at: Date.now() + life_ms,
    };
    await this.first.goto(`${origin}/healthz`);
    await this.first.evaluate(keepSession, session);
  }

  /** Of two tabs in one window the browser all but stops the hidden one, so every page gets a window. */
  async #another(): Promise<Page> {
    const opened = this.context.waitForEvent('page');
    await this.first.evaluate(() => window.open('about:blank', '_blank', 'popup,noopener,width=1200,height=760'));
    return opened;
  }
}

/** Runs in the page: puts a session where the page keeps it. */
function keepSession(session: object): Promise<void> {
  return new Promise((resolve) => {
    const request = indexedDB.open('concord', 1);
    request.onupgradeneeded = () => request.result.createObjectStore('kept');
    request.onsuccess = () => {
      const transaction = request.result.transaction('kept', 'readwrite');
      transaction.objectStore('kept').put(session, 'session');
      transaction.oncomplete = () => {
        request.result.close();
        resolve();
      };
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

  /** Waits until the indicator says this. Looks more often than the driver would. */
  async untilSays(word: Word, within_ms = 10_000): Promise<void> {
    const look = async (): Promise<boolean> => {
      const says = await this.says();
      if (says !== word) throw new Error(`it says ${says}`);
      return true;
    };
    await until(`the indicator to say ${word}`, look, within_ms);
  }

  /** Waits until the text is there. */
  async untilOpen(): Promise<void> {
    await until('the text to be there', () => this.page.locator('.ql-editor').isVisible());
  }

  /** What the indicator says now. */
  says(): Promise<string | null> {
    return this.page.evaluate(() => document.querySelector<HTMLElement>('.indicator')?.dataset.state ?? null);
  }

  button(name: string) {
    return this.page.getByRole('button', { name, exact: true });
  }
}
