-- People, their sessions, their documents, and the journal that is the truth about every document.

CREATE TABLE users (
  id            uuid PRIMARY KEY,
  email         text,                      -- as typed; NULL once the account is erased
  email_key     text UNIQUE,               -- lower-cased, what e-mails are compared by
  display_name  text NOT NULL,
  password_hash text,
  role          text NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin')),
  deleted       boolean NOT NULL DEFAULT false,
  created_at    timestamptz(3) NOT NULL DEFAULT now(),
  updated_at    timestamptz(3) NOT NULL DEFAULT now(),
  CHECK (deleted OR (email IS NOT NULL AND email_key IS NOT NULL AND password_hash IS NOT NULL))
);

-- A session is a family of refresh tokens, each replaced by the next; its id is the `sid` of its access tokens.
CREATE TABLE sessions (
  id           uuid PRIMARY KEY,
  user_id      uuid NOT NULL REFERENCES users (id),
  ip           text,
  user_agent   text,
  created_at   timestamptz(3) NOT NULL DEFAULT now(),
  updated_at   timestamptz(3) NOT NULL DEFAULT now(),
  last_used_at timestamptz(3) NOT NULL DEFAULT now(),
  expires_at   timestamptz(3) NOT NULL,
  revoked_at   timestamptz(3)
);
CREATE INDEX sessions_of_user ON sessions (user_id, id DESC) WHERE revoked_at IS NULL;

CREATE TABLE refresh_tokens (
  token_hash bytea PRIMARY KEY,            -- SHA-256: the token itself is never stored
  session_id uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  used_at    timestamptz(3)                -- set once; a second use revokes the session
);
CREATE INDEX refresh_tokens_of_session ON refresh_tokens (session_id);

CREATE TABLE documents (
  id         uuid PRIMARY KEY,
  title      text NOT NULL,
  owner_id   uuid NOT NULL REFERENCES users (id),
  deleted    boolean NOT NULL DEFAULT false,
  deleted_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CHECK (deleted = (deleted_at IS NOT NULL))
);
CREATE INDEX documents_of_owner ON documents (owner_id);

CREATE TABLE document_permissions (
  document_id uuid NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
  user_id     uuid NOT NULL REFERENCES users (id),
  role        text NOT NULL CHECK (role IN ('owner', 'editor', 'viewer')),
  created_at  timestamptz(3) NOT NULL DEFAULT now(),
  updated_at  timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (document_id, user_id)
);
CREATE INDEX document_permissions_of_user ON document_permissions (user_id, document_id DESC);

-- The words of a text, or of as much of it as one tsvector can hold: 1,048,575 bytes of lexemes and positions, 48 kB of
-- which stay free for the title that it is joined with. How much text that is depends on its words, so halve until it fits.
CREATE FUNCTION search_words(body text) RETURNS tsvector LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  words tsvector;
BEGIN
  LOOP
    BEGIN
      words := to_tsvector('simple', body);
      IF pg_column_size(words) - 4 * length(words) < 1000000 THEN
        RETURN words;
      END IF;
    EXCEPTION WHEN program_limit_exceeded THEN
      NULL;
    END;
    body := left(body, length(body) / 2);
  END LOOP;
END $$;

-- What full-text search finds a document by; written at creation, at renaming and with each snapshot.
CREATE TABLE document_search (
  document_id uuid PRIMARY KEY REFERENCES documents (id) ON DELETE CASCADE,
  title       tsvector NOT NULL,
  body        tsvector NOT NULL DEFAULT ''::tsvector
);
CREATE INDEX document_search_words ON document_search USING gin ((title || body));

-- One row per document decides who may write it. `epoch` grows by one with every claim and never falls: an append that
-- names an older epoch, or another head, changes nothing.
CREATE TABLE document_heads (
  doc_id     uuid PRIMARY KEY REFERENCES documents (id) ON DELETE CASCADE,
  epoch      bigint NOT NULL DEFAULT 0,
  head_rev   bigint NOT NULL DEFAULT 0,
  owner_node text,                         -- NULL: nobody holds it
  owner_boot text,
  claim_id   uuid,                         -- which actor of that boot
  claimed_at timestamptz(3)
) WITH (fillfactor = 70);

-- The journal: one row per revision, in order, without gaps. No foreign keys: the head row is locked by every append.
CREATE TABLE document_updates (
  doc_id     uuid NOT NULL,
  rev        bigint NOT NULL,
  epoch      bigint NOT NULL,
  user_id    uuid NOT NULL,                -- the authenticated author
  client_id  uuid NOT NULL,
  seq        bigint,
  created_at timestamptz(3) NOT NULL,
  update     bytea NOT NULL,               -- Yjs update, version 1; empty when the edit came to nothing
  delta      text,                         -- its effect on the text as JSON; NULL where nobody needed it
  PRIMARY KEY (doc_id, rev)
);
CREATE UNIQUE INDEX document_updates_once ON document_updates (doc_id, client_id, user_id, seq) WHERE seq IS NOT NULL;

-- Where opening starts: the state at `rev`; the journal after it is the tail.
CREATE TABLE document_snapshots (
  doc_id       uuid PRIMARY KEY REFERENCES documents (id) ON DELETE CASCADE,
  rev          bigint NOT NULL,
  state        bytea NOT NULL,             -- Yjs update, version 1
  state_vector bytea NOT NULL,
  delete_set   bytea NOT NULL,             -- a Yjs update that holds the delete set alone
  delta        text NOT NULL,              -- the text as JSON ops
  created_at   timestamptz(3) NOT NULL DEFAULT now()
);
