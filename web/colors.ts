/** A colour for each person: dark enough for white letters on it, and to be told from others. */

const PALETTE = [
  '#b3261e',
  '#a8480b',
  '#7d5a00',
  '#4c6b0f',
  '#11703f',
  '#0b6e6e',
  '#0f62a8',
  '#4a50c4',
  '#7b3fb5',
  '#a8317e',
] as const;

/** The colour of the user with this id, or, when others wear it already, the next that nobody wears. */
export function colorOf(user_id: string, worn: ReadonlySet<string> = new Set()): string {
  let hash = 0;
  for (let i = 0; i < user_id.length; i++) hash = (Math.imul(hash, 31) + user_id.charCodeAt(i)) >>> 0;
  const first = hash % PALETTE.length;
  const order = [...PALETTE.slice(first), ...PALETTE.slice(0, first)];
  return order.find((color) => !worn.has(color)) ?? PALETTE[first] ?? PALETTE[0];
}
