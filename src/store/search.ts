/**
 * Full-text search over titles and bodies. The words of both stand in `document_search`, apart from the text itself,
 * because the text lives in snapshots and the journal, which nobody can search. The title's words are always right; the
 * body's are as fresh as the last snapshot.
 *
 * The `simple` configuration only lower-cases: documents come in every language, and stemming in the wrong one loses
 * words that are there. Its parser ends words at spaces, which Chinese and Japanese do not write (and a word of over 2 KB
 * is left out whole), so each of their characters is made a word, in texts and in searches alike.
 */
import type postgres from 'postgres';
import type { Sql } from './postgres.ts';

/** A condition or an expression inside a statement. */
export type Fragment = postgres.Fragment;

/** UTF-16 units of a text that are offered to the index at all; `search_words` keeps as many of them as fit. */
export const SEARCHED_UNITS_MAX = 1024 * 1024;

/** The words of a body, as an expression inside a statement. */
export function bodyWords(sql: Sql, text: string): Fragment {
  return sql`search_words(${searchable(text)})`;
}

/** The words of a title, as an expression inside a statement. */
export function titleWords(sql: Sql, title: string): Fragment {
  return sql`to_tsvector('simple', ${searchable(title)})`;
}

/**
 * Replaces the words that a document is found by. `text` is its plain text; NULs, which PostgreSQL cannot hold, and
 * what is past {@link SEARCHED_UNITS_MAX} are left out. A document that is gone is no error.
 */
export async function searchBody(sql: Sql, doc_id: string, text: string): Promise<void> {
  await sql`UPDATE document_search SET body = ${bodyWords(sql, text)} WHERE document_id = ${doc_id}`;
}

/**
 * What a person typed into a search box, as a tsquery: quotes, `or` and `-` as `websearch_to_tsquery` reads them. The
 * last word also matches as a beginning, so that results show while it is being typed; unless a quote or anything else
 * that is no part of a word ends it.
 */
export function searchQuery(sql: Sql, typed: string): Fragment {
  const text = searchable(typed);
  const words = sql`websearch_to_tsquery('simple', ${text})`;
  if (!/[\p{L}\p{M}\p{N}_]$/u.test(text)) return words;
  // A query is written with its last word at the end, in quotes; `:*` behind it asks for a beginning. The plain query
  // stays beside it: a word that the parser takes apart only now (mid-air) is found whole by that alone.
  return sql`(
    SELECT CASE WHEN right(words::text, 1) = '''' THEN words || (words::text || ':*')::tsquery ELSE words END
    FROM ${words} AS words
  )`;
}

const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/gu;
/** Beyond ASCII the parser takes whatever is not a letter for one: an embed or an emoji would swallow the word beside it. */
const NO_WORD = /[^\p{L}\p{M}\p{N}\p{ASCII}]/gu;
/** Where the parser takes a tag or a comment to begin it looks for its end through all that follows, each time anew. */
const TAG = /</g;
/** The parser's work is quadratic in a run without a space; nobody searches for a word of this length. */
const RUN = /\S{200}/gu;

function searchable(text: string): string {
  return text
    .slice(0, SEARCHED_UNITS_MAX)
    .replaceAll('\0', '')
    .toWellFormed()
    .replace(UNSPACED, ' $& ')
    .replace(NO_WORD, ' ')
    .replace(TAG, ' ')
    .replace(RUN, '$& ');
}
