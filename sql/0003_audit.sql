-- Who did what. An event is written to the outbox in the transaction that it tells of; from there it moves to the audit
-- log, whose rows stand as they are until their month is dropped whole.

CREATE TABLE outbox (
  id          uuid PRIMARY KEY,
  at          timestamptz(3) NOT NULL,
  action      text NOT NULL,
  actor_id    uuid,
  document_id uuid,
  target_id   uuid,
  ip          text,
  request_id  text,
  details     jsonb NOT NULL,
  queue_after timestamptz NOT NULL DEFAULT '-infinity' -- when its job may be asked for, again
);
CREATE INDEX outbox_by_turn ON outbox (queue_after, id);

-- No foreign keys: what happened stays true when what it happened to is gone.
CREATE TABLE audit_log (
  id          uuid,
  at          timestamptz(3),
  action      text NOT NULL,
  actor_id    uuid,                        -- NULL: nobody was signed in
  document_id uuid,
  target_id   uuid,                        -- whom or what, where that is not the document
  ip          text,
  request_id  text,
  details     jsonb NOT NULL,
  PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE INDEX audit_log_by_time ON audit_log (at, id);
CREATE INDEX audit_log_of_document ON audit_log (document_id, at, id) WHERE document_id IS NOT NULL;
CREATE INDEX audit_log_of_actor ON audit_log (actor_id, at, id) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_log_of_target ON audit_log (target_id, at, id) WHERE target_id IS NOT NULL;

-- Rows stand, whoever asks. The one thing that may go from them is the address of somebody whose account was erased.
CREATE FUNCTION audit_log_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF NEW.ip IS NULL AND to_jsonb(NEW) - 'ip' = to_jsonb(OLD) - 'ip'
       AND EXISTS (SELECT FROM users WHERE id = coalesce(OLD.actor_id, OLD.target_id) AND deleted) THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION 'rows of the audit log are never changed or removed' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_log_stands BEFORE UPDATE OR DELETE ON audit_log
  FOR EACH ROW EXECUTE FUNCTION audit_log_stands();
CREATE TRIGGER audit_log_stays BEFORE TRUNCATE ON audit_log
  FOR EACH STATEMENT EXECUTE FUNCTION audit_log_stands();

-- Makes the partition of a moment's month (UTC) unless it is there. The application may: it owns no table and needs none.
CREATE FUNCTION audit_make_partition(moment timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '5s' AS $$
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
END $$;

-- Drops the partitions that ended over `days` days ago and names them. It asks the database's clock and refuses less than
-- 30 days, so that whoever speaks for the application cannot drop what is recent.
CREATE FUNCTION audit_drop_expired(days integer) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '5s' AS $$
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
END $$;

-- Takes the addresses of people whose accounts were erased 30 days ago or more; their ids stay. Returns how many rows.
CREATE FUNCTION audit_forget_erased() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  forgotten bigint;
BEGIN
  UPDATE audit_log l SET ip = NULL FROM users u
  WHERE u.deleted AND u.updated_at <= now() - interval '30 days' AND l.ip IS NOT NULL
    AND (l.actor_id = u.id OR l.actor_id IS NULL AND l.target_id = u.id);
  GET DIAGNOSTICS forgotten = ROW_COUNT;
  RETURN forgotten;
END $$;

-- Lets the role `concord_app` do what the server does and no more, making it first where the caller may. The server works
-- as that role; who migrates owns the tables. Where the caller may not make roles nothing happens, and the server says so.
-- Roles belong to the cluster: other databases on it may be doing the same.
CREATE FUNCTION admit_application() RETURNS void LANGUAGE plpgsql AS $$
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
    EXECUTE format('GRANT %s ON %s TO concord_app', CASE target::text
      WHEN 'audit_log' THEN 'SELECT, INSERT'
      WHEN 'concord_migrations' THEN 'SELECT'
      ELSE 'SELECT, INSERT, UPDATE, DELETE' END, target);
  END LOOP;
  EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO concord_app',
                 current_schema());
  GRANT EXECUTE ON FUNCTION audit_make_partition(timestamptz), audit_drop_expired(integer), audit_forget_erased()
    TO concord_app;
END $$;

REVOKE ALL ON FUNCTION audit_make_partition(timestamptz), audit_drop_expired(integer), audit_forget_erased() FROM PUBLIC;

-- What runs with its owner's rights must not be led to other tables of the same names.
DO $$
DECLARE
  routine regprocedure;
BEGIN
  FOREACH routine IN ARRAY ARRAY['audit_make_partition(timestamptz)', 'audit_drop_expired(integer)',
                                 'audit_forget_erased()']::regprocedure[] LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', routine, current_schema());
  END LOOP;
END $$;

SELECT admit_application();
