/** One's own account, and the names of others: the routes of `/v1/users`. */
import { Elysia } from 'elysia';
import Type from 'typebox';
import type { Accounts } from '../domain/accounts.ts';
import { LIMITS } from '../protocol/limits.ts';
import { type EndpointServices, endpoint } from './endpoint.ts';
import { idParams, moment, oneOf, strictObject, text, uuid } from './schemas.ts';

/** What these routes work with. */
export interface UserParts {
  readonly accounts: Accounts;
  /** The identity provider that keeps passwords instead of us; absent or null: we do. */
  readonly issuer?: string | null;
}

/** A password, whatever it is worth: its strength is judged where it is set. */
export const PASSWORD = Type.String({
  maxLength: LIMITS.password_chars_max,
  description: `At least ${LIMITS.password_chars_min} characters where it is set, none of the most used ones`,
  examples: ['analytical engine no. 1'],
});

/** The name that others see. */
export const DISPLAY_NAME = text(1, LIMITS.display_name_chars_max, 'What others see', 'Ada Lovelace');

/** An account as its owner sees it. */
export const USER = strictObject({
  id: uuid(),
  email: Type.String({ description: 'As it was typed; empty where an identity provider has verified none' }),
  display_name: Type.String(),
  role: oneOf(['user', 'admin'], 'Being an admin opens no document'),
  created_at: moment('When the account was made'),
  updated_at: moment('When it last changed'),
});

/** One such account. */
export const USER_EXAMPLE = {
  id: '0198c5c2-7a3e-7d51-9b0a-3f6f2f1f6a10',
  email: 'ada@example.org',
  display_name: 'Ada Lovelace',
  role: 'user',
  created_at: '2026-03-01T09:30:00.000Z',
  updated_at: '2026-03-01T09:30:00.000Z',
} as const;

const NAME = strictObject({ id: uuid(), display_name: Type.String() });
const NOTHING = strictObject({}, 'Nothing');
const TAG = 'Users';
const ME = '/v1/users/me';

/** The routes of `/v1/users`. */
export function userRoutes(parts: UserParts, services: EndpointServices): Elysia {
  const app: Elysia = new Elysia({ name: 'users' });
  profileRoutes(app, parts, services);
  if ((parts.issuer ?? null) === null) passwordRoutes(app, parts, services);
  eraseRoutes(app, parts, services);
  return app;
}

function profileRoutes(app: Elysia, { accounts }: UserParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'GET',
    path: ME,
    tag: TAG,
    summary: 'Your account',
    description: 'The account of the access token.',
    auth: 'user',
    status: 200,
    data: USER,
    example: USER_EXAMPLE,
    errors: ['NOT_FOUND'],
    handle: ({ caller }) => accounts.own(caller.user_id),
  });
  endpoint(app, services, {
    method: 'PATCH',
    path: ME,
    tag: TAG,
    summary: 'Change your name',
    description: 'The name is what others see; the e-mail is what you sign in with and stays.',
    auth: 'user',
    body: strictObject({ display_name: DISPLAY_NAME }),
    body_example: { display_name: 'Augusta Ada King' },
    status: 200,
    data: USER,
    example: { ...USER_EXAMPLE, display_name: 'Augusta Ada King' },
    errors: ['NOT_FOUND'],
    handle: ({ body, caller }) => accounts.rename(caller.user_id, body.display_name),
  });
  endpoint(app, services, {
    method: 'GET',
    path: '/v1/users/:user_id',
    tag: TAG,
    summary: 'Name of a user',
    description: 'For showing who wrote what. An erased account is "Deleted user".',
    auth: 'user',
    params: idParams('user_id'),
    status: 200,
    data: NAME,
    example: { id: USER_EXAMPLE.id, display_name: USER_EXAMPLE.display_name },
    errors: ['NOT_FOUND'],
    handle: ({ params }) => accounts.nameOf(params.user_id),
  });
}

function passwordRoutes(app: Elysia, { accounts }: UserParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'POST',
    path: `${ME}/password`,
    tag: TAG,
    summary: 'Change your password',
    description: 'Ends all your other sessions.',
    auth: 'user',
    body: strictObject({ current_password: PASSWORD, new_password: PASSWORD }),
    body_example: { current_password: 'analytical engine no. 1', new_password: 'difference engine no. 2' },
    status: 200,
    data: NOTHING,
    example: {},
    errors: ['INVALID_CREDENTIALS', 'WEAK_PASSWORD'],
    async handle({ body, caller, context }) {
      const change = () => accounts.changePassword(caller, body, context);
      await (services.limits === null ? change() : services.limits.password(context, caller.user_id, change));
      return {};
    },
  });
}

function eraseRoutes(app: Elysia, { accounts }: UserParts, services: EndpointServices): void {
  endpoint(app, services, {
    method: 'DELETE',
    path: ME,
    tag: TAG,
    summary: 'Erase your account',
    description:
      'Erases your personal data and ends all your sessions. Documents with another owner pass on; those that were yours alone are deleted. What you wrote stays, by "Deleted user". An account that an identity provider signs in has no password: send an empty one.',
    auth: 'user',
    body: strictObject({ password: PASSWORD }),
    body_example: { password: 'analytical engine no. 1' },
    status: 200,
    data: NOTHING,
    example: {},
    errors: ['INVALID_CREDENTIALS'],
    async handle({ body, caller, context }) {
      const erase = () => accounts.erase(caller, body.password, context);
      await (services.limits === null ? erase() : services.limits.password(context, caller.user_id, erase));
      return {};
    },
  });
}
