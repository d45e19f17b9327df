/**
 * Every bound of the system and the test that tries it at its value and at one beyond. The compiler holds the list to the
 * names in LIMITS and CONTENT_LIMITS: a bound without a line here does not compile, and one whose test is gone fails.
 */
import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CONTENT_LIMITS } from '../src/protocol/content/limits.ts';
import type { LIMITS } from '../src/protocol/limits.ts';
import { RATE_LIMITS } from '../src/protocol/rate-limits.ts';

/** A file, and a part of the title of a test in it. */
type Proof = readonly [file: string, title: string];

const DELTA = 'src/protocol/content/delta.test.ts';
const MARKDOWN = 'src/protocol/content/markdown-read.test.ts';
const LINK = 'src/actors/remote/link.test.ts';
const STREAM = 'src/actors/remote/event-stream.test.ts';
const DOCUMENTS = 'test/rest-documents.test.ts';
const ANSWERS = 'src/actors/answers.test.ts';
const SIZE = 'src/actors/document-size.test.ts';

const PROOFS: Readonly<Record<keyof typeof LIMITS | keyof typeof CONTENT_LIMITS, Proof>> = {
  body_bytes_max: [DOCUMENTS, 'takes a body of 16 MiB and not a byte more; any other route takes 1 MiB'],
  create_body_bytes_max: [DOCUMENTS, 'takes a body of 16 MiB and not a byte more; any other route takes 1 MiB'],
  body_bytes_per_second_min: ['src/http/request-body.test.ts', 'does not buy time without end'],
  title_chars_max: [DOCUMENTS, 'takes a title of 255 characters, counted as code points'],
  display_name_chars_max: ['src/http/auth.test.ts', 'names what is wrong: the form of the e-mail, a weak password'],
  email_chars_max: ['src/domain/accounts-email.test.ts', 'an e-mail has email_chars_max'],
  password_chars_min: ['src/domain/passwords.test.ts', 'has at least ten characters, counted as people count'],
  password_chars_max: ['src/http/auth.test.ts', 'names what is wrong: the form of the e-mail, a weak password'],
  page_items_max: [DOCUMENTS, 'shows page_items_default'],
  page_items_default: [DOCUMENTS, 'shows page_items_default'],
  links_per_document_max: ['test/rest-links.test.ts', 'is one of at most links_per_document_max'],
  json_frame_bytes_max: ['src/ws/json-refusals.test.ts', 'J25: a frame may have json_frame_bytes_max'],
  yjs_frame_bytes_max: ['src/ws/yjs-sync.test.ts', 'Y13: a frame may have yjs_frame_bytes_max'],
  auth_messages_waiting_max: ['src/ws/session.test.ts', 'J60: auth_messages_waiting_max'],
  yjs_value_depth_max: ['src/ws/yjs-sync.test.ts', 'Y14: values may be nested yjs_value_depth_max'],
  yjs_type_depth_max: ['src/ws/yjs-sync.test.ts', 'Y14: shared types may be nested yjs_type_depth_max'],
  yjs_conflicts_max: ['src/actors/replica-conflicts.test.ts', 'an update that asks for over yjs_conflicts_max'],
  yjs_roots_max: ['src/ws/yjs-crowds.test.ts', 'Y16: a document may have yjs_roots_max'],
  yjs_waiting_clients_max: ['src/ws/yjs-crowds.test.ts', 'Y17: an update that waits for others may be of yjs_waiting'],
  presence_state_bytes_max: ['src/ws/presence.test.ts', 'J42: a state may have presence_state_bytes_max'],
  awareness_clients_per_socket_max: ['src/ws/awareness.test.ts', 'Y27: a socket may introduce awareness_clients_per'],
  awareness_clients_per_frame_max: ['src/ws/awareness.test.ts', 'Y27: an awareness message may have awareness_clients'],
  documents_per_socket_max: ['src/ws/hocuspocus.test.ts', 'H12: documents_per_socket_max'],
  document_name_bytes_max: ['src/ws/hocuspocus-ends.test.ts', 'H15: so does a name of more than document_name_bytes'],
  socket_backlog_bytes_max: ['src/ws/slow-readers.test.ts', 'C14: may leave socket_backlog_bytes_max'],
  slow_reader_progress_bytes_min: [
    'src/ws/slow-readers.test.ts',
    'C14: is let be while what waits falls by slow_reader',
  ],
  node_unsent_bytes_max: ['src/ws/slow-readers.test.ts', 'C14: may leave node_unsent_bytes_max'],
  socket_backlog_bytes_hard_max: ['src/ws/session-limits.test.ts', 'C14: at more than socket_backlog_bytes_hard_max'],
  answer_bytes_at_once_max: [ANSWERS, 'answer_bytes_at_once_max'],
  answer_bytes_per_second_max: [ANSWERS, 'answer_bytes_per_second_max'],
  queued_frames_before_open_max: ['src/ws/session-limits.test.ts', 'C7: with one frame more than queued_frames_before'],
  queued_bytes_before_open_max: ['src/ws/session-limits.test.ts', 'C7: queued_bytes_before_open_max'],
  mailbox_soft_max: ['src/actors/document.test.ts', 'takes presence up to'],
  mailbox_hard_max: ['src/actors/document.test.ts', 'takes edits up to'],
  document_item_bytes_min: [SIZE, 'is reached exactly by an update, and one byte more is refused'],
  document_bytes_default: ['src/config.test.ts', 'with the required settings alone everything else has its'],
  document_bytes_min: ['src/config.test.ts', 'limits of numbers are at the named bounds'],
  document_bytes_max: ['src/config.test.ts', 'limits of numbers are at the named bounds'],
  window_revs_max: ['src/ws/json-refusals.test.ts', 'J23: an edit may be window_revs_max'],
  window_bytes_max: ['src/actors/window.test.ts', 'bytes; with one more'],
  backlog_revs_max: ['src/actors/save-status.test.ts', 'edits that wait'],
  backlog_bytes_max: ['src/actors/save-status.test.ts', 'bytes that wait'],
  node_backlog_bytes_max: ['src/actors/registry-full.test.ts', 'at node_backlog_bytes_max'],
  clients_remembered_max: ['src/actors/edit-log.test.ts', ''],
  links_let_go_kept_max: ['src/actors/remote/switchboard.test.ts', 'links_let_go_kept_max'],
  link_packet_bytes_max: [LINK, 'a message larger than link_packet_bytes_max travels in pieces'],
  link_flying_bytes_max: [LINK, 'a message larger than link_packet_bytes_max travels in pieces'],
  link_waiting_bytes_max: [LINK, 'more than link_waiting_bytes_max'],
  link_early_packets_max: [LINK, 'link_early_packets_max'],
  link_resend_packets_max: [LINK, 'packets that nobody acknowledges link_resend_packets_max'],
  replay_bytes_max: ['src/actors/replay.test.ts', 'of replay_bytes_max'],
  stream_kept_messages_max: [STREAM, 'the past holds stream_kept_messages_max'],
  stream_kept_bytes_max: [STREAM, 'the past holds stream_kept_bytes_max'],
  rights_rows_max: ['src/ws/rights.test.ts', 'reads rights_rows_max'],
  history_questions_at_once_max: ['src/actors/past/threads.test.ts', 'history_questions_at_once_max'],
  history_questions_waiting_max: ['src/actors/past/threads.test.ts', 'history_questions_at_once_max'],
  history_questions_per_user_max: ['src/domain/questions.test.ts', 'history_questions_per_user_max'],
  history_questions_per_user_waiting_max: ['src/domain/questions.test.ts', 'history_questions_per_user_max'],
  flush_rows_max: ['src/actors/journal.test.ts', 'rows, and one more only with the next'],
  flush_bytes_max: ['src/actors/journal.test.ts', 'takes no further row once it holds'],
  delta_ops_max: [DELTA, 'has at most delta_ops_max operations'],
  document_ops_max: [DELTA, 'has at most document_ops_max operations'],
  attributes_per_op_max: [DELTA, 'has at most attributes_per_op_max attributes'],
  delta_depth_max: [DELTA, 'is nested at most delta_depth_max levels in an attribute and in an embed'],
  indent_levels_max: ['src/protocol/content/styles.test.ts', 'a line is indented by indent_levels_max'],
  html_depth_max: ['src/protocol/content/html-read.test.ts', 'tells html_depth_max open elements apart'],
  markdown_depth_max: [MARKDOWN, 'containers nest markdown_depth_max deep'],
  markdown_brackets_max: [MARKDOWN, 'brackets nest markdown_brackets_max deep'],
  markdown_window_chars: [MARKDOWN, 'one block that is larger than a window stays one'],
  markdown_block_tokens_max: [MARKDOWN, 'a list of more tokens than markdown_block_tokens_max is cut'],
  markdown_inline_chars_max: [MARKDOWN, 'the inline marks of a block work up to markdown_inline_chars_max'],
};

const sources = new Map<string, string>();

function sourceOf(file: string): string {
  const known = sources.get(file) ?? readFileSync(join(import.meta.dir, '..', file), 'utf8');
  sources.set(file, known);
  return known;
}

/** Whether the file has such a test, however the formatter broke its line. */
function hasTest([file, title]: Proof): boolean {
  return new RegExp(`\\btest\\(\\s*['"\`][^\n]*${RegExp.escape(title)}`).test(sourceOf(file));
}

test('every bound has a test that tries it', () => {
  const without = Object.entries(PROOFS).filter(([, proof]) => !hasTest(proof));
  expect(without).toEqual([]);
});

test('every rate limit is in a test by its name or its variable', () => {
  const files = [
    'test/rate-limits.test.ts',
    'src/ws/socket-limits.test.ts',
    'src/domain/attempts.test.ts',
    'src/http/limits.test.ts',
  ];
  const all = files.map(sourceOf).join('\n');
  const without = Object.entries(RATE_LIMITS).filter(
    ([name, { variable }]) => !all.includes(variable) && !new RegExp(`\\b${name}\\b`).test(all),
  );
  expect(without.map(([name]) => name)).toEqual([]);
});
