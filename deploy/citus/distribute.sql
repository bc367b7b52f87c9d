-- Distributes the service's tables over a Citus cluster, by user.
--
--   psql "$COORDINATOR_URL" -X -f deploy/citus/distribute.sql
--
-- Run this script on the coordinator, as the owner of the tables, after `todo-backend migrate`. If the script runs
-- again, it changes nothing. The changes are one transaction, so that either all of them are made or none. Requests
-- wait until the transaction ends. docs/SCALING.md describes what to do if that would take too long.
--
-- The number of shards is the default of Citus (32). To change it: PGOPTIONS='-c citus.shard_count=64' psql …

\set ON_ERROR_STOP on
\set QUIET on

BEGIN;
SET LOCAL statement_timeout = 0;
-- While this script waits for a lock, requests that need the same table wait as well. The script therefore fails after
-- a few seconds, and can be run again.
SET LOCAL lock_timeout = '4s';
-- Citus would print a notice for each table that it copies.
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
        RAISE EXCEPTION 'no node accepts shards: nothing was changed'
            USING HINT = 'SELECT citus_set_coordinator_host(…), then citus_add_node(…) for each worker.';
    END IF;
    -- JavaScript represents integers exactly only below 2^53. The ids that a node generates start at the number of its
    -- group times 2^48.
    IF (SELECT max(groupid) FROM pg_dist_node) > 31 THEN
        RAISE WARNING 'nodes in groups above 31 generate ids that are too large: connect the service to other nodes';
    END IF;
    IF to_regclass('users') IS NULL OR to_regclass('tasks') IS NULL OR to_regclass('idempotency_keys') IS NULL
        OR to_regclass('__diesel_schema_migrations') IS NULL THEN
        RAISE EXCEPTION 'the tables do not exist: nothing was changed'
            USING HINT = 'Start the service once, or run `todo-backend migrate`.';
    END IF;
END
$$;

DO $$
DECLARE
    -- The tables whose rows belong to users: `tasks`, and tables whose primary key starts with the user.
    owned CONSTANT regclass[] := ARRAY(
        SELECT DISTINCT key.conrelid::regclass
        FROM pg_constraint AS key JOIN pg_constraint AS owner USING (conrelid)
        WHERE owner.contype = 'f' AND owner.confrelid = 'users'::regclass AND key.contype = 'p'
            AND (key.conrelid = 'tasks'::regclass OR key.conkey[1] = (
                SELECT attnum FROM pg_attribute WHERE attrelid = key.conrelid AND attname = 'user_id'))
    );
    -- Whether the table `users` belongs to Better Auth. The service uses the same rule.
    shared CONSTANT boolean := EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'users'::regclass AND NOT attisdropped AND attname IN ('email_verified', 'emailVerified')
    );
    -- Whether `users` becomes a reference table, of which every node has a complete copy. This is necessary for Better
    -- Auth, which needs a unique `email`, and for foreign keys of other tables, which cannot reference a distributed
    -- table.
    on_every_node CONSTANT boolean := shared OR EXISTS (
        SELECT FROM pg_constraint
        WHERE confrelid = 'users'::regclass AND contype = 'f' AND conrelid <> ALL (owned)
    );
    pending regclass[];
    relation regclass;
    foreign_keys text[] := '{}';
    found record;
BEGIN
    -- The migrations of the service take the same lock.
    PERFORM pg_advisory_xact_lock(x'746f646f6462'::bigint);
    pending := ARRAY(
        SELECT each FROM unnest(owned || ARRAY['users', '__diesel_schema_migrations']::regclass[]) AS each
        WHERE each NOT IN (SELECT logicalrelid FROM pg_dist_partition)
        ORDER BY each::text
    );
    IF pending = '{}' THEN
        RAISE INFO 'the tables are already distributed: nothing was changed';
        RETURN;
    END IF;
    FOREACH relation IN ARRAY pending LOOP
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', relation);
    END LOOP;

    -- Foreign keys are dropped, because both of their tables must be distributed in the same way. They are added again
    -- below.
    FOR found IN
        SELECT conrelid::regclass AS relation, conname, pg_get_constraintdef(oid) AS definition
        FROM pg_constraint WHERE contype = 'f' AND conrelid = ANY (pending) AND conrelid = ANY (owned)
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', found.relation, found.conname);
        foreign_keys := foreign_keys
            || format('ALTER TABLE %s ADD CONSTRAINT %I %s', found.relation, found.conname, found.definition);
    END LOOP;

    IF 'users'::regclass = ANY (pending) AND on_every_node THEN
        PERFORM create_reference_table('users');
    ELSIF 'users'::regclass = ANY (pending) THEN
        -- A unique key must contain the distribution column, so the one on `email` is dropped. The identity provider
        -- ensures that addresses are unique.
        FOR found IN
            SELECT conname FROM pg_constraint WHERE contype = 'u' AND conrelid = 'users'::regclass
        LOOP
            EXECUTE format('ALTER TABLE users DROP CONSTRAINT %I', found.conname);
        END LOOP;
        FOR found IN
            SELECT indexrelid::regclass AS index FROM pg_index
            WHERE indrelid = 'users'::regclass AND indisunique AND NOT indisprimary
        LOOP
            EXECUTE format('DROP INDEX %s', found.index);
        END LOOP;
        PERFORM create_distributed_table('users', 'id', colocate_with => 'none');
    END IF;
    IF 'tasks'::regclass = ANY (pending) THEN
        ALTER TABLE tasks DROP CONSTRAINT tasks_pkey, ADD PRIMARY KEY (user_id, id);
        PERFORM create_distributed_table('tasks', 'user_id',
            colocate_with => CASE WHEN on_every_node THEN 'none' ELSE 'users' END);
    END IF;
    FOREACH relation IN ARRAY pending LOOP
        IF relation = ANY (owned) AND relation <> 'tasks'::regclass THEN
            PERFORM create_distributed_table(relation, 'user_id', colocate_with => 'tasks');
        END IF;
    END LOOP;
    -- This table is copied to every node, so that the service finds the applied migrations on whichever node it
    -- connects to.
    IF '__diesel_schema_migrations'::regclass = ANY (pending) THEN
        PERFORM create_reference_table('__diesel_schema_migrations');
    END IF;

    FOR found IN SELECT unnest(foreign_keys) AS statement LOOP
        EXECUTE found.statement;
    END LOOP;

    -- The rows were copied to the shards, but the coordinator still stores them in the original tables.
    FOREACH relation IN ARRAY pending LOOP
        PERFORM truncate_local_data_after_distributing_table(relation);
    END LOOP;
END
$$;

COMMIT;

-- The planner does not have statistics of the new shards.
ANALYZE users, tasks, idempotency_keys;
SELECT table_name, citus_table_type, distribution_column, shard_count FROM citus_tables ORDER BY 1;
