/** Sharing a document. The rules are in src/domain/permissions.ts. */
import { Elysia } from 'elysia';
import Type from 'typebox';
import { isUuid } from '../base/ids.ts';
import {
  changePermission,
  grantPermission,
  listPermissions,
  type Permission,
  type PermissionKey,
  type PermissionParts,
  revokePermission,
} from '../domain/permissions.ts';
import { ROLES } from '../protocol/messages.ts';
import { type EndpointServices, endpoint, reply } from './endpoint.ts';
import {
  EMAIL,
  idParams,
  moment,
  oneOf,
  PAGE_FIELDS,
  pageOf,
  readPage,
  strictObject,
  toPage,
  uuid,
} from './schemas.ts';
import { DISPLAY_NAME } from './users.ts';

const ROLE = oneOf(ROLES, 'A viewer reads and shows presence, an editor also edits, an owner also shares and deletes');

/** A permission. */
export const PERMISSION = strictObject({
  document_id: uuid(),
  user_id: uuid(),
  display_name: DISPLAY_NAME,
  email: Type.String({ description: 'Empty where an identity provider has verified none' }),
  role: ROLE,
  created_at: moment('When they got a role'),
  updated_at: moment('When it last changed'),
});

/** One such permission. */
export const PERMISSION_EXAMPLE: Permission = {
  document_id: '0198c5c2-7a3e-7d51-9b0a-3f6f2f1f6a10',
  user_id: '0198c5c2-93bb-7c10-8a52-6be0d4d1f7aa',
  display_name: 'Ada',
  email: 'ada@example.org',
  role: 'editor',
  created_at: '2026-03-01T09:30:00.000Z',
  updated_at: '2026-03-01T09:30:00.000Z',
};

const TAG = 'Permissions';
const LIST_PATH = '/v1/documents/:id/permissions';
const ONE_PATH = '/v1/documents/:id/permissions/:user_id';

/** The routes of permissions. */
export function permissionRoutes(parts: PermissionParts, services: EndpointServices): Elysia {
  const app: Elysia = new Elysia({ name: 'permissions' });
  addList(app, parts, services);
  addGrant(app, parts, services);
  addChange(app, parts, services);
  addRevoke(app, parts, services);
  return app;
}

function addList(app: Elysia, parts: PermissionParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'GET',
    path: LIST_PATH,
    tag: TAG,
    summary: 'See who has a role on the document',
    description: 'For viewers. Owners first, then editors, then viewers, each by how long they have had a role.',
    auth: 'user',
    params: idParams('id'),
    query: strictObject(PAGE_FIELDS),
    status: 200,
    data: pageOf(PERMISSION),
    example: { items: [PERMISSION_EXAMPLE], next_cursor: null },
    errors: ['NOT_FOUND'],
    handle: async ({ params, query, caller }) => {
      const { limit, after } = readPage(query, (key) => readKey(key) !== null);
      const found = await listPermissions(parts, caller.user_id, params.id, {
        after: after === null ? null : readKey(after),
        count: limit + 1,
      });
      return toPage(found, limit, keyOf, (permission) => permission);
    },
  });
}

function addGrant(app: Elysia, parts: PermissionParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'POST',
    path: LIST_PATH,
    tag: TAG,
    summary: 'Give somebody a role',
    description:
      'For owners. Somebody who has a role already has the new one instead, and the answer is 200. Nobody with that ' +
      'e-mail: `NOT_FOUND`. The last owner cannot be demoted: `CONFLICT`. Open editors obey at once.',
    auth: 'user',
    params: idParams('id'),
    body: strictObject({ email: EMAIL, role: ROLE }),
    body_example: { email: 'ada@example.org', role: 'editor' },
    status: 201,
    other_status: 200,
    data: PERMISSION,
    example: PERMISSION_EXAMPLE,
    errors: ['NOT_FOUND', 'FORBIDDEN', 'CONFLICT'],
    handle: async ({ params, body, caller, context }) => {
      const { created, permission } = await grantPermission(parts, caller.user_id, params.id, body, context);
      return reply(created ? 201 : 200, permission);
    },
  });
}

function addChange(app: Elysia, parts: PermissionParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'PUT',
    path: ONE_PATH,
    tag: TAG,
    summary: "Change somebody's role",
    description: 'For owners. The last owner cannot be demoted: `CONFLICT`. Open editors obey at once.',
    auth: 'user',
    params: idParams('id', 'user_id'),
    body: strictObject({ role: ROLE }),
    body_example: { role: 'viewer' },
    status: 200,
    data: PERMISSION,
    example: { ...PERMISSION_EXAMPLE, role: 'viewer' },
    errors: ['NOT_FOUND', 'FORBIDDEN', 'CONFLICT'],
    handle: ({ params, body, caller, context }) =>
      changePermission(parts, caller.user_id, params.id, params.user_id, body.role, context),
  });
}

function addRevoke(app: Elysia, parts: PermissionParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'DELETE',
    path: ONE_PATH,
    tag: TAG,
    summary: "Take somebody's role away, or leave",
    description:
      'For owners, and for everybody about themselves. The last owner cannot go: `CONFLICT`. Open editors are sent off.',
    auth: 'user',
    params: idParams('id', 'user_id'),
    status: 200,
    data: strictObject({}),
    example: {},
    errors: ['NOT_FOUND', 'FORBIDDEN', 'CONFLICT'],
    handle: async ({ params, caller, context }) => {
      await revokePermission(parts, caller.user_id, params.id, params.user_id, context);
      return {};
    },
  });
}

function keyOf(permission: Permission): string {
  return `${permission.role} ${permission.created_at} ${permission.user_id}`;
}

const KEY = /^(owner|editor|viewer) ([12]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (\S{36})$/;

function readKey(key: string): PermissionKey | null {
  const [, named, moment, user_id = ''] = KEY.exec(key) ?? [];
  const role = ROLES.find((name) => name === named);
  const created_at = new Date(moment ?? '');
  if (role === undefined || Number.isNaN(created_at.getTime()) || !isUuid(user_id)) return null;
  return { role, created_at, user_id };
}
