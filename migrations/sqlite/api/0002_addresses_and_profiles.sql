CREATE TABLE user_addresses (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id       INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    province      TEXT    NOT NULL,
    city          TEXT    NOT NULL,
    district      TEXT    NOT NULL,
    address       TEXT    NOT NULL,
    zip           TEXT    NOT NULL,
    contact_name  TEXT    NOT NULL,
    contact_phone TEXT    NOT NULL,
    last_used_at  INTEGER,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT;

CREATE INDEX user_addresses_user_id ON user_addresses (user_id);

CREATE TABLE user_profiles (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    real_name  TEXT,
    -- 1 male, 0 female, -1 other
    sex        INTEGER NOT NULL DEFAULT 1,
    -- YYYY-MM-DD
    birthday   TEXT,
    age        TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX user_profiles_user_id ON user_profiles (user_id);
