-- This column stores the `iat` of the token from which the row's email and name were taken, so that an older token does
-- not overwrite them. `src/db/migrations.rs` skips this migration if the table belongs to Better Auth.
ALTER TABLE users ADD COLUMN claims_issued_at double;
