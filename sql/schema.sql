-- Dumped from a fresh database by test/schema.test.ts; migrations are what counts.

CREATE TABLE concord_migrations (
  id integer NOT NULL,
  file text NOT NULL,
  checksum text NOT NULL,
  applied_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  PRIMARY KEY (id)
);

CREATE TABLE document_clients (
  doc_id uuid NOT NULL,
  client_id uuid NOT NULL,
  user_id uuid NOT NULL,
  last_seq bigint NOT NULL,
  PRIMARY KEY (doc_id, client_id, user_id),
  FOREIGN KEY (doc_id) REFERENCES documents(id) ON DELETE CASCADE
);

CREATE TABLE document_heads (
  doc_id uuid NOT NULL,
  epoch bigint DEFAULT 0 NOT NULL,
  head_rev bigint DEFAULT 0 NOT NULL,
  owner_node text,
  owner_boot text,
  claim_id uuid,
  claimed_at timestamp(3) with time zone,
  PRIMARY KEY (doc_id),
  FOREIGN KEY (doc_id) REFERENCES documents(id) ON DELETE CASCADE
);

CREATE TABLE document_history (
  doc_id uuid NOT NULL,
  compacted_rev bigint DEFAULT 0 NOT NULL,
  audited_rev bigint DEFAULT 0 NOT NULL,
  state bytea,
  attribution bytea,
  PRIMARY KEY (doc_id),
  FOREIGN KEY (doc_id) REFERENCES documents(id) ON DELETE CASCADE
);

CREATE TABLE document_permissions (
  document_id uuid NOT NULL,
  user_id uuid NOT NULL,
  role text NOT NULL,
  created_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  updated_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  PRIMARY KEY (document_id, user_id),
  FOREIGN KEY (document_id) REFERENCES documents(id) ON DELETE CASCADE,
  FOREIGN KEY (user_id) REFERENCES users(id),
  CHECK ((role = ANY (ARRAY['owner'::text, 'editor'::text, 'viewer'::text])))
);
CREATE INDEX document_permissions_of_user ON public.document_permissions USING btree (user_id, document_id DESC);

CREATE TABLE document_search (
  document_id uuid NOT NULL,
  title tsvector NOT NULL,
  body tsvector DEFAULT ''::tsvector NOT NULL,
  PRIMARY KEY (document_id),
  FOREIGN KEY (document_id) REFERENCES documents(id) ON DELETE CASCADE
);
CREATE INDEX document_search_words ON public.document_search USING gin (((title || body)));

CREATE TABLE document_segments (
  doc_id uuid NOT NULL,
  from_rev bigint NOT NULL,
  to_rev bigint NOT NULL,
  meta bytea NOT NULL,
  deltas bytea NOT NULL,
  updates bytea NOT NULL,
  total bytea NOT NULL,
  checkpoint bytea,
  PRIMARY KEY (doc_id, to_rev),
  FOREIGN KEY (doc_id) REFERENCES documents(id) ON DELETE CASCADE
);

CREATE TABLE document_snapshots (
  doc_id uuid NOT NULL,
  rev bigint NOT NULL,
  state bytea NOT NULL,
  state_vector bytea NOT NULL,
  delete_set bytea NOT NULL,
  delta text NOT NULL,
  created_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  PRIMARY KEY (doc_id),
  FOREIGN KEY (doc_id) REFERENCES documents(id) ON DELETE CASCADE
);

CREATE TABLE document_updates (
  doc_id uuid NOT NULL,
  rev bigint NOT NULL,
  epoch bigint NOT NULL,
  user_id uuid NOT NULL,
  client_id uuid NOT NULL,
  seq bigint,
  created_at timestamp(3) with time zone NOT NULL,
  update bytea NOT NULL,
  delta text,
  PRIMARY KEY (doc_id, rev)
);
CREATE UNIQUE INDEX document_updates_once ON public.document_updates USING btree (doc_id, client_id, user_id, seq) WHERE (seq IS NOT NULL);

CREATE TABLE document_versions (
  id uuid NOT NULL,
  document_id uuid NOT NULL,
  rev bigint NOT NULL,
  name text,
  kind text NOT NULL,
  created_by uuid NOT NULL,
  contributors uuid[] NOT NULL,
  created_at timestamp(3) with time zone NOT NULL,
  PRIMARY KEY (id),
  FOREIGN KEY (document_id) REFERENCES documents(id) ON DELETE CASCADE,
  CHECK (((kind = 'named'::text) = (name IS NOT NULL))),
  CHECK ((kind = ANY (ARRAY['named'::text, 'auto'::text, 'restore'::text])))
);
CREATE UNIQUE INDEX document_versions_auto_once ON public.document_versions USING btree (document_id, rev) WHERE (kind = 'auto'::text);
CREATE INDEX document_versions_by_rev ON public.document_versions USING btree (document_id, rev);
CREATE INDEX document_versions_of_document ON public.document_versions USING btree (document_id, id DESC);

CREATE TABLE document_work (
  doc_id uuid NOT NULL,
  touched_at timestamp with time zone NOT NULL,
  PRIMARY KEY (doc_id),
  FOREIGN KEY (doc_id) REFERENCES documents(id) ON DELETE CASCADE
);

CREATE TABLE documents (
  id uuid NOT NULL,
  title text NOT NULL,
  owner_id uuid NOT NULL,
  deleted boolean DEFAULT false NOT NULL,
  deleted_at timestamp(3) with time zone,
  created_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  updated_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  PRIMARY KEY (id),
  FOREIGN KEY (owner_id) REFERENCES users(id),
  CHECK ((deleted = (deleted_at IS NOT NULL)))
);
CREATE INDEX documents_of_owner ON public.documents USING btree (owner_id);

CREATE TABLE refresh_tokens (
  token_hash bytea NOT NULL,
  session_id uuid NOT NULL,
  created_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  used_at timestamp(3) with time zone,
  PRIMARY KEY (token_hash),
  FOREIGN KEY (session_id) REFERENCES sessions(id) ON DELETE CASCADE
);
CREATE INDEX refresh_tokens_of_session ON public.refresh_tokens USING btree (session_id);

CREATE TABLE sessions (
  id uuid NOT NULL,
  user_id uuid NOT NULL,
  ip text,
  user_agent text,
  created_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  updated_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  last_used_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  expires_at timestamp(3) with time zone NOT NULL,
  revoked_at timestamp(3) with time zone,
  PRIMARY KEY (id),
  FOREIGN KEY (user_id) REFERENCES users(id)
);
CREATE INDEX sessions_of_user ON public.sessions USING btree (user_id, id DESC) WHERE (revoked_at IS NULL);

CREATE TABLE users (
  id uuid NOT NULL,
  email text,
  email_key text,
  display_name text NOT NULL,
  password_hash text,
  role text DEFAULT 'user'::text NOT NULL,
  deleted boolean DEFAULT false NOT NULL,
  created_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  updated_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  UNIQUE (email_key),
  PRIMARY KEY (id),
  CHECK ((deleted OR ((email IS NOT NULL) AND (email_key IS NOT NULL) AND (password_hash IS NOT NULL)))),
  CHECK ((role = ANY (ARRAY['user'::text, 'admin'::text])))
);

CREATE OR REPLACE FUNCTION public.search_words(body text)
 RETURNS tsvector
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$
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
END $function$;
