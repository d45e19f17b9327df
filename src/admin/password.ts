/**
 * Reads a new password without showing it: from the terminal with the echo off, or from standard input. Never from an
 * argument, which every user of the machine can read in the list of processes and the shell keeps in its history.
 */
import type { ReadStream } from 'node:tty';
import { type PasswordSource, Refused } from './command.ts';

/** Keys as a terminal in raw mode sends them. */
const ENTER: readonly string[] = ['\r', '\n'];
const ERASE: readonly string[] = ['\b', '\u007f'];
/** Ctrl-C and Ctrl-D. */
const GIVE_UP: readonly string[] = ['\u0003', '\u0004'];

/** The process's own terminal and standard input. */
export function systemPasswords(input: ReadStream, say: (text: string) => void): PasswordSource {
  return {
    async ask() {
      if (!input.isTTY) throw new Refused('There is no terminal to ask for the password on: use --password-stdin.');
      const keys = keysOf(input);
      input.setRawMode(true);
      try {
        const first = await line(keys, 'Password: ', say);
        if ((await line(keys, 'Once more: ', say)) !== first) throw new Refused('The two are not the same.');
        return first;
      } finally {
        input.setRawMode(false);
        // Nothing more is wanted of the terminal; left open, it would keep the process alive.
        await keys.return();
        input.destroy();
      }
    },
    async read() {
      const chunks: Buffer[] = [];
      for await (const chunk of input) chunks.push(Buffer.from(chunk));
      return Buffer.concat(chunks).toString('utf8').split(/\r?\n/, 1)[0] ?? '';
    },
  };
}

/** Every character that is typed, or pasted; the end of the input is Ctrl-D. */
async function* keysOf(input: ReadStream): AsyncGenerator<string, void> {
  const text = new TextDecoder();
  for await (const chunk of input) yield* text.decode(chunk, { stream: true });
}

async function line(keys: AsyncGenerator<string, void>, prompt: string, say: (text: string) => void): Promise<string> {
  say(prompt);
  const typed: string[] = [];
  for (;;) {
    const { value: key } = await keys.next();
    if (key === undefined || GIVE_UP.includes(key)) {
      say('\n');
      throw new Refused('Given up; nothing was changed.');
    }
    if (ENTER.includes(key)) {
      say('\n');
      return typed.join('');
    }
    if (ERASE.includes(key)) typed.pop();
    else typed.push(key);
  }
}
