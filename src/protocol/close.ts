/**
 * WebSocket close codes of every door: CONTRACT.md section 6. Stock providers take 4400–4499 as permanent, 1012 and 1013
 * as "come back"; so a code here is a decision about what the client does next, not a label.
 */
export const CLOSE = {
  GOING_AWAY: 1001,
  RESTART: 1012,
  OVERLOADED: 1013,
  MALFORMED: 4400,
  UNAUTHENTICATED: 4401,
  FORBIDDEN: 4403,
  NOT_FOUND: 4404,
  REPLACED: 4409,
  TOO_LARGE: 4413,
} as const;

/** One of {@link CLOSE}. */
export type CloseCode = (typeof CLOSE)[keyof typeof CLOSE];
