/** Share links. The rules are in src/domain/links.ts. */
import { Elysia } from 'elysia';
import Type from 'typebox';
import { isUuid } from '../base/ids.ts';
import { createLink, type LinkParts, listLinks, redeemLink, revokeLink } from '../domain/links.ts';
import { type EndpointServices, endpoint } from './endpoint.ts';
import { PERMISSION, PERMISSION_EXAMPLE } from './permissions.ts';
import { idParams, moment, oneOf, PAGE_FIELDS, pageOf, readPage, strictObject, text, toPage, uuid } from './schemas.ts';

const ROLE = oneOf(['editor', 'viewer'], 'What the link gives; nobody becomes an owner by a link');

const EXPIRES_AT = Type.Union([
  Type.String({
    format: 'date-time',
    maxLength: 40,
    description: 'When it stops working, in the future',
    examples: ['2026-04-01T00:00:00.000Z'],
    'x-refusal': 'must be a time such as 2026-04-01T00:00:00.000Z',
  }),
  Type.Null(),
]);

const LINK_FIELDS = {
  id: uuid(),
  document_id: uuid(),
  role: ROLE,
  expires_at: Type.Union([moment('When it stops working'), Type.Null()], { description: 'Null: never' }),
  created_at: moment('When it was made'),
};
const LINK = strictObject(LINK_FIELDS, 'Without the token, which is shown once and kept only as a hash');
const TOKEN = text(1, 512, 'The token of a link: 43 characters', 'c2hhcmUgdGhpcyB3aXRoIGNhcmUsIGl0IGlzIGEga2V5');
const NEW_LINK = strictObject({ ...LINK_FIELDS, token: TOKEN });

const EXAMPLE = {
  id: '0198c5c2-a1d4-7be2-8f0e-5d0a3c9f7b21',
  document_id: '0198c5c2-7a3e-7d51-9b0a-3f6f2f1f6a10',
  role: 'viewer',
  expires_at: '2026-04-01T00:00:00.000Z',
  created_at: '2026-03-01T09:30:00.000Z',
} as const;
const TOKEN_EXAMPLE = 'c2hhcmUgdGhpcyB3aXRoIGNhcmUsIGl0IGlzIGEga2V5';

const TAG = 'Links';
const LIST_PATH = '/v1/documents/:id/links';

/** The routes of links. */
export function linkRoutes(parts: LinkParts, services: EndpointServices): Elysia {
  const app: Elysia = new Elysia({ name: 'links' });
  addList(app, parts, services);
  addCreate(app, parts, services);
  addRevoke(app, parts, services);
  addRedeem(app, parts, services);
  return app;
}

function addList(app: Elysia, parts: LinkParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'GET',
    path: LIST_PATH,
    tag: TAG,
    summary: 'See the links of the document',
    description: 'For owners. Newest first, expired ones too; a revoked link is gone. Tokens are not shown again.',
    auth: 'user',
    params: idParams('id'),
    query: strictObject(PAGE_FIELDS),
    status: 200,
    data: pageOf(LINK),
    example: { items: [EXAMPLE], next_cursor: null },
    errors: ['NOT_FOUND', 'FORBIDDEN'],
    handle: async ({ params, query, caller }) => {
      const { limit, after } = readPage(query, isUuid);
      const found = await listLinks(parts, caller.user_id, params.id, { after, count: limit + 1 });
      return toPage(
        found,
        limit,
        (link) => link.id,
        (link) => link,
      );
    },
  });
}

function addCreate(app: Elysia, parts: LinkParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'POST',
    path: LIST_PATH,
    tag: TAG,
    summary: 'Make a link that gives a role',
    description:
      'For owners. Whoever is signed in and has the token can redeem it, any number of people, until it expires or is ' +
      'revoked. The token is shown this once. A document with 100 links takes no more: `CONFLICT`.',
    auth: 'user',
    params: idParams('id'),
    body: strictObject({ role: ROLE, expires_at: Type.Optional(EXPIRES_AT) }),
    body_example: { role: 'viewer', expires_at: EXAMPLE.expires_at },
    status: 201,
    data: NEW_LINK,
    example: { ...EXAMPLE, token: TOKEN_EXAMPLE },
    errors: ['NOT_FOUND', 'FORBIDDEN', 'CONFLICT'],
    handle: ({ params, body, caller, context }) => createLink(parts, caller.user_id, params.id, body, context),
  });
}

function addRevoke(app: Elysia, parts: LinkParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'DELETE',
    path: `${LIST_PATH}/:link_id`,
    tag: TAG,
    summary: 'Revoke a link',
    description: 'For owners. Nobody can redeem it from now on; who has a role by it keeps that.',
    auth: 'user',
    params: idParams('id', 'link_id'),
    status: 200,
    data: strictObject({}),
    example: {},
    errors: ['NOT_FOUND', 'FORBIDDEN'],
    handle: async ({ params, caller, context }) => {
      await revokeLink(parts, caller.user_id, params.id, params.link_id, context);
      return {};
    },
  });
}

function addRedeem(app: Elysia, parts: LinkParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'POST',
    path: '/v1/links/redeem',
    tag: TAG,
    summary: 'Get the role that a link gives',
    description:
      'Raises your role and never lowers it; doing it again changes nothing. Open editors obey at once. A link that is ' +
      'unknown, expired or revoked, or whose document is deleted: `NOT_FOUND`, which it is not told.',
    auth: 'user',
    body: strictObject({ token: TOKEN }),
    body_example: { token: TOKEN_EXAMPLE },
    status: 200,
    data: PERMISSION,
    example: { ...PERMISSION_EXAMPLE, role: 'viewer' },
    errors: ['NOT_FOUND'],
    handle: ({ body, caller, context }) => redeemLink(parts, caller.user_id, body.token, context),
  });
}
