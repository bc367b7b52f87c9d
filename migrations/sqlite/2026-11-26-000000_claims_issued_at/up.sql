-- When the token was issued that a user's row was made of, so that an older one changes nothing.
-- Not run where the table belongs to Better Auth: see `src/store/migrate.rs`.
ALTER TABLE users ADD COLUMN claims_issued_at double;
