/** Which nodes there are and what is open on them, for admins. The rules are in src/domain/cluster.ts. */
import { Elysia } from 'elysia';
import Type from 'typebox';
import { isUuid } from '../base/ids.ts';
import { type ClusterParts, listActors, listNodes } from '../domain/cluster.ts';
import { type EndpointServices, endpoint } from './endpoint.ts';
import { moment, PAGE_FIELDS, pageOf, readPage, strictObject, toPage, uuid } from './schemas.ts';

const count = (description: string) => Type.Integer({ minimum: 0, description });

const NODE = strictObject({
  node_id: Type.String({ description: 'Its name, `NODE_ID`' }),
  boot_id: uuid('Which start of it this is'),
  services: Type.Array(Type.String(), { description: 'What it runs' }),
  started_at: moment('When it was started'),
  last_beat_at: moment(
    'When it last said that it lives; every two seconds, and a minute later it is not shown any more',
  ),
  actors: count('Documents open there'),
  sockets: count('Sockets open there'),
});

const ACTOR = strictObject({
  doc_id: uuid(),
  node_id: Type.String({ description: 'Where the actor is' }),
  epoch: count('The epoch it writes under; 0 while it is being claimed'),
  rev: count('Its head'),
  durable_rev: count('Up to where it is on disk'),
  connections: count('Connections on it, of all nodes'),
  backlog: count('Revisions that are not on disk'),
  state: Type.String({ description: 'Where its statechart is', examples: ['owned active clean held'] }),
});

const TAG = 'Operations';

/** The routes of the cluster. */
export function clusterRoutes(parts: ClusterParts, services: EndpointServices): Elysia {
  const app: Elysia = new Elysia({ name: 'cluster' });
  endpoint(app, services, {
    method: 'GET',
    path: '/v1/admin/nodes',
    tag: TAG,
    summary: 'See the nodes',
    description: 'For admins, by name.',
    auth: 'admin',
    query: strictObject(PAGE_FIELDS),
    status: 200,
    data: pageOf(NODE),
    example: {
      items: [
        {
          node_id: 'collaboration-1',
          boot_id: '0198c5c2-7a3e-7d51-9b0a-3f6f2f1f6a10',
          services: ['collaboration'],
          started_at: '2026-03-01T09:00:00.000Z',
          last_beat_at: '2026-03-01T09:30:00.000Z',
          actors: 112,
          sockets: 480,
        },
      ],
      next_cursor: null,
    },
    errors: [],
    handle: async ({ query }) => {
      const { limit, after } = readPage(query, (key) => key !== '');
      const items = await listNodes(parts, after ?? '', limit + 1);
      return toPage(
        items,
        limit,
        ({ node_id }) => node_id,
        (item) => item,
      );
    },
  });
  endpoint(app, services, {
    method: 'GET',
    path: '/v1/admin/actors',
    tag: TAG,
    summary: 'See the open documents',
    description: 'For admins, by document. A node that does not answer is left out.',
    auth: 'admin',
    query: strictObject(PAGE_FIELDS),
    status: 200,
    data: pageOf(ACTOR),
    example: {
      items: [
        {
          doc_id: '0198c5c2-93bb-7c10-8a52-6be0d4d1f7aa',
          node_id: 'collaboration-1',
          epoch: 3,
          rev: 1042,
          durable_rev: 1040,
          connections: 5,
          backlog: 2,
          state: 'owned active flushing held',
        },
      ],
      next_cursor: null,
    },
    errors: [],
    handle: async ({ query }) => {
      const { limit, after } = readPage(query, isUuid);
      const items = await listActors(parts, after ?? '', limit + 1);
      return toPage(
        items,
        limit,
        ({ doc_id }) => doc_id,
        (item) => item,
      );
    },
  });
  return app;
}
