-- Distributes the service's tables over a Citus cluster, by user.
--
--   psql "$COORDINATOR_URL" -X -f deploy/citus/distribute.sql
--
-- Run it on the coordinator, as the owner of the tables, after `todo-backend migrate`. Running it again changes
-- nothing. It is one transaction: either everything is distributed afterwards, or nothing has changed. Requests wait
-- meanwhile. docs/SCALING.md says what to do if there is so much data that they would wait too long.
--
-- The number of shards is Citus' own setting (32): PGOPTIONS='-c citus.shard_count=64' psql …

\set ON_ERROR_STOP on
\set QUIET on

BEGIN;
SET LOCAL statement_timeout = 0;
-- Requests queue behind a lock that this script waits for, so it gives up soon. It can be run again.
SET LOCAL lock_timeout = '4s';
-- Hides Citus' notices about each copy.
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
    -- JavaScript represents ids exactly below 2^53. The ids of a node begin at its group's number times 2^48.
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
    -- The tables whose rows belong to users: `tasks`, and those with the user first in their primary key.
    owned CONSTANT regclass[] := ARRAY(
        SELECT DISTINCT key.conrelid::regclass
        FROM pg_constraint AS key JOIN pg_constraint AS owner USING (conrelid)
        WHERE owner.contype = 'f' AND owner.confrelid = 'users'::regclass AND key.contype = 'p'
            AND (key.conrelid = 'tasks'::regclass OR key.conkey[1] = (
                SELECT attnum FROM pg_attribute WHERE attrelid = key.conrelid AND attname = 'user_id'))
    );
    -- The same rule as the service has for a table that belongs to Better Auth.
    shared CONSTANT boolean := EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'users'::regclass AND NOT attisdropped AND attname IN ('email_verified', 'emailVerified')
    );
    -- Better Auth needs a unique `email`, and foreign keys of its tables cannot reference a distributed table. So
    -- `users` becomes a reference table, which every node has completely.
    on_every_node CONSTANT boolean := shared OR EXISTS (
        SELECT FROM pg_constraint
        WHERE confrelid = 'users'::regclass AND contype = 'f' AND conrelid <> ALL (owned)
    );
    pending regclass[];
    relation regclass;
    foreign_keys text[] := '{}';
    found record;
BEGIN
    -- The lock that the service's migrations take.
    PERFORM pg_advisory_xact_lock(x'746f646f6462'::bigint);
    pending := ARRAY(
        SELECT each FROM unnest(owned || ARRAY['users', '__diesel_schema_migrations']::regclass[]) AS each
        WHERE each NOT IN (SELECT logicalrelid FROM pg_dist_partition)
        ORDER BY each::text
    );
    IF pending = '{}' THEN
        RAISE INFO 'the tables are distributed already: nothing to do';
        RETURN;
    END IF;
    FOREACH relation IN ARRAY pending LOOP
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', relation);
    END LOOP;

    -- Both tables of a foreign key must be distributed in the same way. The keys are added again below.
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
    -- Copied to every node, so that a service that connects to any of them finds its migrations applied.
    IF '__diesel_schema_migrations'::regclass = ANY (pending) THEN
        PERFORM create_reference_table('__diesel_schema_migrations');
    END IF;

    FOR found IN SELECT unnest(foreign_keys) AS statement LOOP
        EXECUTE found.statement;
    END LOOP;

    -- The coordinator still has the rows that were copied to the shards.
    FOREACH relation IN ARRAY pending LOOP
        PERFORM truncate_local_data_after_distributing_table(relation);
    END LOOP;
END
$$;

COMMIT;

-- The planner has no statistics of the new shards.
ANALYZE users, tasks, idempotency_keys;
SELECT table_name, citus_table_type, distribution_column, shard_count FROM citus_tables ORDER BY 1;
