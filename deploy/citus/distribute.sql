-- Distributes the service's tables over a Citus cluster, by user.
--
--   psql "$COORDINATOR_URL" -X -f deploy/citus/distribute.sql
--
-- On the coordinator, as the owner of the tables, after `todo-backend migrate`. It may be run again, and
-- then does nothing. All of it is one transaction: either everything is distributed afterwards, or nothing
-- has changed. Calls wait meanwhile; where the data are many, that is longer than a call may take, and
-- docs/SCALING.md says what to do then.
--
-- The number of shards is Citus' own setting (32): PGOPTIONS='-c citus.shard_count=64' psql …

\set ON_ERROR_STOP on
\set QUIET on

BEGIN;
SET LOCAL statement_timeout = 0;
-- While this waits for a table, everybody waits behind it: rather give up, to be run again.
SET LOCAL lock_timeout = '4s';
-- Citus tells of each copy, and that it empties what it has copied.
SET LOCAL client_min_messages = warning;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
        RAISE EXCEPTION 'this database has no Citus: nothing was changed'
            USING HINT = 'shared_preload_libraries = ''citus'' and CREATE EXTENSION citus, here and on every worker.';
    END IF;
    IF (SELECT groupid FROM pg_dist_local_group) <> 0 THEN
        RAISE EXCEPTION 'this is a worker: nothing was changed'
            USING HINT = 'Run it on the coordinator.';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_dist_node WHERE isactive AND shouldhaveshards AND noderole = 'primary') THEN
        RAISE EXCEPTION 'no node would take the data: nothing was changed'
            USING HINT = 'SELECT citus_set_coordinator_host(…), then citus_add_node(…) for each worker.';
    END IF;
    -- An id is a number that JavaScript holds exactly: below 2^53. A node gives out ids from its group's
    -- number times 2^48 on.
    IF (SELECT max(groupid) FROM pg_dist_node) > 31 THEN
        RAISE WARNING 'the ids that nodes of a group above 31 give out are too large: let the service connect to others';
    END IF;
    IF to_regclass('users') IS NULL OR to_regclass('tasks') IS NULL OR to_regclass('idempotency_keys') IS NULL
        OR to_regclass('__diesel_schema_migrations') IS NULL THEN
        RAISE EXCEPTION 'the tables are not there yet: nothing was changed'
            USING HINT = 'Start the service once, or run `todo-backend migrate`.';
    END IF;
END
$$;

DO $$
DECLARE
    -- Where the identity provider keeps its accounts in the same table, `email` has to stay unique for it,
    -- and tables of its own may refer to it: then each node has all of `users`.
    shared CONSTANT boolean := EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'users'::regclass AND attnum > 0 AND NOT attisdropped
            AND attname NOT IN ('id', 'email', 'name', 'created_at')
    ) OR EXISTS (
        SELECT FROM pg_constraint
        WHERE confrelid = 'users'::regclass AND contype = 'f'
            AND conrelid NOT IN ('tasks'::regclass, 'idempotency_keys'::regclass)
    );
    owned CONSTANT regclass[] := ARRAY['tasks', 'idempotency_keys'];
    relation regclass;
    doomed record;
BEGIN
    -- The one that the service's migrations take.
    PERFORM pg_advisory_xact_lock(x'746f646f6462'::bigint);
    IF (
        SELECT count(*) = 4 FROM pg_dist_partition
        WHERE logicalrelid IN ('users'::regclass, 'tasks'::regclass, 'idempotency_keys'::regclass,
            '__diesel_schema_migrations'::regclass)
    ) THEN
        RAISE INFO 'the tables are distributed already: nothing to do';
        RETURN;
    END IF;
    LOCK TABLE users, tasks, idempotency_keys, __diesel_schema_migrations IN ACCESS EXCLUSIVE MODE;

    -- A foreign key needs both tables distributed alike. They come back below.
    FOR doomed IN
        SELECT conrelid::regclass AS relation, conname FROM pg_constraint
        WHERE contype = 'f' AND conrelid = ANY (owned)
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', doomed.relation, doomed.conname);
    END LOOP;

    -- A unique key of a distributed table has the column in it by which that is distributed.
    IF NOT shared THEN
        FOR doomed IN
            SELECT conname FROM pg_constraint WHERE contype = 'u' AND conrelid = 'users'::regclass
        LOOP
            EXECUTE format('ALTER TABLE users DROP CONSTRAINT %I', doomed.conname);
        END LOOP;
        FOR doomed IN
            SELECT indexrelid::regclass AS index FROM pg_index
            WHERE indrelid = 'users'::regclass AND indisunique AND NOT indisprimary
        LOOP
            EXECUTE format('DROP INDEX %s', doomed.index);
        END LOOP;
    END IF;
    ALTER TABLE tasks DROP CONSTRAINT tasks_pkey, ADD PRIMARY KEY (user_id, id);

    IF shared THEN
        PERFORM create_reference_table('users');
        PERFORM create_distributed_table('tasks', 'user_id', colocate_with => 'none');
    ELSE
        PERFORM create_distributed_table('users', 'id', colocate_with => 'none');
        PERFORM create_distributed_table('tasks', 'user_id', colocate_with => 'users');
    END IF;
    PERFORM create_distributed_table('idempotency_keys', 'user_id', colocate_with => 'tasks');
    -- On every node, so that the service may connect to any of them and finds its migrations applied.
    PERFORM create_reference_table('__diesel_schema_migrations');

    FOREACH relation IN ARRAY owned LOOP
        EXECUTE format(
            'ALTER TABLE %s ADD CONSTRAINT %I FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE',
            relation, relation || '_user_id_fkey');
    END LOOP;

    -- What was copied to the shards still lies here as well.
    FOREACH relation IN ARRAY owned || ARRAY['users', '__diesel_schema_migrations']::regclass[] LOOP
        PERFORM truncate_local_data_after_distributing_table(relation);
    END LOOP;
END
$$;

COMMIT;

-- The shards are new to the planner.
ANALYZE users, tasks, idempotency_keys;
SELECT table_name, citus_table_type, distribution_column, shard_count FROM citus_tables ORDER BY 1;
