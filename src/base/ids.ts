/** Ids are UUIDs in lower case. Anything else is refused at the door, so that the floors below never see a bad one. */

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Whether `text` is a UUID of any version, in either case. */
export function isUuid(text: string): boolean {
  return text.length === 36 && UUID.test(text);
}
