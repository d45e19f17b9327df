import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import type { BrowserContextOptions } from 'playwright-core';
import { openTestServer, type TestServer, type TestUser } from '../support/server.ts';
import { until } from '../support/until.ts';
import { CHROMIUM, type Profile, TestBrowser, type Window } from './browser.ts';
import { killWhileTyping } from './kill.ts';
import { takePicture } from './picture.ts';

const PHONE = {
  viewport: { width: 390, height: 780 },
  colorScheme: 'dark',
  isMobile: true,
  hasTouch: true,
} satisfies BrowserContextOptions;

/** `CONCORD_SCREENSHOT=docs/screenshot.png bin/test test/browser` makes the picture of the README anew. */
const SCREENSHOT = process.env.CONCORD_SCREENSHOT ?? '';

describe.skipIf(CHROMIUM === '')('the page in a browser', () => {
  let server: TestServer;
  let browser: TestBrowser;
  let ada: TestUser;
  let ben: TestUser;
  let profiles: { readonly ada: Profile; readonly ben: Profile; readonly bens_phone: Profile };

  beforeAll(async () => {
    [server, browser] = await Promise.all([openTestServer(), TestBrowser.start()]);
    [ada, ben] = await Promise.all([server.register('Ada'), server.register('Ben')]);
    const [first, second, third] = await Promise.all([browser.profile(), browser.profile(), browser.profile(PHONE)]);
    profiles = { ada: first, ben: second, bens_phone: third };
    await Promise.all([
      first.signIn(server.url, await server.signIn(ada)),
      second.signIn(server.url, await server.signIn(ben)),
      third.signIn(server.url, await server.signIn(ben)),
    ]);
  });
  afterEach(async () => {
    await Promise.all(Object.values(profiles).map((profile) => profile.closeWindows()));
  });
  afterAll(async () => {
    await browser.stop();
    expect(browser.errors).toEqual([]);
    expect(server.errors()).toEqual([]);
    await server.stop();
  });

  /** A window on the document, with its text there. */
  async function windowOn(doc_id: string, profile: Profile): Promise<Window> {
    const window = await profile.open(`${server.url}/d/${doc_id}`);
    await window.untilOpen();
    return window;
  }

  /** Adds text at the front, as a script does over REST. */
  async function write(user: TestUser, doc_id: string, insert: string): Promise<void> {
    const { status } = await server.call('POST', `/v1/documents/${doc_id}/edits`, user.token, {
      changes: { delta: [{ insert }] },
    });
    expect(status).toBe(200);
  }

  test('somebody makes an account, and makes, renames, deletes and undeletes a document', async () => {
    const { page, button } = bound(await profiles.ada.open(server.url.replace('127.0.0.1', 'localhost')));
    await button('Make an account').click();
    await page.getByLabel('Name').fill('Cleo Vance');
    await page.getByLabel('E-mail').fill('ada@example.org');
    await page.getByLabel('Password').fill('short');
    await button('Make account').click();
    // The browser itself refuses that one.
    expect(await page.locator('.problem').textContent()).toBe('');
    await page.getByLabel('Password').fill('a long enough passphrase');
    await button('Make account').click();
    await page.getByText('An account with this e-mail exists already.').waitFor();
    await page.getByLabel('E-mail').fill('cleo@example.org');
    await button('Make account').click();

    await page.getByText('Nothing here yet.').waitFor();
    await button('New document').click();
    await page.locator('.ql-editor').waitFor();
    await page.getByLabel('Title', { exact: true }).fill('Reading list');
    await page.keyboard.press('Enter');
    await until('the window to be named', async () => (await page.title()) === 'Reading list · Concord');
    await page.getByRole('link', { name: 'All documents' }).click();

    await button('Rename: Reading list').click();
    await page.getByRole('dialog').getByLabel('Title').fill('Books');
    await page.keyboard.press('Enter');
    await button('Delete: Books').click();
    await page.getByText('“Books” was deleted.').waitFor();
    await button('Deleted').click();
    await button('Undelete: Books').click();
    await page.getByText('Nothing was deleted.').waitFor();
    await button('Documents').click();
    await page.getByRole('link', { name: 'Books' }).waitFor();

    await button('Sign out').click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await page.getByLabel('E-mail').fill('cleo@example.org');
    await page.getByLabel('Password').fill('not the passphrase');
    await button('Sign in').click();
    await page.getByText('E-mail or password is wrong.').waitFor();
    await page.getByLabel('Password').fill('a long enough passphrase');
    await button('Sign in').click();
    await page.getByRole('link', { name: 'Books' }).click();
    await page.locator('.ql-editor').waitFor();
  });

  test('two windows and a REST script write into one document at once, and all end equal', async () => {
    const doc_id = await server.createDocument(ada, 'The middle 😀.');
    await server.share(ada, doc_id, ben, 'editor');
    const [one, two] = await Promise.all([windowOn(doc_id, profiles.ada), windowOn(doc_id, profiles.bens_phone)]);
    await Promise.all([one.toEnd(), two.toEnd()]);
    await two.page.keyboard.press('Control+Home');
    await Promise.all([
      one.type('\nAda writes at the end, 👩‍👩‍👧 and é.', 2),
      two.type('Ben writes here. ', 2),
      (async () => {
        for (let i = 1; i <= 5; i++) await write(ada, doc_id, `${i}. The script writes.\n`);
      })(),
    ]);
    await one.page.keyboard.press('Shift+Home');
    await one.button('Bold').click();
    await one.page.getByLabel('Paragraph style').selectOption({ label: 'Heading 2' });
    await Promise.all([one.untilSays('saved'), two.untilSays('saved')]);

    const text = (await server.text(ada, doc_id)).trimEnd();
    for (const part of ['5. The script writes.\n', 'Ben writes here. ', 'middle 😀.\nAda', '👩‍👩‍👧 and é.'])
      expect(text).toContain(part);
    await until('both windows to show the same as REST', async () => {
      const [ours, theirs, same] = await Promise.all([
        one.text(),
        two.text(),
        one.html().then(async (html) => html === (await two.html())),
      ]);
      return ours.trimEnd() === text && theirs.trimEnd() === text && same;
    });
    expect(await one.html()).toMatch(/<h2>(<strong>)?<strong>Ada writes at the end/);
  });

  test('each window shows who is here and where they are, by name', async () => {
    const doc_id = await server.createDocument(ada, 'Some text.');
    await server.share(ada, doc_id, ben, 'viewer');
    const [one, two] = await Promise.all([windowOn(doc_id, profiles.ada), windowOn(doc_id, profiles.ben)]);
    await one.toEnd();
    await one.page.getByRole('list', { name: 'Who is here' }).getByText('Ben', { exact: true }).waitFor();
    await two.page.getByText('Ada', { exact: true }).first().waitFor();
    await two.page.locator('.ql-cursor-name', { hasText: 'Ada' }).waitFor();
    await profiles.ada.closeWindows();
    await two.page.locator('.ql-cursor-name').waitFor({ state: 'detached' });
    expect(await two.page.locator('.people li').count()).toBe(1);
    // The browser kept the page as it was left.
    await one.page.goBack({ waitUntil: 'commit' });
    await two.page.locator('.people').getByText('Ada', { exact: true }).waitFor();
  });

  test('a document is shared by e-mail; a viewer cannot type; a change of role acts at once', async () => {
    const doc_id = await server.createDocument(ada, 'Only Ada writes here.');
    const owner = await windowOn(doc_id, profiles.ada);
    const people = owner.page.getByRole('dialog', { name: 'People' });
    await owner.button('Share').click();
    await people.getByLabel('E-mail').fill('nobody@example.org');
    await people.getByLabel('Role', { exact: true }).selectOption({ label: 'Can read' });
    await people.getByRole('button', { name: 'Share' }).click();
    await people.getByText('Nobody here has this e-mail.').waitFor();
    await people.getByLabel('E-mail').fill(ben.email);
    await people.getByRole('button', { name: 'Share' }).click();
    await people.getByText('Ben', { exact: true }).waitFor();

    const guest = await windowOn(doc_id, profiles.ben);
    await guest.untilSays('read_only');
    const editor = guest.page.locator('.ql-editor');
    await editor.click();
    await guest.type('I was here. ');
    await guest.page.keyboard.press('Control+V');
    expect(await guest.page.getByRole('toolbar').isVisible()).toBe(false);
    expect([await guest.text(), await server.text(ada, doc_id)]).toEqual(Array(2).fill('Only Ada writes here.'));

    await people.getByLabel('Role of Ben').selectOption({ label: 'Can edit' });
    await guest.untilSays('saved');
    await guest.toEnd();
    await guest.type(' And Ben.');
    await until('it to be in the document', async () => (await server.text(ada, doc_id)).includes('here. And Ben.'));

    await people.getByLabel('Role of Ben').selectOption({ label: 'Can read' });
    await guest.untilSays('read_only');
    await guest.type(' No more.');
    expect(await editor.getAttribute('contenteditable')).toBe('false');
    expect(await guest.text()).toBe('Only Ada writes here. And Ben.');

    await people.getByRole('button', { name: 'Remove Ben' }).click();
    await guest.page.getByText('There is no such document, or it is not shared with you.').waitFor();
  });

  test('what an editor types after a script made them a viewer is refused, taken out of the text, and kept to be copied', async () => {
    const doc_id = await server.createDocument(ada, 'The text.');
    await server.share(ada, doc_id, ben, 'editor');
    const window = await windowOn(doc_id, profiles.ben);
    await window.toEnd();
    await server.share(ada, doc_id, ben, 'viewer');
    await window.type(' Too late.');
    await window.untilSays('read_only');
    await until('the text to be the document’s', async () => (await window.text()) === 'The text.');
    expect(await window.page.getByLabel('Your text').inputValue()).toContain('The text. ');
    expect(await server.text(ada, doc_id)).toBe('The text.');
  });

  test('a document that is deleted while it is open says so, and its owner brings it back', async () => {
    const doc_id = await server.createDocument(ada, 'Here today.');
    const window = await windowOn(doc_id, profiles.ada);
    await server.call('DELETE', `/v1/documents/${doc_id}`, ada.token);
    await window.page.getByText('This document is deleted.').waitFor();
    await window.button('Undelete').click();
    await window.untilSays('saved');
    expect(await window.text()).toBe('Here today.');
  });

  test('while storage does not answer the indicator says Unsaved, and Saved when it has', async () => {
    const doc_id = await server.createDocument(ada, 'On disk.');
    const window = await windowOn(doc_id, profiles.ada);
    await window.untilSays('saved');
    await window.toEnd();
    const release = await server.holdJournal(doc_id);
    await window.type(' Not yet.');
    expect(['saving', 'unsaved']).toContain((await window.says()) ?? '');
    await window.untilSays('unsaved');
    await release();
    await window.untilSays('saved');
    expect(await server.text(ada, doc_id)).toBe('On disk. Not yet.');
  });

  test('the editor keeps in step with what programs write: embeds that it does not know, carriage returns, emoji, line ends', async () => {
    const doc_id = await server.createDocument(ada, '');
    const [one, two] = [await windowOn(doc_id, profiles.ada), await windowOn(doc_id, profiles.ada)];
    const edit = async (delta: object[]): Promise<void> => {
      const { status } = await server.call('POST', `/v1/documents/${doc_id}/edits`, ada.token, { changes: { delta } });
      expect(status).toBe(200);
    };
    await edit([
      { insert: 'a\r\nb ' },
      { insert: { mention: { name: 'Ben' } } },
      { insert: { divider: true } },
      { insert: ' 😀😀' },
    ]);
    await one.page.getByText('😀😀').waitFor();
    await one.toEnd();
    await one.type(' end');
    for (let i = 0; i < 5; i++) await one.page.keyboard.press('ArrowLeft');
    await one.type('👩😀');
    await one.page.keyboard.press('Control+End');
    await one.page.keyboard.press('Enter');
    await one.type('x');
    await one.page.keyboard.press('Backspace');
    await one.untilSays('saved');
    expect(await server.text(ada, doc_id)).toBe('a\r\nb \ufffc\ufffc 😀👩😀😀 end\n\n');
    await edit([{ delete: 3 }]);
    await edit([{ retain: 18 }, { insert: 'more' }]);
    await until('both windows to be the same', async () => {
      const [ours, theirs] = await Promise.all([one.html(), two.html()]);
      return ours === theirs && /end<\/p><p>more<\/p>$/.test(ours);
    });
  });

  test('undo takes back what one typed oneself, and nothing of what others did', async () => {
    const doc_id = await server.createDocument(ada, 'Start. ');
    const window = await windowOn(doc_id, profiles.ada);
    await window.toEnd();
    await window.type('Mine. ');
    await server.share(ada, doc_id, ben, 'editor');
    await write(ben, doc_id, 'Theirs. ');
    await window.page.getByText('Theirs. Start. Mine.').waitFor();
    await window.page.keyboard.press('Control+z');
    await until('it to be gone', async () => (await window.text()) === 'Theirs. Start. ');
    await window.button('Redo').click();
    await until('it to be back', async () => (await window.text()) === 'Theirs. Start. Mine. ');
  });

  test.each([
    ['on an origin with the Web Locks API', '127.0.0.1'],
    ['on plain HTTP by another name, where there is none', 'concord.test'],
  ])('tokens are renewed by themselves, and two tabs do not sign each other out: %s', async (_, host) => {
    const doc_id = await server.createDocument(ben, '');
    const origin = server.url.replace('127.0.0.1', host);
    await profiles.ben.signIn(origin, await server.signIn(ben));
    const tabs = [
      await profiles.ben.open(`${origin}/d/${doc_id}`),
      await profiles.ben.open(`${origin}/d/${doc_id}`),
    ] as const;
    for (const tab of tabs) await tab.untilSays('saved');
    expect(await tabs[0].page.evaluate(() => 'locks' in navigator)).toBe(host === '127.0.0.1');
    const work = async (tab: Window, word: string): Promise<void> => {
      await tab.toEnd();
      await tab.type(word);
      await tab.untilSays('saved');
    };
    for (const round of ['1', '2']) {
      // Both sockets are closed at the same moment, each with the token that both tabs have.
      server.clock.advance(901_000);
      await Promise.all(tabs.map((tab) => work(tab, round)));
    }
    [ada, ben] = await Promise.all([server.signIn(ada), server.signIn(ben)]);
    expect((await server.text(ben, doc_id)).split('').sort().join('')).toBe('1122');
    await tabs[0].page.getByRole('link', { name: 'All documents' }).click();
    await tabs[0].button('Sign out').click();
    for (const tab of tabs) await tab.page.getByRole('heading', { name: 'Sign in' }).waitFor();
  });

  test('the server is killed twice while two people type: what the page called saved is on disk, and nothing typed is lost', async () => {
    await killWhileTyping(profiles.ada, profiles.ben);
  }, 90_000);

  if (SCREENSHOT !== '')
    test('the picture for the README', async () => {
      await takePicture(server, browser, SCREENSHOT);
    });
});

function bound(window: Window) {
  return { page: window.page, button: (name: string) => window.button(name) };
}
