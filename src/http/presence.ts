/** Who is on a document just now. The rules are in src/domain/content.ts. */
import { Elysia } from 'elysia';
import Type from 'typebox';
import { type ContentParts, listPresence, presenceKey } from '../domain/content.ts';
import { type EndpointServices, endpoint } from './endpoint.ts';
import { idParams, moment, oneOf, PAGE_FIELDS, pageOf, readPage, strictObject, toPage, uuid } from './schemas.ts';
import { DISPLAY_NAME } from './users.ts';

const PRESENCE = strictObject({
  user_id: uuid(),
  display_name: DISPLAY_NAME,
  client_id: uuid('The connection'),
  status: oneOf(['joined', 'active'], '`joined` until it first showed something of itself'),
  state: Type.Record(Type.String(), Type.Unknown(), {
    description: 'What the client shows of itself; `cursor` in UTF-16 code units of the text',
    examples: [{ cursor: { index: 5, length: 0 } }],
  }),
  since: moment('When this connection joined'),
});

/** The routes of presence. */
export function presenceRoutes(parts: ContentParts, services: EndpointServices): Elysia {
  return endpoint(new Elysia({ name: 'presence' }), services, {
    method: 'GET',
    path: '/v1/documents/:id/presence',
    tag: 'Content',
    summary: 'See who is on the document',
    description: 'For viewers. One entry for each connection of any door, by when it joined.',
    auth: 'user',
    params: idParams('id'),
    query: strictObject(PAGE_FIELDS),
    status: 200,
    data: pageOf(PRESENCE),
    example: {
      items: [
        {
          user_id: '0198c5c2-11d4-7a07-8f11-2b7d1c9e4f02',
          display_name: 'Ada',
          client_id: '0198c5c3-0b1e-7f43-a1c9-5d20c7f3a9e4',
          status: 'active',
          state: { cursor: { index: 5, length: 0 } },
          since: '2026-03-01T09:30:00.000Z',
        },
      ],
      next_cursor: null,
    },
    errors: ['NOT_FOUND'],
    handle: async ({ params, query, caller }) => {
      const { limit, after } = readPage(query, isPresenceKey);
      const entries = await listPresence(parts, caller.user_id, params.id, { after, count: limit + 1 });
      return toPage(entries, limit, presenceKey, (entry) => entry);
    },
  });
}

function isPresenceKey(key: string): boolean {
  return /^\d{4}-\d\d-\d\dT[\d:.]{12}Z [0-9a-f-]{36} [0-9a-f-]{36}$/.test(key);
}
