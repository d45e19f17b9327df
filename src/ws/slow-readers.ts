/**
 * Who reads too slowly, and what all who do may cost. What a socket does not read waits in the memory of the node.
 *
 * A document may be larger than what may wait for long, and goes to whoever joins in one frame, so that much waiting says
 * nothing yet: on an ordinary line it takes a minute. What tells is whether it becomes less. A kernel takes bytes in
 * portions (it asks for more when a third of its own buffer is free, which on a slow line may take ten seconds), so that is
 * judged over a while rather than from one look to the next. Of a socket over `socket_backlog_bytes_max`, the least that waited is known:
 *
 * - it is let be while that falls by `slow_reader_progress_bytes_min` within each `slow_reader_ms`;
 * - it goes at once when as much as the bound has gathered on top of that: it is sent more than it will ever read.
 *
 * One socket costs the hard bound at most, above which the socket layer cuts the line. All sockets together are not waited for
 * above `node_unsent_bytes_max`: those that most waits for go, until the rest fits, but none that is within its own bound.
 * Their lines are cut, which frees what waited at once; after a close it is kept for some seconds, since the reader might go on
 * and shall hear why it was closed.
 */
import { LIMITS, TIMES } from '../protocol/limits.ts';

/** A socket, as far as its reading goes. */
export interface Reader {
  /** Bytes that wait to be sent to it. */
  readonly unsent: number;
}

/** Who cannot stay. */
export interface TooSlow<R> {
  /** Those that are too slow by themselves. */
  readonly slow: readonly R[];
  /** Those for whom the node has no room. */
  readonly surplus: readonly R[];
}

/** The least that waited for a reader, and since when it has not become less. */
interface Mark {
  readonly least: number;
  readonly at: number;
}

/** See the head of this file. */
export class SlowReaders<R extends Reader> {
  #marks = new Map<R, Mark>();

  /**
   * Looks at all readers there are. To be called at regular times.
   * @param now milliseconds
   */
  look(readers: Iterable<R>, now: number): TooSlow<R> {
    const marks = new Map<R, Mark>();
    const slow: R[] = [];
    const surplus: R[] = [];
    const large: { readonly reader: R; readonly unsent: number }[] = [];
    let all = 0;
    for (const reader of readers) {
      const { unsent } = reader;
      all += unsent;
      if (unsent <= LIMITS.socket_backlog_bytes_max) continue;
      const mark = moved(this.#marks.get(reader) ?? { least: unsent, at: now }, unsent, now);
      if (now - mark.at >= TIMES.slow_reader_ms || unsent > mark.least + LIMITS.socket_backlog_bytes_max) {
        slow.push(reader);
        all -= unsent;
      } else {
        marks.set(reader, mark);
        large.push({ reader, unsent });
      }
    }
    if (all > LIMITS.node_unsent_bytes_max) large.sort((a, b) => b.unsent - a.unsent);
    for (const { reader, unsent } of large) {
      if (all <= LIMITS.node_unsent_bytes_max) break;
      surplus.push(reader);
      marks.delete(reader);
      all -= unsent;
    }
    this.#marks = marks;
    return { slow, surplus };
  }
}

function moved(mark: Mark, unsent: number, now: number): Mark {
  return unsent <= mark.least - LIMITS.slow_reader_progress_bytes_min ? { least: unsent, at: now } : mark;
}
