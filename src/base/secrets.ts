/**
 * What a secret looks like, by the name that it stands under and by its form. The log and Sentry both ask here, so that what
 * one of them keeps to itself the other does not tell.
 */

/** Where a redacted value stood. */
export const REDACTED = '[redacted]';

/** Names of fields whose values are nobody's business. */
export const SECRET_KEYS = [
  'password',
  'current_password',
  'new_password',
  'password_hash',
  'token',
  'access_token',
  'refresh_token',
  'authorization',
  'Authorization',
  'cookie',
  'set-cookie',
  'secret',
  'jwt_secret',
  'database_url',
  'redis_url',
  'sentry_dsn',
] as const;

/** Longer texts are cut: what is scrubbed is logged or reported, and an error may quote a whole document. */
const SCRUBBED_CHARS_MAX = 16 * 1024;

/** Drops `?token=…` and its like from a URL's query, so that an address may be logged. */
export function safeUrl(url: string): string {
  return url.replace(/([?&](?:token|access_token|refresh_token)=)[^&#\s"']*/gi, `$1${REDACTED}`);
}

// Each begins where no longer match could have begun, so that none takes more than linear time.
const SECRETS: readonly (readonly [RegExp, string])[] = [
  // A JWT, wherever it stands.
  [/(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*/g, REDACTED],
  [/(?<!\w)(Bearer|Basic) +[A-Za-z0-9._~+/=-]+/gi, `$1 ${REDACTED}`],
  // The query of an address may hold a token under any name.
  [/((?<![a-z0-9+.-])[a-z][a-z0-9+.-]*:\/\/[^\s?#"']*)\?[^\s"']*/gi, `$1?${REDACTED}`],
  // user:password@ of a database's address. The password may hold an @ of its own.
  [/((?<![a-z0-9+.-])[a-z][a-z0-9+.-]*:\/\/)[^\s/"']+@/gi, `$1${REDACTED}@`],
  [
    /((?<!\w)"?(?:\w*password|\w*token|authorization|cookie|\w*secret)"?\s*[:=]\s*)("[^"]*"|[^\s,;}&]+)/gi,
    `$1${REDACTED}`,
  ],
];

/** `text` without what looks like a secret. */
export function scrub(text: string): string {
  const cut = text.length > SCRUBBED_CHARS_MAX ? `${text.slice(0, SCRUBBED_CHARS_MAX)}…` : text;
  return SECRETS.reduce((so_far, [pattern, instead]) => so_far.replace(pattern, instead), safeUrl(cut));
}
