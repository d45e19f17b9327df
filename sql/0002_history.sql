-- History: what the journal amounts to in the long run, versions, and who did what.

-- Every revision tells its effect on the text: history is made of these.
ALTER TABLE document_updates ALTER delta SET NOT NULL;

-- Revisions that left the journal, packed: consecutive ones, column by column, compressed. No revision is ever in both.
CREATE TABLE document_segments (
  doc_id     uuid NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
  from_rev   bigint NOT NULL,              -- the first revision in it
  to_rev     bigint NOT NULL,              -- the last
  meta       bytea NOT NULL,               -- per revision: author, client, seq, epoch, time
  deltas     bytea NOT NULL,               -- per revision: its effect on the text
  updates    bytea NOT NULL,               -- per revision: its Yjs update
  total      bytea NOT NULL,               -- the effect of all of them as one
  checkpoint bytea,                        -- the text after to_rev; in every so many segments
  PRIMARY KEY (doc_id, to_rev)
);
ALTER TABLE document_segments ALTER meta SET STORAGE EXTERNAL, ALTER deltas SET STORAGE EXTERNAL,
  ALTER updates SET STORAGE EXTERNAL, ALTER total SET STORAGE EXTERNAL, ALTER checkpoint SET STORAGE EXTERNAL;

-- How far the background work on a document has come.
CREATE TABLE document_history (
  doc_id        uuid PRIMARY KEY REFERENCES documents (id) ON DELETE CASCADE,
  compacted_rev bigint NOT NULL DEFAULT 0, -- segments hold everything up to here, the journal all that follows
  audited_rev   bigint NOT NULL DEFAULT 0, -- runs of edits up to here stand in the audit log
  state         bytea,                     -- the Yjs state at compacted_rev, compressed; NULL at 0
  attribution   bytea                      -- who wrote what of the text at compacted_rev; NULL at 0
);

-- The last seq of each client whose edits left the journal, so that a resend is still recognised.
CREATE TABLE document_clients (
  doc_id    uuid NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
  client_id uuid NOT NULL,
  user_id   uuid NOT NULL,
  last_seq  bigint NOT NULL,
  PRIMARY KEY (doc_id, client_id, user_id)
);

-- Documents that were opened or written since their background work was last wholly done: where the scheduler looks.
CREATE TABLE document_work (
  doc_id     uuid PRIMARY KEY REFERENCES documents (id) ON DELETE CASCADE,
  touched_at timestamptz NOT NULL
);

CREATE TABLE document_versions (
  id           uuid PRIMARY KEY,
  document_id  uuid NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
  rev          bigint NOT NULL,
  name         text,
  kind         text NOT NULL CHECK (kind IN ('named', 'auto', 'restore')),
  created_by   uuid NOT NULL,              -- of automatic ones: the author of the last edit in it
  contributors uuid[] NOT NULL,            -- who edited since the version before
  created_at   timestamptz(3) NOT NULL,
  CHECK ((kind = 'named') = (name IS NOT NULL))
);
CREATE INDEX document_versions_of_document ON document_versions (document_id, id DESC);
CREATE INDEX document_versions_by_rev ON document_versions (document_id, rev);
CREATE UNIQUE INDEX document_versions_auto_once ON document_versions (document_id, rev) WHERE kind = 'auto';

INSERT INTO document_work (doc_id, touched_at) SELECT doc_id, now() FROM document_heads WHERE head_rev > 0;
