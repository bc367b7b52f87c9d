DROP TABLE idempotency_keys;
DROP TABLE tasks;

-- If the users table has other columns than these, another program such as Better Auth uses it as well, so it is not
-- dropped.
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
