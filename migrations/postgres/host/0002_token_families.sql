-- The tokens of one sign-in are a family: a token, and those that it was exchanged for, of which the newest counts.
-- A family has a row once its first token was exchanged or ended. Rows whose `expires_at` has passed are removed:
-- all tokens of the family are then refused anyway.
CREATE TABLE token_families (
    family_id    TEXT   NOT NULL PRIMARY KEY,
    current_id   TEXT   NOT NULL, -- the newest token; empty when all have ended
    turn         BIGINT NOT NULL, -- grows with every change, so that of two versions of a row the later one is known
    exchanged_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);

CREATE INDEX token_families_expires_at ON token_families (expires_at);

-- Until now every token was its own family.
INSERT INTO token_families (family_id, current_id, turn, exchanged_at, expires_at)
SELECT token_id, '', 1, 0, expires_at FROM revoked_tokens;

DROP TABLE revoked_tokens;

-- A user's row can be removed when the tokens of earlier generations have expired. Of older rows nobody knows when.
ALTER TABLE user_generations ADD COLUMN expires_at BIGINT NOT NULL DEFAULT 9223372036854775807;

-- Every host that shares the database is told of every change, in the transaction that makes it.
CREATE FUNCTION tell_of_token_family() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('wharf_tokens', concat_ws(' ', 'family', NEW.family_id, NEW.turn, NEW.exchanged_at, NEW.expires_at, NEW.current_id));
    RETURN NULL;
END
$$;

CREATE TRIGGER tell AFTER INSERT OR UPDATE ON token_families FOR EACH ROW EXECUTE FUNCTION tell_of_token_family();

CREATE FUNCTION tell_of_user_generation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('wharf_tokens', concat_ws(' ', 'user', NEW.user_id, NEW.generation, NEW.expires_at, NEW.realm));
    RETURN NULL;
END
$$;

CREATE TRIGGER tell AFTER INSERT OR UPDATE ON user_generations FOR EACH ROW EXECUTE FUNCTION tell_of_user_generation();
