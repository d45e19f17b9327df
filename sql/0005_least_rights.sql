-- The server's own role may do to each table what the server does, and no more: it takes no row of an account, a document,
-- a version or of packed history away, and changes none of what the journal, segments, versions and links say. A table that
-- is not named here may be read and written; whoever adds one says here, in a migration of its own, what it needs.

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
      WHEN target::text IN ('document_updates', 'document_links') THEN 'SELECT, INSERT, DELETE'
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
