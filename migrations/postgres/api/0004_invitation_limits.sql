-- How often a code may be used; any number of times if it is NULL.
ALTER TABLE invitation_codes ADD COLUMN usage_limit BIGINT;
