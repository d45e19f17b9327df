/**
 * The queue dashboard is bull-board: its API over BullMQ, its page and its files out of node_modules. bull-board is made
 * for a web framework's adapter to register its routes; here they are only collected, and the HTTP floor serves them
 * behind its own locks.
 *
 * The page comes as a template that names a font on a host of others. That line is left out, since the dashboard must
 * work without internet and tell nobody that it is open; the style sheet falls back to the fonts of the system.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type {
  AppControllerRoute,
  AppViewRoute,
  BullBoardQueues,
  ControllerHandlerReturnType,
  IServerAdapter,
  UIConfig,
} from '@bull-board/api/typings/app';
import type { Queue } from 'bullmq';
import type { BoardAnswer, BoardRequest, BoardRoute, QueueBoard } from '../domain/queue-board.ts';

/** What bull-board hands to an adapter, as far as it has. */
interface Collected {
  queues: BullBoardQueues;
  config: UIConfig;
  views: string;
  entry: AppViewRoute | null;
  routes: readonly AppControllerRoute[];
  onError: (error: Error) => ControllerHandlerReturnType;
}

/** Makes the dashboard of these queues, to be served at `base_path`; its link for signing out leads to `account_path`. */
export function createQueueBoard(
  queues: readonly Queue[],
  paths: { readonly base_path: string; readonly account_path: string },
): QueueBoard {
  const collected: Collected = { queues: new Map(), config: {}, views: '', entry: null, routes: [], onError: rethrow };
  createBullBoard({
    queues: queues.map((queue) => new BullMQAdapter(queue)),
    serverAdapter: collectingAdapter(collected),
    options: {
      uiConfig: {
        boardTitle: 'Concord queues',
        hideDocsLink: true,
        miscLinks: [{ text: 'Sign out', url: paths.account_path }],
      },
    },
  });
  const { entry, views } = collected;
  if (entry === null) throw new Error('bull-board has no page');
  const { name, params } = entry.handler({ basePath: paths.base_path, uiConfig: collected.config });
  return {
    routes: collected.routes.flatMap((route) => routesOf(route, collected)),
    pages: listed(entry.route),
    page: fillTemplate(readFileSync(join(views, name), 'utf8'), params),
    files: filesOf(views),
  };
}

function rethrow(error: Error): never {
  throw error;
}

function collectingAdapter(collected: Collected): IServerAdapter {
  const adapter: IServerAdapter = {
    setQueues(queues) {
      collected.queues = queues;
      return adapter;
    },
    setViewsPath(path) {
      collected.views = path;
      return adapter;
    },
    // Files are found below the views, under the addresses that the page names.
    setStaticPath: () => adapter,
    setEntryRoute(route) {
      collected.entry = route;
      return adapter;
    },
    setErrorHandler(handler) {
      collected.onError = handler;
      return adapter;
    },
    setApiRoutes(routes) {
      collected.routes = routes;
      return adapter;
    },
    setUIConfig(config) {
      collected.config = config;
      return adapter;
    },
  };
  return adapter;
}

function routesOf(route: AppControllerRoute, collected: Collected): BoardRoute[] {
  const handle = async ({ params, query, body }: BoardRequest): Promise<BoardAnswer> => {
    const { queues, config } = collected;
    const request = {
      queues,
      uiConfig: config,
      params: { ...params },
      query: { ...query },
      body: { ...body },
      headers: {},
    };
    const { status, body: answer } = await Promise.resolve(route.handler(request)).catch(collected.onError);
    return { status: status ?? 200, body: answer };
  };
  return listed(route.method).flatMap((method) =>
    listed(route.route).map((path) => ({ method: method.toUpperCase() as BoardRoute['method'], path, handle })),
  );
}

function listed<T>(one_or_many: T | readonly T[]): readonly T[] {
  return Array.isArray(one_or_many) ? one_or_many : [one_or_many as T];
}

/** What the template leaves open: `<%= name %>` as text, `<%- name %>` as it is. */
const PLACEHOLDER = /<%([=-])\s*(\w+)\s*%>/g;
/** A style sheet of another host. */
const FOREIGN_LINK = /<link href="https?:[^>]*>\s*/g;

function fillTemplate(template: string, params: Readonly<Record<string, string>>): string {
  return template.replace(FOREIGN_LINK, '').replace(PLACEHOLDER, (_, kind: string, name: string) => {
    const value = params[name];
    if (value === undefined) throw new Error(`bull-board's page asks for ${name}, which nobody knows`);
    return kind === '=' ? Bun.escapeHTML(value) : value;
  });
}

function filesOf(views: string): ReadonlyMap<string, string> {
  const names = [...new Bun.Glob('static/**/*').scanSync({ cwd: views, onlyFiles: true })];
  return new Map(names.map((name) => [`/${name}`, join(views, name)]));
}
