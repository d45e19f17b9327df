/** What Yjs members sent in one turn, by member: it is applied together, where a member's first update stood. */
import type { Entry } from './entries.ts';
import type { YjsMember } from './member.ts';

/** A Yjs member's updates of one turn. */
export interface Updates {
  readonly bytes: Uint8Array[];
  /** Whether one of them is the member's whole difference. */
  whole: boolean;
}

/** Gathers them. */
export function updatesByMember(entries: readonly Entry[]): Map<YjsMember, Updates> {
  const updates = new Map<YjsMember, Updates>();
  for (const entry of entries) {
    if (entry.kind !== 'update') continue;
    const present = updates.get(entry.member);
    if (present === undefined) updates.set(entry.member, { bytes: [entry.update], whole: entry.whole });
    else {
      present.bytes.push(entry.update);
      present.whole ||= entry.whole;
    }
  }
  return updates;
}
