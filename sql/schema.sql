-- Dumped from a fresh database by test/schema.test.ts; migrations are what counts.

CREATE TABLE audit_log (
  id uuid NOT NULL,
  at timestamp(3) with time zone NOT NULL,
  action text NOT NULL,
  actor_id uuid,
  document_id uuid,
  target_id uuid,
  ip text,
  request_id text,
  details jsonb NOT NULL,
  PRIMARY KEY (id, at)
);
CREATE INDEX audit_log_by_time ON ONLY public.audit_log USING btree (at, id);
CREATE INDEX audit_log_of_actor ON ONLY public.audit_log USING btree (actor_id, at, id) WHERE (actor_id IS NOT NULL);
CREATE INDEX audit_log_of_document ON ONLY public.audit_log USING btree (document_id, at, id) WHERE (document_id IS NOT NULL);
CREATE INDEX audit_log_of_target ON ONLY public.audit_log USING btree (target_id, at, id) WHERE (target_id IS NOT NULL);

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

CREATE TABLE document_links (
  id uuid NOT NULL,
  document_id uuid NOT NULL,
  role text NOT NULL,
  token_hash bytea NOT NULL,
  created_at timestamp(3) with time zone NOT NULL,
  expires_at timestamp(3) with time zone,
  UNIQUE (token_hash),
  PRIMARY KEY (id),
  FOREIGN KEY (document_id) REFERENCES documents(id) ON DELETE CASCADE,
  CHECK ((role = ANY (ARRAY['editor'::text, 'viewer'::text])))
);
CREATE INDEX document_links_of_document ON public.document_links USING btree (document_id, id DESC);

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
  delta text NOT NULL,
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

CREATE TABLE outbox (
  id uuid NOT NULL,
  at timestamp(3) with time zone NOT NULL,
  action text NOT NULL,
  actor_id uuid,
  document_id uuid,
  target_id uuid,
  ip text,
  request_id text,
  details jsonb NOT NULL,
  queue_after timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX outbox_by_turn ON public.outbox USING btree (queue_after, id);

CREATE TABLE refresh_tokens (
  token_hash bytea NOT NULL,
  session_id uuid NOT NULL,
  created_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  used_at timestamp(3) with time zone,
  PRIMARY KEY (token_hash),
  FOREIGN KEY (session_id) REFERENCES sessions(id) ON DELETE CASCADE
);
CREATE INDEX refresh_tokens_of_session ON public.refresh_tokens USING btree (session_id);
CREATE INDEX refresh_tokens_used ON public.refresh_tokens USING btree (used_at) WHERE (used_at IS NOT NULL);

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
  foreign_key bytea,
  UNIQUE (foreign_key),
  PRIMARY KEY (id),
  FOREIGN KEY (user_id) REFERENCES users(id)
);
CREATE INDEX sessions_of_user ON public.sessions USING btree (user_id, id DESC) WHERE (revoked_at IS NULL);

CREATE TABLE user_identities (
  issuer text NOT NULL,
  subject text NOT NULL,
  user_id uuid NOT NULL,
  created_at timestamp(3) with time zone NOT NULL,
  UNIQUE (user_id),
  PRIMARY KEY (issuer, subject),
  FOREIGN KEY (user_id) REFERENCES users(id) DEFERRABLE INITIALLY DEFERRED
);

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
  CHECK ((deleted OR ((email IS NOT NULL) AND ((password_hash IS NULL) OR (email_key IS NOT NULL))))),
  CHECK ((role = ANY (ARRAY['user'::text, 'admin'::text])))
);

CREATE OR REPLACE FUNCTION public.admit_application()
 RETURNS void
 LANGUAGE plpgsql
AS $function$
DECLARE
  target regclass;
