/** Documents: made, listed, found, renamed, deleted and brought back. The rules are in src/domain/documents.ts. */
import { Elysia } from 'elysia';
import Type from 'typebox';
import { isUuid } from '../base/ids.ts';
import {
  createDocument,
  type Document,
  type DocumentParts,
  deleteDocument,
  getDocument,
  listDocuments,
  renameDocument,
  undeleteDocument,
} from '../domain/documents.ts';
import { LIMITS } from '../protocol/limits.ts';
import { ROLES } from '../protocol/messages.ts';
import { CONTENT_FORMAT, CONTENT_VALUE, revision } from './content-schemas.ts';
import { type EndpointServices, endpoint } from './endpoint.ts';
import { bodyCost } from './limits.ts';
import { idParams, moment, oneOf, PAGE_FIELDS, pageOf, readPage, strictObject, text, toPage, uuid } from './schemas.ts';

const TITLE = text(1, LIMITS.title_chars_max, 'The title; characters are Unicode code points', 'Minutes of Monday');

const DOCUMENT = strictObject({
  id: uuid(),
  title: TITLE,
  owner_id: uuid('The owner that the document is shown under; there may be others'),
  role: oneOf(ROLES, 'What the caller may do'),
  rev: revision('The head revision; in lists the one that is on disk'),
  created_at: moment('When it was made'),
  updated_at: moment('When its title or its text last changed'),
  deleted: Type.Boolean({ description: 'Only its owners see it deleted' }),
});

const EXAMPLE: Document = {
  id: '0198c5c2-7a3e-7d51-9b0a-3f6f2f1f6a10',
  title: 'Minutes of Monday',
  owner_id: '0198c5c2-11d4-7a07-8f11-2b7d1c9e4f02',
  role: 'owner',
  rev: 1,
  created_at: '2026-03-01T09:30:00.000Z',
  updated_at: '2026-03-01T09:30:00.000Z',
  deleted: false,
};

const TAG = 'Documents';

/** Longer searches are refused. */
const QUERY_CHARS_MAX = 500;

/** The routes of documents. */
export function documentRoutes(parts: DocumentParts, services: EndpointServices): Elysia {
  const app: Elysia = new Elysia({ name: 'documents' });
  addCreate(app, parts, services);
  addList(app, parts, services);
  addGet(app, parts, services);
  addRename(app, parts, services);
  addDelete(app, parts, services);
  addUndelete(app, parts, services);
  return app;
}

function addCreate(app: Elysia, parts: DocumentParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'POST',
    path: '/v1/documents',
    tag: TAG,
    summary: 'Make a document',
    description:
      'It belongs to the caller. Without content it is empty and at revision 0, with content it is at revision 1. ' +
      'This is the only time that content comes whole; later it changes by edits.',
    auth: 'user',
    body: strictObject({
      title: TITLE,
      content: Type.Optional(strictObject({ format: CONTENT_FORMAT, value: CONTENT_VALUE })),
    }),
    body_example: {
      title: 'Minutes of Monday',
      content: { format: 'markdown', value: '# Minutes\n\nAll were there.' },
    },
    body_bytes_max: LIMITS.create_body_bytes_max,
    cost: bodyCost,
    limit: 'documents',
    status: 201,
    data: DOCUMENT,
    example: EXAMPLE,
    errors: ['DOCUMENT_TOO_LARGE', 'RATE_LIMITED'],
    handle: ({ body, caller, context }) => createDocument(parts, caller.user_id, body, context),
  });
}

function addList(app: Elysia, parts: DocumentParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'GET',
    path: '/v1/documents',
    tag: TAG,
    summary: 'List the documents that the caller has a role on',
    description:
      'Newest first. `q` searches title and text (of a very long one the first million characters): all words must be ' +
      'there, the last one may be a beginning; ' +
      '`"a phrase"`, `or` and `-not` work. What was edited is found about half a minute after a pause of ten seconds.',
    auth: 'user',
    query: strictObject({
      ...PAGE_FIELDS,
      q: Type.Optional(
        Type.String({ maxLength: QUERY_CHARS_MAX, description: 'Full-text search', examples: ['minutes mon'] }),
      ),
      role: Type.Optional(oneOf(ROLES, 'Only documents on which the caller has exactly this role')),
      deleted: Type.Optional(oneOf(['true', 'false'], 'With `true` the deleted documents that the caller owns')),
    }),
    status: 200,
    data: pageOf(DOCUMENT),
    example: { items: [EXAMPLE], next_cursor: null },
    errors: [],
    handle: async ({ query, caller }) => {
      const { limit, after } = readPage(query, isUuid);
      const found = await listDocuments(parts, caller.user_id, {
        typed: query.q === undefined || query.q.trim() === '' ? null : query.q,
        role: query.role ?? null,
        deleted: query.deleted === 'true',
        after_id: after,
        count: limit + 1,
      });
      return toPage(
        found,
        limit,
        (document) => document.id,
        (document) => document,
      );
    },
  });
}

function addGet(app: Elysia, parts: DocumentParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'GET',
    path: '/v1/documents/:id',
    tag: TAG,
    summary: 'Look at a document',
    description: 'For viewers. A deleted one is shown to its owners alone.',
    auth: 'user',
    params: idParams('id'),
    status: 200,
    data: DOCUMENT,
    example: EXAMPLE,
    errors: ['NOT_FOUND'],
    handle: ({ params, caller }) => getDocument(parts, caller.user_id, params.id),
  });
}

function addRename(app: Elysia, parts: DocumentParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'PATCH',
    path: '/v1/documents/:id',
    tag: TAG,
    summary: 'Give a document another title',
    description: 'For editors.',
    auth: 'user',
    params: idParams('id'),
    body: strictObject({ title: TITLE }),
    body_example: { title: 'Minutes of Tuesday' },
    status: 200,
    data: DOCUMENT,
    example: { ...EXAMPLE, title: 'Minutes of Tuesday' },
    errors: ['NOT_FOUND', 'FORBIDDEN'],
    handle: ({ params, body, caller, context }) =>
      renameDocument(parts, caller.user_id, params.id, body.title, context),
  });
}

function addDelete(app: Elysia, parts: DocumentParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'DELETE',
    path: '/v1/documents/:id',
    tag: TAG,
    summary: 'Delete a document',
    description:
      'For owners. It is gone for everybody and open editors are sent off, but an owner can look at it and undelete it.',
    auth: 'user',
    params: idParams('id'),
    status: 200,
    data: DOCUMENT,
    example: { ...EXAMPLE, deleted: true },
    errors: ['NOT_FOUND', 'FORBIDDEN'],
    handle: ({ params, caller, context }) => deleteDocument(parts, caller.user_id, params.id, context),
  });
}

function addUndelete(app: Elysia, parts: DocumentParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'POST',
    path: '/v1/documents/:id/undelete',
    tag: TAG,
    summary: 'Bring a deleted document back',
    description: 'For owners. All who had a role on it have it again. A document that is not deleted stays as it is.',
    auth: 'user',
    params: idParams('id'),
    status: 200,
    data: DOCUMENT,
    example: EXAMPLE,
    errors: ['NOT_FOUND', 'FORBIDDEN'],
    handle: ({ params, caller, context }) => undeleteDocument(parts, caller.user_id, params.id, context),
  });
}
