-- The time at which the token was issued that a user's email and name come from, so that an older token does not
-- overwrite them. Better Auth's table does not get the column, because the service never writes to it.
DO $$
BEGIN
    -- While ALTER TABLE waits for a long transaction, all other statements wait behind it. The service retries.
    SET LOCAL lock_timeout = '2s';
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'users'::regclass AND NOT attisdropped AND attname IN ('email_verified', 'emailVerified')
    ) THEN
        ALTER TABLE users ADD COLUMN claims_issued_at double precision;
    END IF;
END
$$;
