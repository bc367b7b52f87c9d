-- This column stores the `iat` of the token from which the row's email and name were taken, so that an older token does
-- not overwrite them. Better Auth's table does not get the column, because the service never writes to that table.
DO $$
BEGIN
    -- While ALTER TABLE waits for a long transaction, all later statements on the table wait as well. So the wait is
    -- limited, and the service retries the migration.
    SET LOCAL lock_timeout = '2s';
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'users'::regclass AND NOT attisdropped AND attname IN ('email_verified', 'emailVerified')
    ) THEN
        ALTER TABLE users ADD COLUMN claims_issued_at double precision;
    END IF;
END
$$;
