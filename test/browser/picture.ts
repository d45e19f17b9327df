/** The picture of the README: three people on a document that a script began, taken of the real page on a real server. */
import { expect } from 'bun:test';
import { mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { ROOT } from '../../bin/lib/paths.ts';
import type { TestServer } from '../support/server.ts';
import type { TestBrowser, Window } from './browser.ts';

const TEXT = `# Spring exhibition

The hall is ours from the **12th of April**. What a script writes over REST and what people write here is one document: every change is on everybody's screen at once, and on disk a moment later.

- [x] Ask the museum for the two looms
- [ ] Print the catalogue
- [ ] Find someone who plays the harpsichord

> We may say most aptly that the Analytical Engine weaves algebraic patterns.

\`\`\`
curl $BASE/v1/documents/$DOC/edits -d '{"changes":{"delta":[{"insert":"Hello"}]}}'
\`\`\`
`;

const PEOPLE = ['Ada Lovelace', 'Grace Hopper', 'Joseph Jacquard'] as const;

/** Takes the picture and writes it to `path`, which counts from the root of the checkout. */
export async function takePicture(server: TestServer, browser: TestBrowser, path: string): Promise<void> {
  const [ada, grace, joseph] = await Promise.all(PEOPLE.map((name) => register(server, name)));
  if (ada === undefined || grace === undefined || joseph === undefined) throw new Error('somebody is missing');
  const made = await server.call('POST', '/v1/documents', ada.token, {
    title: 'Spring exhibition',
    content: { format: 'markdown', value: TEXT },
  });
  expect(made.status).toBe(201);
  const { id } = made.body.data;
  for (const guest of [grace, joseph]) await server.share(ada, id, guest, 'editor');

  const open = async (person: typeof ada, deviceScaleFactor: number): Promise<Window> => {
    const profile = await browser.profile({ viewport: { width: 1200, height: 740 }, deviceScaleFactor });
    await profile.signIn(server.url, person);
    const window = await profile.open(`${server.url}/d/${id}`);
    await window.untilOpen();
    return window;
  };
  const shown = await open(ada, 2);
  const others = [await open(grace, 1), await open(joseph, 1)] as const;
  await shown.page.getByText('patterns.').click();
  await others[0].page.getByText('Print the catalogue').click();
  await others[0].page.keyboard.press('End');
  await others[0].type(', 40 pages');
  await shown.page.getByText('40 pages').waitFor();
  await others[1].page.getByText('every change is').dblclick();
  for (const name of PEOPLE.slice(1)) await shown.page.locator('.ql-cursor-name', { hasText: name }).waitFor();
  await shown.untilSays('saved');
  mkdirSync(dirname(resolve(ROOT, path)), { recursive: true });
  await shown.page.screenshot({ path: resolve(ROOT, path), animations: 'disabled' });
}

async function register(server: TestServer, display_name: string) {
  const email = `${display_name.split(' ')[0]?.toLowerCase()}@exhibition.example.org`;
  const body = { email, password: 'open sesame, says the test', display_name };
  const { data } = (await server.call('POST', '/v1/auth/register', undefined, body)).body;
  const { access_token: token, refresh_token } = data;
  return {
    user_id: data.user.id as string,
    display_name,
    email,
    token: token as string,
    refresh_token: refresh_token as string,
  };
}
