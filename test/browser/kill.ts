/**
 * Two people type while the server is killed, started again and killed once more. Whenever the page says Saved, the words
 * that stand there are noted; right after each kill, when nothing can reach the disk any more, every word so noted is
 * looked for in the journal.
 */
import { expect } from 'bun:test';
import { Concord, type Person } from '../faults/concord.ts';
import { readHistory } from '../faults/history.ts';
import { createTestDatabase } from '../support/database.ts';
import { startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import type { Profile, Window } from './browser.ts';

const KILLS = 2;
/** Words that both must have been told are saved before the next kill. */
const WORDS_BETWEEN = 4;

/** See the head of this file. */
export async function killWhileTyping(first: Profile, second: Profile): Promise<void> {
  const [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
  const concord = await Concord.start({ DATABASE_URL: database.url, REDIS_URL: redis.url, NODE_ID: 'page' });
  try {
    const [ada, ben] = await Promise.all([concord.register('ada'), concord.register('ben')]);
    const doc_id = await concord.createDocument(ada, [ben]);
    const start = { changes: { delta: [{ insert: 'Ada:\nBen:' }] } };
    await concord.call('POST', `/v1/documents/${doc_id}/edits`, ada.token, start);
    const typists = [
      await Typist.sitDown(first, ada, `${concord.url}/d/${doc_id}`, 'a'),
      await Typist.sitDown(second, ben, `${concord.url}/d/${doc_id}`, 'b'),
    ] as const;
    await typists[0].window.page.keyboard.press('Control+Home');
    await typists[0].window.page.keyboard.press('End');
    const text = async (): Promise<string> => {
      const { doc, wrongs } = await readHistory(database.sql, doc_id);
      expect(wrongs).toEqual([]);
      return doc.getText('content').toString();
    };
    for (let kill = 1; kill <= KILLS; kill++) await killOnce(concord, typists, kill, text);

    const end = (await concord.text(ada, doc_id)).value;
    expect(await text()).toBe(end);
    for (const { window, pattern, typed, saved } of typists) {
      await until('the window to show the document', async () => (await window.text()) === end);
      expect([...(end.match(pattern) ?? [])]).toEqual(typed);
      expect(await saved()).toEqual(typed);
    }
  } finally {
    if (concord.is_open) await concord.terminate();
    await Promise.all([database.drop(), redis.stop()]);
  }
}

async function killOnce(
  concord: Concord,
  typists: readonly [Typist, Typist],
  kill: number,
  text: () => Promise<string>,
): Promise<void> {
  for (const typist of typists) typist.begin();
  await until(
    'both to have words that are saved',
    async () => {
      const saved = await Promise.all(typists.map((typist) => typist.saved()));
      return saved.every(({ length }) => length >= kill * WORDS_BETWEEN);
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
  const leaver = typists[1];
  // Whoever goes away from a text that is not saved leaves it behind in good hands.
  if (kill === KILLS) await leaver.window.page.getByRole('link', { name: 'All documents' }).click();
  await concord.startAgain();
  concord.letIn();
  if (kill === KILLS) {
    const last = ` ${leaver.typed.at(-1)}`;
    await until('what was left to be saved', async () => (await text()).includes(last), 20_000);
    await leaver.window.page.goBack();
  }
  await Promise.all(typists.map(({ window }) => window.untilSays('saved', 20_000)));
}

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

  static async sitDown(profile: Profile, person: Person, url: string, letter: string): Promise<Typist> {
    await profile.signIn(new URL(url).origin, { ...person, display_name: letter, refresh_token: 'none' });
    const typist = new Typist(await profile.open(url), letter);
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
  readonly saved = (): Promise<string[]> => {
    return this.window.page.evaluate(() => (globalThis as unknown as { savedWords: string[] }).savedWords);
  };

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
