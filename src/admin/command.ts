/**
 * What a command of bin/admin is made of. A command returns what it has to say; what somebody can put right it throws as
 * {@link Refused} or as the error of the floor below, and nobody ever sees a stack.
 */
import type { ParseArgsOptionsConfig } from 'node:util';
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { Database } from '../store/postgres.ts';
import type { RedisSettings } from '../store/redis-side.ts';

/** How the command ended; what a shell sees. */
export const EXIT = { done: 0, failed: 1, usage: 2 } as const;

/** A reason why it cannot be done, as a sentence for whoever asked. */
export class Refused extends Error {}

/** The arguments make no sense: the sentence is followed by the usage. */
export class Misused extends Error {}

/** Where a new password comes from. */
export interface PasswordSource {
  /** Asks on the terminal, twice and without echo. Rejects with {@link Refused} when there is no terminal. */
  ask(): Promise<string>;
  /** Takes the first line of standard input. */
  read(): Promise<string>;
}

/** What commands work with. */
export interface AdminParts {
  readonly sql: Database;
  /** Null when none is set. Throws when it is wrong. */
  redis(): RedisSettings | null;
  readonly clock: Clock;
  readonly random: Random;
  readonly passwords: PasswordSource;
}

/** The arguments behind the command's name. */
export interface Arguments {
  readonly positionals: readonly string[];
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
}

/** See the head of this file. */
export interface Command {
  /** As the usage shows it, name and arguments. */
  readonly synopsis: string;
  readonly does: string;
  readonly options: ParseArgsOptionsConfig;
  /** How many arguments beside options it takes, at least and at most. */
  readonly positionals: readonly [number, number];
  run(parts: AdminParts, args: Arguments): Promise<string>;
}

/** Rows as lines, each column as wide as its widest cell. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Text of others for a terminal: control characters would be obeyed by it. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '\u{fffd}');
}
