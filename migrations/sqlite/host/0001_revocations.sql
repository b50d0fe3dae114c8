-- Tokens ended before their time. Rows whose `expires_at` has passed are removed: the token is then refused anyway.
CREATE TABLE revoked_tokens (
    token_id   TEXT    NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX revoked_tokens_expires_at ON revoked_tokens (expires_at);

-- A token carries its user's generation; tokens of an older generation than this are refused.
CREATE TABLE user_generations (
    realm      TEXT    NOT NULL,
    user_id    INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (realm, user_id)
) STRICT, WITHOUT ROWID;
