/**
 * The one log: JSON lines on stdout with `timestamp`, `level`, `service` and whatever context the caller has
 * (`request_id`, `user_id`, `doc_id`). Redaction lives here, below everyone, so that no caller can forget it: a secret
 * under any of the named keys is replaced before it is written, at the top and up to two levels down, and what errors say
 * is scrubbed (secrets.ts), since they quote what they choked on.
 */
import pino from 'pino';
import { isoTime, systemClock } from './clock.ts';
import { REDACTED, SECRET_KEYS, scrub } from './secrets.ts';

/** A logger; children add context. */
export type Log = pino.Logger;

/** Options of {@link createLog}. */
export interface LogOptions {
  readonly level: string;
  /** Which services this process runs, e.g. `all` or `users,documents`. */
  readonly service: string;
  readonly node_id: string;
  /** Where lines go; stdout when absent. */
  readonly destination?: pino.DestinationStream;
}

/** Makes the root logger of a process. */
export function createLog(options: LogOptions): Log {
  const settings: pino.LoggerOptions = {
    level: options.level,
    base: { service: options.service, node_id: options.node_id },
    messageKey: 'message',
    timestamp: () => `,"timestamp":"${isoTime(systemClock.now())}"`,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: SECRET_KEYS.flatMap((key) => ['', '*', '*.*'].map((at) => `${at}["${key}"]`)), censor: REDACTED },
    serializers: { error: describeError },
  };
  return options.destination === undefined ? pino(settings) : pino(settings, options.destination);
}

/** A thrown value as loggable fields, without what a driver may have attached (query parameters hold user text). */
export function describeError(error: unknown): { name: string; message: string; code?: string; stack?: string } {
  if (!(error instanceof Error)) return { name: 'thrown', message: scrub(String(error)) };
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  const stack = error.stack === undefined ? {} : { stack: scrub(error.stack) };
  return { name: error.name, message: scrub(error.message), ...code, ...stack };
}
