-- When the token was issued that a user's row was made of, so that an older one changes nothing. Where the
-- table belongs to Better Auth, the service never writes to it, and adds no column either.
DO $$
BEGIN
    -- While this waits for a long transaction, all others wait behind it. The service tries again.
    SET LOCAL lock_timeout = '2s';
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'users'::regclass AND NOT attisdropped AND attname IN ('email_verified', 'emailVerified')
    ) THEN
        ALTER TABLE users ADD COLUMN claims_issued_at double precision;
    END IF;
END
$$;
