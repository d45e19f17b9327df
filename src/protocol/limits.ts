/**
 * Every bound of the system, by name, with its unit last. A bound that stands nowhere else is not a bound: tests probe
 * each of these at N and at N + 1. Limits of a delta's own form stand beside its parser, in content/.
 */
export const LIMITS = {
  /** REST bodies. */
  body_bytes_max: 1024 * 1024,
  /** The body of a document's creation, which may carry content. */
  create_body_bytes_max: 16 * 1024 * 1024,
  /** How fast a body has to come, were it as long as it may be; {@link TIMES}.body_patience_ms comes on top. */
  body_bytes_per_second_min: 64 * 1024,
  title_chars_max: 255,
  display_name_chars_max: 100,
  email_chars_max: 254,
  password_chars_min: 10,
  /** bcrypt reads 72 bytes; longer passwords are hashed first, so this only bounds work. */
  password_chars_max: 1024,
  page_items_max: 100,
  /** Share links of one document, expired ones included. */
  links_per_document_max: 100,
  page_items_default: 20,

  /** One JSON text frame. */
  json_frame_bytes_max: 1024 * 1024,
  /** One binary frame of the Yjs doors. */
  yjs_frame_bytes_max: 8 * 1024 * 1024,
  /** Fresh tokens of one socket that may wait to be checked. */
  auth_messages_waiting_max: 8,
  /** Objects and arrays inside each other in one value that a Yjs client puts into a document. */
  yjs_value_depth_max: 256,
  /** Steps over what others inserted at the same places, of one client's updates of a turn: about a second. */
  yjs_conflicts_max: 5_000_000,
  /** Shared types inside each other. */
  yjs_type_depth_max: 256,
  /** Roots of a document. Yjs looks through all of them for the name of one, each time that it writes an item right under it. */
  yjs_roots_max: 1_024,
  /** ClientIDs in an update that has to wait for others. Yjs goes over all of them again for each that does. */
  yjs_waiting_clients_max: 256,
  /** A presence state, as JSON. */
  presence_state_bytes_max: 4096,
  /** Awareness clientIDs that one socket may introduce. */
  awareness_clients_per_socket_max: 16,
  /** Entries of one awareness message; a stock client repeats what it knows of everybody when it connects. */
  awareness_clients_per_frame_max: 10_000,
  /** Documents and sessions of documents on one socket of the Hocuspocus door. */
  documents_per_socket_max: 256,
  /** The name of a document on that door: its id, and perhaps a session. */
  document_name_bytes_max: 256,
  /** Unsent bytes of one socket that may wait for any time; with more the reader has to get on: see ws/slow-readers.ts. */
  socket_backlog_bytes_max: 16 * 1024 * 1024,
  /** By how much what waits for such a reader falls within `slow_reader_ms`, or it is too slow and closed with 1013. */
  slow_reader_progress_bytes_min: 256 * 1024,
  /** Unsent bytes of all sockets of a node; beyond it no reader is waited for that has more than its share. */
  node_unsent_bytes_max: 512 * 1024 * 1024,
  /** Unsent bytes at which the line is cut without a word, should they gather faster than they are looked at. */
  socket_backlog_bytes_hard_max: 64 * 1024 * 1024,
  /** What a member of a document may be told again of the whole of it at once, and by the second: see actors/answers.ts. */
  answer_bytes_at_once_max: 4 * 1024 * 1024,
  answer_bytes_per_second_max: 4 * 1024 * 1024,
  /** Frames kept while a socket's token, role and document are being looked up. */
  queued_frames_before_open_max: 64,
  queued_bytes_before_open_max: 1024 * 1024,

  /** Entries that one document's mailbox takes in one turn before presence is dropped. */
  mailbox_soft_max: 2_000,
  /** Entries beyond which edits are refused with `RATE_LIMITED`. */
  mailbox_hard_max: 10_000,
  /** What each item of a document counts for at least, whatever it holds, beside its bytes. */
  document_item_bytes_min: 24,
  /** The size of a document, unless `DOCUMENT_BYTES_MAX` says otherwise: see actors/document-size.ts. */
  document_bytes_default: 32 * 1024 * 1024,
  /** What that setting may say. The state goes to whoever joins in one frame, which has to fit the hard bound of a socket. */
  document_bytes_min: 64 * 1024,
  document_bytes_max: 56 * 1024 * 1024,
  /** Recent edits kept in memory to transform late ones over. */
  window_revs_max: 2_000,
  window_bytes_max: 4 * 1024 * 1024,
  /** Edits that may wait for the disk, per document; beyond it the document is read-only until they are written. */
  backlog_revs_max: 50_000,
  backlog_bytes_max: 32 * 1024 * 1024,
  /** The same for all documents of a node together. */
  node_backlog_bytes_max: 512 * 1024 * 1024,
  /** (user, client_id) pairs whose last seq a document keeps in memory. */
  clients_remembered_max: 10_000,
  /** Links of other nodes that a node let go of and remembers. */
  links_let_go_kept_max: 1_000,
  /** One packet between nodes; larger messages go in pieces. */
  link_packet_bytes_max: 256 * 1024,
  /** Bytes between two nodes that may be on their way without an answer; more wait. */
  link_flying_bytes_max: 4 * 1024 * 1024,
  /** Bytes that may wait between two nodes; beyond it the gateway's sockets are closed. */
  link_waiting_bytes_max: 64 * 1024 * 1024,
  /** Packets that came too early and are kept. */
  link_early_packets_max: 64,
  /** Packets that are sent again at a time. */
  link_resend_packets_max: 16,
  /** Edits that a gateway missed and its owner tells it again, together; with more its sockets start over. */
  replay_bytes_max: 16 * 1024 * 1024,
  /** Messages of a document's channel that a gateway keeps for those who join or were left behind. */
  stream_kept_messages_max: 2_000,
  stream_kept_bytes_max: 4 * 1024 * 1024,
  /** Connections whose rights are read again by one statement. */
  rights_rows_max: 1_000,
  /** Questions about the past that a node answers at a time: each may hold a connection and a thread. */
  history_questions_at_once_max: 4,
  /** Those that wait for their turn. */
  history_questions_waiting_max: 256,
  /** Those of one user that a node works on at a time or has in that line, and those that wait before it. */
  history_questions_per_user_max: 4,
  history_questions_per_user_waiting_max: 256,
  /** Rows and bytes of one group commit. */
  flush_rows_max: 4_096,
  flush_bytes_max: 16 * 1024 * 1024,
} as const;

