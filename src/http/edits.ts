/** Edits from programs, without a socket. The rules are in src/domain/content.ts. */
import { Elysia } from 'elysia';
import Type from 'typebox';
import { type ContentParts, editContent } from '../domain/content.ts';
import { deltaOps, revision } from './content-schemas.ts';
import { type EndpointServices, endpoint } from './endpoint.ts';
import { idParams, strictObject, uuid } from './schemas.ts';

/** The routes of edits. */
export function editRoutes(parts: ContentParts, services: EndpointServices): Elysia {
  return endpoint(new Elysia({ name: 'edits' }), services, {
    method: 'POST',
    path: '/v1/documents/:id/edits',
    tag: 'Content',
    summary: 'Edit the text',
    description:
      'For editors. Answered when the edit is on disk; open editors see it at once. The delta is transformed from ' +
      '`base_rev` to the present, or applied to the present text when that is absent. A caller that numbers its edits ' +
      'with `seq` (1, 2, 3… for one `client_id`) may send one again without harm, after a 503 or a broken connection.',
    auth: 'user',
    params: idParams('id'),
    body: strictObject({
      changes: strictObject({
        delta: deltaOps('The edit'),
        base_rev: Type.Optional(revision('The revision that the delta was made against; the present one when absent')),
      }),
      client_id: Type.Optional(uuid('A name that the caller keeps over its edits')),
      seq: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: Number.MAX_SAFE_INTEGER,
          description: 'Counts the edits of `client_id`, which it needs',
          examples: [1],
        }),
      ),
    }),
    body_example: {
      changes: { delta: [{ retain: 5 }, { insert: ' world' }], base_rev: 42 },
      client_id: '0198c5c3-0b1e-7f43-a1c9-5d20c7f3a9e4',
      seq: 1,
    },
    status: 200,
    data: strictObject({ rev: revision('The revision that the edit became') }),
    example: { rev: 43 },
    errors: ['NOT_FOUND', 'FORBIDDEN', 'STALE_REVISION', 'DOCUMENT_TOO_LARGE', 'RATE_LIMITED'],
    handle: ({ params, body, caller }) =>
      editContent(parts, caller.user_id, params.id, {
        delta: body.changes.delta,
        base_rev: body.changes.base_rev ?? null,
        client_id: body.client_id?.toLowerCase() ?? null,
        seq: body.seq ?? null,
      }),
  });
}
