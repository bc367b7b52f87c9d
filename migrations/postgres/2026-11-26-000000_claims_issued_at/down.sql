ALTER TABLE users DROP COLUMN IF EXISTS claims_issued_at;
