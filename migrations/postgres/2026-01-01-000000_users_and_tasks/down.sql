DROP TABLE idempotency_keys;
DROP TABLE tasks;

-- Where the identity provider shares the table, it has columns of its own, and the accounts stay.
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'users'::regclass AND attnum > 0 AND NOT attisdropped
            AND attname NOT IN ('id', 'email', 'name', 'created_at')
    ) THEN
        DROP TABLE users;
    END IF;
END
$$;
