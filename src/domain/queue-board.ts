/**
 * What the queue dashboard consists of, as the HTTP floor serves it and the floor of the workers supplies it: routes that
 * answer in JSON, one page that its script turns into all others, and files that the page loads.
 */

/** A request to the dashboard, read. */
export interface BoardRequest {
  /** Path parameters, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  /** Parsed JSON; an empty object when nothing was sent. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** What the dashboard answers; `body` is JSON in the form its page expects. */
export interface BoardAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** One route of the dashboard. */
export interface BoardRoute {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH';
  /** Below the dashboard's address, with parameters as `:name`. */
  readonly path: string;
  /** Rejects when the queues are away. */
  handle(request: BoardRequest): Promise<BoardAnswer>;
}

/** See the head of this file. */
export interface QueueBoard {
  readonly routes: readonly BoardRoute[];
  /** Addresses below the dashboard's that all show the page, with parameters as `:name`. */
  readonly pages: readonly string[];
  /** The page, as HTML. */
  readonly page: string;
  /** Files that the page loads: address below the dashboard's, and where the file lies. */
  readonly files: ReadonlyMap<string, string>;
}
