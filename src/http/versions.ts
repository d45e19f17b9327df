/** Versions of a document, and going back to one. The rules are in src/domain/versions.ts and src/domain/restore.ts. */
import { Elysia } from 'elysia';
import Type from 'typebox';
import { isUuid } from '../base/ids.ts';
import { type RestoreParts, Restores } from '../domain/restore.ts';
import {
  getVersion,
  listVersions,
  nameVersion,
  readVersion,
  type Version,
  type VersionParts,
} from '../domain/versions.ts';
import { VERSION_KINDS } from '../store/versions.ts';
import { CONTENT_FORMAT, CONTENT_VALUE, revision } from './content-schemas.ts';
import { type EndpointServices, endpoint } from './endpoint.ts';
import { HISTORY_COST } from './limits.ts';
import { idParams, moment, oneOf, PAGE_FIELDS, pageOf, readPage, strictObject, text, toPage, uuid } from './schemas.ts';

/** Characters of a version's name. */
const NAME_CHARS_MAX = 255;

const NAME = text(1, NAME_CHARS_MAX, 'The name; characters are Unicode code points', 'As sent to the printer');

const VERSION = strictObject({
  id: uuid(),
  document_id: uuid(),
  rev: revision('The revision that it is'),
  name: Type.Union([NAME, Type.Null()], { description: 'Null for those that nobody named' }),
  kind: oneOf(
    VERSION_KINDS,
    '`named` by somebody; `auto`: kept after a pause in editing or many edits; `restore`: made by going back',
  ),
  created_by: uuid('Who named it or went back; of automatic ones the author of the last edit in it'),
  contributors: Type.Array(uuid(), { description: 'Who edited since the version before, by their first edit' }),
  created_at: moment('When it was made'),
});

const EXAMPLE: Version = {
  id: '0198c5c4-2f60-7b18-93ad-6a7d0c51e8b3',
  document_id: '0198c5c2-7a3e-7d51-9b0a-3f6f2f1f6a10',
  rev: 42,
  name: 'As sent to the printer',
  kind: 'named',
  created_by: '0198c5c2-93bb-7c10-8a52-6be0d4d1f7aa',
  contributors: ['0198c5c2-93bb-7c10-8a52-6be0d4d1f7aa'],
  created_at: '2026-03-01T09:30:00.000Z',
};

const TAG = 'Versions';
const LIST_PATH = '/v1/documents/:id/versions';
const ONE_PATH = '/v1/documents/:id/versions/:version_id';

/** The routes of versions. */
export function versionRoutes(parts: VersionParts, services: EndpointServices): Elysia {
  const app: Elysia = new Elysia({ name: 'versions' });
  addList(app, parts, services);
  addName(app, parts, services);
  addGet(app, parts, services);
  addContent(app, parts, services);
  return app;
}

function addList(app: Elysia, parts: VersionParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'GET',
    path: LIST_PATH,
    tag: TAG,
    summary: 'List the versions',
    description: 'For viewers. Newest first.',
    auth: 'user',
    params: idParams('id'),
    query: strictObject(PAGE_FIELDS),
    status: 200,
    data: pageOf(VERSION),
    example: { items: [EXAMPLE], next_cursor: null },
    errors: ['NOT_FOUND'],
    handle: async ({ params, query, caller }) => {
      const { limit, after } = readPage(query, isUuid);
      const page = { before_id: after, count: limit + 1 };
      const versions = await listVersions(parts, caller.user_id, params.id, page);
      return toPage(
        versions,
        limit,
        (version) => version.id,
        (version) => version,
      );
    },
  });
}

function addName(app: Elysia, parts: VersionParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'POST',
    path: LIST_PATH,
    tag: TAG,
    summary: 'Name the text as it is now',
    description: 'For editors. Answered when all that is in the version is on disk.',
    auth: 'user',
    params: idParams('id'),
    body: strictObject({ name: NAME }),
    body_example: { name: 'As sent to the printer' },
    status: 201,
    data: VERSION,
    example: EXAMPLE,
    errors: ['NOT_FOUND', 'FORBIDDEN'],
    handle: ({ params, body, caller, context }) => nameVersion(parts, caller.user_id, params.id, body.name, context),
  });
}

function addGet(app: Elysia, parts: VersionParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'GET',
    path: ONE_PATH,
    tag: TAG,
    summary: 'Look at a version',
    description: 'For viewers.',
    auth: 'user',
    params: idParams('id', 'version_id'),
    status: 200,
    data: VERSION,
    example: EXAMPLE,
    errors: ['NOT_FOUND'],
    handle: ({ params, caller }) => getVersion(parts, caller.user_id, params.id, params.version_id),
  });
}

function addContent(app: Elysia, parts: VersionParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'GET',
    path: `${ONE_PATH}/content`,
    tag: TAG,
    summary: 'Read the text of a version',
    description: 'For viewers. The same as the content at its revision.',
    auth: 'user',
    cost: HISTORY_COST,
    params: idParams('id', 'version_id'),
    query: strictObject({ format: Type.Optional(CONTENT_FORMAT) }),
    status: 200,
    data: strictObject({ rev: revision('The revision of the version'), format: CONTENT_FORMAT, value: CONTENT_VALUE }),
    example: { rev: 42, format: 'delta', value: [{ insert: 'All were there.\n' }] },
    errors: ['NOT_FOUND', 'RATE_LIMITED'],
    handle: ({ params, query, caller }) =>
      readVersion(parts, caller.user_id, params.id, params.version_id, query.format ?? 'delta'),
  });
}

/** The route of going back, which needs the document's actor. */
export function restoreRoutes(parts: RestoreParts, services: EndpointServices): Elysia {
  const restores = new Restores(parts);
  return endpoint(new Elysia({ name: 'restore' }), services, {
    method: 'POST',
    path: '/v1/documents/:id/restore',
    tag: TAG,
    summary: 'Go back to a revision or a version',
    description:
      'For editors. Name exactly one of `rev` and `version_id`. Going back is an edit forward: open editors receive it ' +
      'like any other, what is typed meanwhile stays, and the history keeps everything. The result is a version of kind ' +
      '`restore`. Where the document already is what it was then, nothing is edited, and the version is of the present ' +
      'revision; so a call may be repeated after a 503. What Yjs clients keep beside the text goes back with it.',
    auth: 'user',
    cost: HISTORY_COST,
    params: idParams('id'),
    body: strictObject({
      rev: Type.Optional(revision('The revision to go back to; beyond the head: `NOT_FOUND`')),
      version_id: Type.Optional(uuid('A version of this document')),
    }),
    body_example: { rev: 42 },
    status: 200,
    data: strictObject({
      rev: revision('The revision that the restored text stands in'),
      version_id: uuid('The version that was made of it'),
    }),
    example: { rev: 57, version_id: EXAMPLE.id },
    errors: ['NOT_FOUND', 'FORBIDDEN', 'STALE_REVISION', 'DOCUMENT_TOO_LARGE', 'RATE_LIMITED'],
    handle: ({ params, body, caller, context }) => {
      const { rev, version_id } = body;
      return restores.restore(caller.user_id, params.id, { rev, version_id: version_id?.toLowerCase() }, context);
    },
  });
}
