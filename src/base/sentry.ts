/**
 * Bugs told to people, through Sentry, when an address for it is set; otherwise nothing of Sentry is started. What
 * leaves the house is the error, its stack and the few ids that the caller names: none of the integrations that would
 * collect requests, console lines or environment are switched on, and every string of an event is scrubbed on its way
 * out, because error messages quote what they choked on.
 */
import { captureException, close, init, linkedErrorsIntegration, withScope } from '@sentry/bun';
import { scrub } from './secrets.ts';

/** Where bugs are told. */
export interface ErrorReporter {
  /** Never throws. `context` holds ids and names, no user text. */
  report(error: unknown, context: Readonly<Record<string, string>>): void;
  /** Sends what is under way, for at most `limit_ms`. */
  close(limit_ms: number): Promise<void>;
}

/** Tells nobody. */
export const silentReporter: ErrorReporter = {
  report: () => {},
  close: async () => {},
};

/** Facts of the process that go with every report. */
export interface ReporterFacts {
  /** The version that runs. */
  readonly release: string;
  readonly node_id: string;
}

/** Starts reporting to `dsn`; with null nothing is started and nothing is sent. */
export function createReporter(dsn: string | null, facts: ReporterFacts): ErrorReporter {
  if (dsn === null) return silentReporter;
  init({
    dsn,
    release: facts.release,
    serverName: facts.node_id,
    defaultIntegrations: false,
    integrations: [linkedErrorsIntegration()],
    maxBreadcrumbs: 0,
    beforeSend: scrubbed,
  });
  return {
    report(error, context) {
      withScope((scope) => {
        scope.setTags({ ...context });
        captureException(error);
      });
    },
    close: async (limit_ms) => {
      await close(limit_ms);
    },
  };
}

/** A deep copy of `value` with every string scrubbed. Events are trees: Sentry has normalised them before this. */
function scrubbed<Value>(value: Value): Value {
  if (typeof value === 'string') return scrub(value) as Value;
  if (Array.isArray(value)) return value.map(scrubbed) as Value;
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, scrubbed(item)])) as Value;
}
