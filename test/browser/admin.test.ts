/** The queue dashboard as an admin meets it: the whole way from the printed address to a job that is tried again. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { Queue } from 'bullmq';
import { createLog } from '../../src/base/log.ts';
import { systemRandom } from '../../src/base/random.ts';
import { connectRedis } from '../../src/store/redis.ts';
import { bullConnection, QUEUE_PREFIX } from '../../src/workers/queues.ts';
import { openTestServer, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';
import { CHROMIUM, TestBrowser } from './browser.ts';

/** A folder for pictures of what the browser shows. */
const PICTURES = process.env.CONCORD_ADMIN_PICTURES ?? '';

describe.skipIf(CHROMIUM === '')('the queue dashboard in a browser', () => {
  let server: TestServer;
  let browser: TestBrowser;
  let redis: ReturnType<typeof connectRedis>;
  let queue: Queue;

  beforeAll(async () => {
    [server, browser] = await Promise.all([openTestServer(), TestBrowser.start()]);
    const log = createLog({ level: 'silent', service: 'test', node_id: 'test' });
    redis = connectRedis(server.redis_url, { name: 'test', kind: 'standing', log });
    queue = new Queue('snapshots', { connection: bullConnection(redis), prefix: QUEUE_PREFIX });
    await server.register('Ada');
    await server.sql`UPDATE users SET role = 'admin'`;
  });
  afterAll(async () => {
    await browser.stop();
    await queue.close();
    redis.disconnect();
    // Neither an error of a script nor anything that the policy had to stop.
    expect(browser.errors).toEqual([]);
    await server.stop();
  });

  test('an admin signs in, finds a job that failed, tries it again and signs out', async () => {
    const job = await queue.add('snapshots', { doc_id: 'no document' });
    await until('the job to fail', () => job.isFailed());
    const profile = await browser.profile({ colorScheme: 'dark' });
    const { page } = await profile.open(`${server.url}/admin/queues`);
    const picture = async (name: string): Promise<void> => {
      if (PICTURES !== '') await page.screenshot({ path: `${PICTURES}/${name}.png` });
    };
    await picture('sign-in');
    await page.getByLabel('E-mail').fill('ada@example.org');
    await page.getByLabel('Password').fill('not the password');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').filter({ hasText: 'E-mail or password is wrong.' }).waitFor();
    expect(await page.getByLabel('E-mail').inputValue()).toBe('ada@example.org');
    await page.getByLabel('Password').fill('open sesame, says the test');
    await page.getByLabel('Password').press('Enter');

    await page.waitForURL(`${server.url}/admin/queues`);
    await page
      .getByRole('link', { name: /snapshots/ })
      .first()
      .click();
    await page.getByText('Failed', { exact: false }).first().waitFor();
    await picture('queue');
    await page.goto(`${server.url}/admin/queues/queue/snapshots/${job.id}`);
    await page.getByText('no document').first().waitFor();
    await picture('job');
    await job.updateData({ doc_id: systemRandom.id() });
    // The buttons of a job have no names but what shows when one points at them: retry is the first of four.
    const retry = page.locator('xpath=//button[@role="tab"][.="Error"]/preceding::button[4]');
    await retry.hover();
    await page.getByText('Retry', { exact: true }).waitFor();
    await retry.click();
    await page.getByRole('button', { name: 'Confirm' }).click();
    await until('the job to succeed', () => job.isCompleted());

    await page.goto(`${server.url}/admin`);
    await picture('account');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Password').waitFor();
    await page.goto(`${server.url}/admin/queues`);
    await page.getByRole('button', { name: 'Sign in' }).waitFor();
  });
});
