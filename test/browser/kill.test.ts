import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { Concord, type Person } from '../faults/concord.ts';
import { readHistory } from '../faults/history.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { CHROMIUM, TestBrowser, type Window } from './browser.ts';

const KILLS = 2;
/** Words that both must have been told are saved before the next kill. */
const WORDS_BETWEEN = 8;

describe.skipIf(CHROMIUM === '')('the page, and a server that is killed', () => {
  let database: TestDatabase;
  let redis: TestRedis;
  let concord: Concord;
  let browser: TestBrowser;

  beforeAll(async () => {
    [database, redis, browser] = await Promise.all([createTestDatabase(), startRedis(), TestBrowser.start()]);
    concord = await Concord.start({ DATABASE_URL: database.url, REDIS_URL: redis.url, NODE_ID: 'page' });
  });
  afterAll(async () => {
    await browser.stop();
    expect(browser.errors).toEqual([]);
    if (concord.is_open) await concord.terminate();
    await Promise.all([database.drop(), redis.stop()]);
  });

  test(`killed ${KILLS} times while two people type: what the page called saved is on disk, and nothing typed is lost`, async () => {
    const [ada, ben] = await Promise.all([concord.register('ada'), concord.register('ben')]);
    const doc_id = await concord.createDocument(ada, [ben]);
    const start = { changes: { delta: [{ insert: 'Ada:\nBen:' }] } };
    await concord.call('POST', `/v1/documents/${doc_id}/edits`, ada.token, start);
    const typists = [
      await Typist.sitDown(browser, ada, concord, doc_id, 'a'),
      await Typist.sitDown(browser, ben, concord, doc_id, 'b'),
    ];
    const text = async () => (await readHistory(database.sql, doc_id)).doc.getText('content').toString();
    await typists[0]?.window.page.keyboard.press('Control+Home');
    await typists[0]?.window.page.keyboard.press('End');

    for (let kill = 1; kill <= KILLS; kill++) {
      for (const typist of typists) typist.begin();
      await until(
        'both to have words that are saved',
        async () => {
          const counts = await Promise.all(typists.map(async (typist) => (await typist.saved()).length));
          return counts.every((count) => count >= kill * WORDS_BETWEEN);
        },
        20_000,
      );
      await concord.kill9();
      const stored = await text();
      await Promise.all(typists.map(({ window }) => window.untilSays('offline')));
      // Nothing gets to the disk any more, so this holds of whatever they are told until now.
      for (const typist of typists)
        expect((await typist.saved()).filter((word) => !stored.includes(` ${word}`))).toEqual([]);
      await Promise.all(typists.map((typist) => typist.end()));
      await concord.startAgain();
      concord.letIn();
      await Promise.all(typists.map(({ window }) => window.untilSays('saved', 20_000)));
    }

    const end = (await concord.text(ada, doc_id)).value;
    expect(await text()).toBe(end);
    for (const { window } of typists)
      await until('the window to show the document', async () => (await window.text()) === end);
    for (const typist of typists) {
      expect([...(end.match(typist.pattern) ?? [])]).toEqual(typist.typed);
      expect(await typist.saved()).toEqual(typist.typed);
    }
  }, 90_000);
});

/** Somebody who types words that are told apart, one after the other, and remembers which of them the page called saved. */
class Typist {
  readonly typed: string[] = [];
  readonly pattern: RegExp;
  #typing: Promise<void> | null = null;
  #wanted = false;

  private constructor(
    readonly window: Window,
    private readonly letter: string,
  ) {
    this.pattern = new RegExp(`${letter}\\d+;`, 'g');
  }

  static async sitDown(
    browser: TestBrowser,
    person: Person,
    concord: Concord,
    doc_id: string,
    letter: string,
  ): Promise<Typist> {
    const profile = await browser.profile(concord.url);
    await profile.signIn({ ...person, display_name: letter, refresh_token: 'none' });
    const typist = new Typist(await profile.open(`/d/${doc_id}`), letter);
    await typist.window.untilSays('saved');
    await typist.window.toEnd();
    await typist.window.page.evaluate(watchIndicator, letter);
    return typist;
  }

  begin(): void {
    this.#wanted = true;
    this.#typing = this.#type();
  }

  async end(): Promise<void> {
    this.#wanted = false;
    await this.#typing;
  }

  /** All words that stood in the text while the page said Saved. */
  saved(): Promise<string[]> {
    return this.window.page.evaluate(() => (globalThis as unknown as { savedWords: string[] }).savedWords);
  }

  async #type(): Promise<void> {
    while (this.#wanted) {
      const word = `${this.letter}${this.typed.length + 1};`;
      await this.window.type(` ${word}`);
      this.typed.push(word);
      // The page says Saved after a pause, as people make them.
      if (this.typed.length % 4 === 0) await this.window.page.waitForTimeout(600);
    }
  }
}

/** Runs in the page: notes the words in the text whenever the page says that all is saved. */
function watchIndicator(letter: string): void {
  const found = new RegExp(`${letter}\\d+;`, 'g');
  const seen = globalThis as unknown as { savedWords: string[] };
  seen.savedWords = [];
  const look = (): void => {
    const state = document.querySelector<HTMLElement>('.indicator')?.dataset.state;
    if (state === 'saved')
      seen.savedWords = document.querySelector('.ql-editor')?.textContent?.match(found)?.slice() ?? [];
  };
  new MutationObserver(look).observe(document.body, {
    subtree: true,
    childList: true,
    characterData: true,
    attributes: true,
  });
}
