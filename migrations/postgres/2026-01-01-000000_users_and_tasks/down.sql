DROP TABLE idempotency_keys;
DROP TABLE tasks;

-- A table with other columns is shared with the identity provider and contains its accounts, so it is not dropped.
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
