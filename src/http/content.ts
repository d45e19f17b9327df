/** The text of a document, in any format and at any revision. The rules are in src/domain/content.ts. */
import { Elysia } from 'elysia';
import Type from 'typebox';
import { type ContentParts, readContent } from '../domain/content.ts';
import { CONTENT_FORMAT, CONTENT_VALUE, REV_QUERY, revision } from './content-schemas.ts';
import { type EndpointServices, endpoint } from './endpoint.ts';
import { contentCost } from './limits.ts';
import { idParams, strictObject } from './schemas.ts';

/** The routes of content. */
export function contentRoutes(parts: ContentParts, services: EndpointServices): Elysia {
  return endpoint(new Elysia({ name: 'content' }), services, {
    method: 'GET',
    path: '/v1/documents/:id/content',
    tag: 'Content',
    summary: 'Read the text',
    description:
      'For viewers. What is being typed just now is in it, even before it is on disk. With `rev` the text as it was ' +
      'at that revision.',
    auth: 'user',
    cost: contentCost,
    params: idParams('id'),
    query: strictObject({ format: Type.Optional(CONTENT_FORMAT), rev: REV_QUERY }),
    status: 200,
    data: strictObject({ rev: revision('The revision of this text'), format: CONTENT_FORMAT, value: CONTENT_VALUE }),
    example: { rev: 42, format: 'delta', value: [{ insert: 'All were there.\n' }] },
    errors: ['NOT_FOUND', 'RATE_LIMITED'],
    handle: ({ params, query, caller }) =>
      readContent(parts, caller.user_id, params.id, {
        format: query.format ?? 'delta',
        ...(query.rev === undefined ? {} : { rev: Number(query.rev) }),
      }),
  });
}
