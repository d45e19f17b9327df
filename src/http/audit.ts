/** Who did what: of a document for its owners, of oneself, of everything for admins. The rules are in src/domain/audit.ts. */
import { Elysia } from 'elysia';
import Type from 'typebox';
import { isUuid } from '../base/ids.ts';
import {
  type AuditItem,
  type AuditKey,
  type AuditPage,
  type AuditParts,
  documentAudit,
  ownAudit,
  wholeAudit,
} from '../domain/audit.ts';
import { AUDIT_ACTIONS } from '../protocol/audit.ts';
import { type EndpointServices, endpoint } from './endpoint.ts';
import {
  idParams,
  moment,
  oneOf,
  PAGE_FIELDS,
  type Page,
  pageOf,
  readPage,
  strictObject,
  toPage,
  uuid,
} from './schemas.ts';

const maybe = <Schema extends Parameters<typeof Type.Union>[0][number]>(schema: Schema, description: string) =>
  Type.Union([schema, Type.Null()], { description });

const ACTION = oneOf(AUDIT_ACTIONS, 'What was done; a run of edits is one `document.edited`');

const ITEM = strictObject({
  id: uuid(),
  at: moment('When it was done; of a run of edits, when it ended'),
  actor_id: maybe(uuid(), 'Who did it; null when nobody was signed in'),
  action: ACTION,
  document_id: maybe(uuid(), 'The document it was done to'),
  target_id: maybe(uuid(), 'Whom or what it was done to beside the document: a user, a session, a version, a link'),
  ip: maybe(Type.String(), 'Where the request came from; null for runs of edits'),
  request_id: maybe(Type.String(), 'The `x-request-id` of the response; null for runs of edits'),
  details: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()]), {
    description: 'What else there is to say, by the action',
  }),
});

const EXAMPLE: AuditItem = {
  id: '0198c5c2-7a3e-7d51-9b0a-3f6f2f1f6a10',
  at: '2026-03-01T09:30:00.000Z',
  actor_id: '0198c5c2-11d4-7a07-8f11-2b7d1c9e4f02',
  action: 'permission.changed',
  document_id: '0198c5c2-93bb-7c10-8a52-6be0d4d1f7aa',
  target_id: '0198c5c2-5c1e-7b3f-a1d0-90c2e6b1d3f4',
  ip: '203.0.113.7',
  request_id: '0198c5c2-f00d-7000-8000-000000000001',
  details: { from: 'viewer', to: 'editor' },
};

const TAG = 'Audit';
const DATA = pageOf(ITEM);
const EXAMPLE_PAGE = { items: [EXAMPLE], next_cursor: null };

/** The audit of a document: a route of the service `documents`. */
export function documentAuditRoutes(parts: AuditParts, services: EndpointServices): Elysia {
  return endpoint(new Elysia({ name: 'document-audit' }), services, {
    method: 'GET',
    path: '/v1/documents/:id/audit',
    tag: TAG,
    summary: 'See who did what to a document',
    description:
      'For owners, newest first. Edits are told as runs: those of one person without a pause of five minutes, 500 at most.',
    auth: 'user',
    params: idParams('id'),
    query: strictObject(PAGE_FIELDS),
    status: 200,
    data: DATA,
    example: EXAMPLE_PAGE,
    errors: ['NOT_FOUND', 'FORBIDDEN'],
    handle: ({ params, query, caller }) =>
      paged(query, (page) => documentAudit(parts, caller.user_id, params.id, page)),
  });
}

/** One's own audit and everybody's: routes of the service `users`. */
export function userAuditRoutes(parts: AuditParts, services: EndpointServices): Elysia {
  const app: Elysia = new Elysia({ name: 'user-audit' });
  endpoint(app, services, {
    method: 'GET',
    path: '/v1/users/me/audit',
    tag: TAG,
    summary: 'See what you did, and what was done to you',
    description:
      'Newest first. Sign-ins that failed on your account are among it, with their address; of what others did to you ' +
      'the address is left out.',
    auth: 'user',
    query: strictObject(PAGE_FIELDS),
    status: 200,
    data: DATA,
    example: EXAMPLE_PAGE,
    errors: [],
    handle: ({ query, caller }) => paged(query, (page) => ownAudit(parts, caller.user_id, page)),
  });
  endpoint(app, services, {
    method: 'GET',
    path: '/v1/admin/audit',
    tag: TAG,
    summary: 'See everything that was done',
    description: 'For admins, newest first.',
    auth: 'admin',
    query: strictObject({
      ...PAGE_FIELDS,
      user_id: Type.Optional(uuid('Only what this user did or what was done to them')),
      document_id: Type.Optional(uuid('Only what was done to this document')),
      action: Type.Optional(ACTION),
    }),
    status: 200,
    data: DATA,
    example: EXAMPLE_PAGE,
    errors: [],
    handle: ({ query }) => {
      const { user_id = null, document_id = null, action = null } = query;
      return paged(query, (page) => wholeAudit(parts, { user_id, document_id, action }, page));
    },
  });
  return app;
}

async function paged(
  query: { readonly limit?: string; readonly cursor?: string },
  list: (page: AuditPage) => Promise<readonly AuditItem[]>,
): Promise<Page<AuditItem>> {
  const { limit, after } = readPage(query, (key) => readKey(key) !== null);
  const items = await list({ after: after === null ? null : readKey(after), count: limit + 1 });
  return toPage(
    items,
    limit,
    (item) => `${item.at} ${item.id}`,
    (item) => item,
  );
}

const KEY = /^([12]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (\S{36})$/;

function readKey(key: string): AuditKey | null {
  const [, moment, id = ''] = KEY.exec(key) ?? [];
  const at = new Date(moment ?? '');
  return Number.isNaN(at.getTime()) || !isUuid(id) ? null : { at, id };
}