BEGIN
  PERFORM pg_advisory_xact_lock(6734121095);
  BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'concord_app') THEN
      CREATE ROLE concord_app NOLOGIN;
    END IF;
  EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN RETURN;
  END;
  BEGIN
    IF NOT pg_has_role('concord_app',
        CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END) THEN
      EXECUTE format('GRANT concord_app TO %I', current_user);
    END IF;
  EXCEPTION
    WHEN unique_violation THEN NULL;
    WHEN insufficient_privilege THEN RETURN;
  END;
  EXECUTE format('GRANT USAGE ON SCHEMA %I TO concord_app', current_schema());
  FOR target IN
    SELECT oid FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
      AND pg_has_role(relowner, 'USAGE')
  LOOP
    EXECUTE format('REVOKE ALL ON %s FROM concord_app', target);
    EXECUTE format('GRANT %s ON %s TO concord_app', CASE
      WHEN target::text = 'concord_migrations' THEN 'SELECT'
      WHEN target::text IN ('audit_log', 'document_segments', 'document_versions') THEN 'SELECT, INSERT'
      WHEN target::text IN ('document_updates', 'document_links', 'user_identities') THEN 'SELECT, INSERT, DELETE'
      WHEN target::text IN ('users', 'documents', 'document_search', 'document_heads', 'document_snapshots',
                            'document_history', 'document_clients') THEN 'SELECT, INSERT, UPDATE'
      ELSE 'SELECT, INSERT, UPDATE, DELETE' END, target);
  END LOOP;
  EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO concord_app',
                 current_schema());
  GRANT EXECUTE ON FUNCTION audit_make_partition(timestamptz), audit_drop_expired(integer), audit_forget_erased()
    TO concord_app;
END $function$;

CREATE OR REPLACE FUNCTION public.audit_drop_expired(days integer)
 RETURNS SETOF text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET lock_timeout TO '5s'
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
  part text;
BEGIN
  IF days < 30 THEN
    RAISE EXCEPTION 'the audit log is kept for 30 days at least';
  END IF;
  PERFORM pg_advisory_xact_lock(6734121096);
  FOR part IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'audit_log'::regclass
      AND (to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month') AT TIME ZONE 'UTC'
          <= now() - make_interval(days => days)
    ORDER BY c.relname
  LOOP
    EXECUTE format('DROP TABLE %I', part);
    RETURN NEXT part;
  END LOOP;
END $function$;

CREATE OR REPLACE FUNCTION public.audit_forget_erased()
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
  forgotten bigint;
BEGIN
  UPDATE audit_log l SET ip = NULL FROM users u
  WHERE u.deleted AND u.updated_at <= now() - interval '30 days' AND l.ip IS NOT NULL
    AND (l.actor_id = u.id OR l.actor_id IS NULL AND l.target_id = u.id);
  GET DIAGNOSTICS forgotten = ROW_COUNT;
  RETURN forgotten;
END $function$;

CREATE OR REPLACE FUNCTION public.audit_log_stands()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF NEW.ip IS NULL AND to_jsonb(NEW) - 'ip' = to_jsonb(OLD) - 'ip'
       AND EXISTS (SELECT FROM users WHERE id = coalesce(OLD.actor_id, OLD.target_id) AND deleted) THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION 'rows of the audit log are never changed or removed' USING ERRCODE = 'insufficient_privilege';
END $function$;

CREATE OR REPLACE FUNCTION public.audit_make_partition(moment timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET lock_timeout TO '5s'
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
  starts timestamptz := date_trunc('month', moment, 'UTC');
  ends   timestamptz := date_trunc('month', starts + interval '40 days', 'UTC');
  part   text := 'audit_log_' || to_char(starts AT TIME ZONE 'UTC', 'YYYY_MM');
BEGIN
  PERFORM pg_advisory_xact_lock(6734121096);
  IF to_regclass(part) IS NOT NULL THEN
    RETURN;
  END IF;
  EXECUTE format('CREATE TABLE %I PARTITION OF audit_log FOR VALUES FROM (%L) TO (%L)', part, starts, ends);
  -- Partitions inherit the triggers of rows, not those of statements.
  EXECUTE format('CREATE TRIGGER audit_log_stays BEFORE TRUNCATE ON %I
                  FOR EACH STATEMENT EXECUTE FUNCTION audit_log_stands()', part);
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'concord_app') THEN
    EXECUTE format('REVOKE ALL ON %I FROM concord_app', part);
  END IF;
END $function$;

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
