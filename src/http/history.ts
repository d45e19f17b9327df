/** What changed, who edited when and who wrote what. The rules are in src/domain/history.ts. */
import { Elysia } from 'elysia';
import Type from 'typebox';
import { type HistoryParts, listRuns, readAttribution, readDiff } from '../domain/history.ts';
import { deltaOps, revision } from './content-schemas.ts';
import { type EndpointServices, endpoint, Prepared } from './endpoint.ts';
import { HISTORY_COST } from './limits.ts';
import { idParams, moment, PAGE_FIELDS, pageOf, readPage, strictObject, toPage, uuid } from './schemas.ts';

const TAG = 'History';
const UTF_8 = new TextEncoder();
const USER_ID = '0198c5c2-11d4-7a07-8f11-2b7d1c9e4f02';

/** A revision that must be named, as digits. */
function revisionQuery(description: string) {
  return Type.String({
    pattern: '^(?:0|[1-9][0-9]{0,14})$',
    description: `${description}; beyond the head: \`NOT_FOUND\``,
    examples: ['42'],
    'x-refusal': 'must be a revision, a whole number from 0',
  });
}

function units(description: string) {
  return Type.Integer({
    minimum: 0,
    description: `${description}, in UTF-16 code units; an embed is one`,
    examples: [7],
  });
}

const RUN = strictObject({
  from_rev: revision('Its first revision'),
  to_rev: revision('Its last'),
  user_id: uuid('Who edited; an erased user keeps the id'),
  started_at: moment('When the first edit was made'),
  ended_at: moment('When the last was'),
  inserted: units('What its edits inserted, one by one'),
  deleted: units('What they deleted'),
});

/** The routes of history. */
export function historyRoutes(parts: HistoryParts, services: EndpointServices): Elysia {
  const app: Elysia = new Elysia({ name: 'history' });
  addDiff(app, parts, services);
  addRuns(app, parts, services);
  addAttribution(app, parts, services);
  return app;
}

function addDiff(app: Elysia, parts: HistoryParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'GET',
    path: '/v1/documents/:id/diff',
    tag: TAG,
    summary: 'See what changed',
    description:
      'For viewers. The ops that turn the text at `from` into the text at `to`: all edits in between as one. What was ' +
      'deleted and typed again is told as that. With `from` the later one they undo those edits.',
    auth: 'user',
    cost: HISTORY_COST,
    params: idParams('id'),
    query: strictObject({ from: revisionQuery('Where to start'), to: revisionQuery('Where to end') }),
    status: 200,
    data: strictObject({
      from: revision('Where it starts'),
      to: revision('Where it ends'),
      delta: deltaOps('What turns the one text into the other; empty when they are the same'),
      inserted: units('What `delta` inserts'),
      deleted: units('What it deletes'),
    }),
    example: { from: 40, to: 42, delta: [{ retain: 5 }, { insert: ' there' }, { delete: 1 }], inserted: 6, deleted: 1 },
    errors: ['NOT_FOUND', 'RATE_LIMITED'],
    handle: ({ params, query, caller }) =>
      readDiff(parts, caller.user_id, params.id, { from: Number(query.from), to: Number(query.to) }),
  });
}

function addRuns(app: Elysia, parts: HistoryParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'GET',
    path: '/v1/documents/:id/history',
    tag: TAG,
    summary: 'See who edited when',
    description:
      'For viewers. Runs of edits, newest first: consecutive revisions of one user without a pause of five minutes.',
    auth: 'user',
    params: idParams('id'),
    query: strictObject(PAGE_FIELDS),
    status: 200,
    data: pageOf(RUN),
    example: {
      items: [
        {
          from_rev: 40,
          to_rev: 42,
          user_id: USER_ID,
          started_at: '2026-03-01T09:30:00.000Z',
          ended_at: '2026-03-01T09:31:10.250Z',
          inserted: 12,
          deleted: 1,
        },
      ],
      next_cursor: null,
    },
    errors: ['NOT_FOUND', 'RATE_LIMITED'],
    handle: async ({ params, query, caller }) => {
      const { limit, after } = readPage(query, (key) => /^[1-9]\d{0,14}$/.test(key));
      const before = after === null ? null : Number(after);
      const runs = await listRuns(parts, caller.user_id, params.id, { before, count: limit + 1 });
      return toPage(
        runs,
        limit,
        (run) => String(run.from_rev),
        (run) => run,
      );
    },
  });
}

async function* attributionJson(rev: number, runs_json: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  yield UTF_8.encode(`{"rev":${rev},"runs":`);
  yield* runs_json;
  yield UTF_8.encode('}');
}

function addAttribution(app: Elysia, parts: HistoryParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'GET',
    path: '/v1/documents/:id/attribution',
    tag: TAG,
    summary: 'See who wrote what',
    description:
      'For viewers. Author, revision and time of each stretch of the text as it is on disk at `rev`, from its start to ' +
      'its end without gaps. Formatting a stretch does not change its author. Authors are those that were signed in.',
    auth: 'user',
    cost: HISTORY_COST,
    params: idParams('id'),
    status: 200,
    data: strictObject({
      rev: revision('The revision of the text'),
      runs: Type.Array(
        strictObject({
          start: units('Where the stretch starts'),
          length: units('How long it is'),
          user_id: uuid('Who wrote it; an erased user keeps the id'),
          rev: revision('The revision that brought it'),
          at: moment('When that was made'),
        }),
      ),
    }),
    example: {
      rev: 42,
      runs: [{ start: 0, length: 16, user_id: USER_ID, rev: 1, at: '2026-03-01T09:30:00.000Z' }],
    },
    errors: ['NOT_FOUND', 'RATE_LIMITED'],
    handle: async ({ params, caller }) => {
      const { rev, runs_json } = await readAttribution(parts, caller.user_id, params.id);
      return new Prepared(attributionJson(rev, runs_json));
    },
  });
}