/** Times of the running system, in milliseconds unless the name says otherwise. */
export const TIMES = {
  /** A request's body is waited for at least this long. */
  body_patience_ms: 20_000,
  /** Without any frame for 30 s a y-websocket client reconnects: stay well below. */
  keep_alive_ms: 20_000,
  /** How long a reader of whom much waits may seem not to read. */
  slow_reader_ms: 15_000,
  /** How long a question about the whole document may wait until the answers before it are paid off: see actors/answers.ts. */
  answer_wait_ms: 2_000,
  /** On the Hocuspocus door, where a socket opens without a token, somebody is to be let in within this time. */
  sign_in_ms: 10_000,
  /** On that door, a document that cannot be had is tried again after this long, each time twice as long, up to the second. */
  reopen_min_ms: 250,
  reopen_max_ms: 5_000,
  /** Stock awareness drops a peer not renewed for 30 s. */
  awareness_renew_ms: 15_000,
  /** How long those who wait for no edit of their own may be behind with what is on disk. */
  ack_others_ms: 200,
  /** How often Redis is asked who listens to the channels of open documents. */
  subscribers_look_ms: 500,
  /** How long an event waits on its way to a channel of Redis that nobody is known to listen to. */
  publish_unheard_ms: 200,
  /** Presence of one document is gathered for this long and sent as one frame. */
  presence_tick_ms: 40,
  /** Storage that has not confirmed for this long is shown as `unsaved`. */
  unsaved_after_ms: 2_000,
  /** How long everything must have been on disk before `saving` becomes `saved` again. */
  saved_settle_ms: 250,
  /** A document nobody is connected to leaves memory after this. */
  passivate_after_ms: 30_000,
  /** How often the rights of everybody who is on a document are read again, lest a signal was lost. */
  rights_check_ms: 10_000,
  /** The same while signals of other nodes cannot arrive. */
  rights_check_away_ms: 1_000,
  node_beat_ms: 2_000,
  /** How often a node that nothing is wrong with asks storage whether its documents still are its own. */
  ownership_check_ms: 10_000,
  /** A packet between nodes that was not acknowledged for this long is sent again; twice as long each time, up to the latter. */
  link_resend_ms: 300,
  link_resend_max_ms: 2_000,
  /** How long an acknowledgement between nodes waits for a packet to go with. */
  link_ack_ms: 20,
  /** Another node that leaves something unanswered for this long is looked at: does it live? */
  link_doubt_ms: 1_000,
  /** How often a gateway looks after its documents. */
  gateway_look_ms: 250,
  /** What an owner said of a revision that has not arrived for this long on the channel: the channel lost something. */
  stream_gap_ms: 300,
  /** How long a gateway waits for an owner to fill a gap before it gives the sockets back. */
  stream_repair_ms: 4_000,
  /** A gateway that has heard nothing of a document for this long asks its owner. */
  stream_silence_ms: 5_000,
  /** Messages of a document's channel are kept for those who join for this long. */
  stream_kept_ms: 5_000,
  /** A gateway lets go of a document that none of its sockets is on after this. */
  gateway_linger_ms: 5_000,
  node_life_ms: 8_000,
  /** Storage that has not answered a group commit for this long: its outcome counts as unknown. */
  flush_timeout_ms: 10_000,
  /** REST edits wait this long for durability, then answer 503. */
  rest_durable_wait_ms: 5_000,
  claim_timeout_ms: 5_000,
  /** How long a drain may take before the process leaves all the same. */
  drain_ms: 9_000,
} as const;
