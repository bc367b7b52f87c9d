-- The time at which the token was issued that a user's email and name come from, so that an older token does not
-- overwrite them. `src/db/migrations.rs` skips this migration if the table belongs to Better Auth.
ALTER TABLE users ADD COLUMN claims_issued_at double;
