-- People whom an organisation's own identity provider signs in.

-- Such an account has no password, and an e-mail only if its provider has verified one (else it is empty).
ALTER TABLE users DROP CONSTRAINT users_check,
  ADD CONSTRAINT users_check CHECK (deleted OR email IS NOT NULL AND (password_hash IS NULL OR email_key IS NOT NULL));

CREATE TABLE user_identities (
  issuer     text NOT NULL,
  subject    text NOT NULL,                -- who it is there
  user_id    uuid NOT NULL UNIQUE REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED, -- and here
  created_at timestamptz(3) NOT NULL,
  PRIMARY KEY (issuer, subject)
);

-- Which session of the provider's one of ours stands for: a SHA-256 of issuer, subject and session.
ALTER TABLE sessions ADD COLUMN foreign_key bytea UNIQUE;

-- As before, with a line for the new table: who somebody is with a provider is written once, and goes with the account.
CREATE OR REPLACE FUNCTION admit_application() RETURNS void LANGUAGE plpgsql AS $$
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
END $$;

SELECT admit_application();
