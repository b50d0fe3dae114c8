-- What users of the realms clinic and console have besides what all users have.
CREATE TABLE clinic_users (
    user_id             INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    -- 0 doctor, 1 patient, 2 expert, 3 other
    type                INTEGER NOT NULL DEFAULT 0,
    -- 0 male, 1 female, 2 undisclosed
    sex                 INTEGER,
    age                 INTEGER,
    head_portrait       TEXT,
    clinic              TEXT,
    mobile              TEXT,
    fix_phone_number    TEXT,
    -- The key of a blob.
    certificate         TEXT,
    -- NULL or 0 not uploaded, 1 waiting, 2 approved, 3 rejected
    certificate_checked INTEGER,
    wechat              TEXT,
    intro               TEXT,
    school              TEXT,
    major               TEXT,
    CONSTRAINT clinic_users_wechat UNIQUE (wechat),
    CONSTRAINT clinic_users_short CHECK (length(wechat) <= 255)
) STRICT;

CREATE TABLE console_users (
    user_id  INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    position TEXT    NOT NULL,
    -- 1 super admin, 2 admin, 3 user
    level    INTEGER NOT NULL DEFAULT 3
) STRICT;

CREATE INDEX console_users_level ON console_users (level, user_id);

-- A sign-in to the console lasts until it has not been used for some days.
CREATE TABLE console_sessions (
    token_id   TEXT    NOT NULL PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX console_sessions_user_id ON console_sessions (user_id);
CREATE INDEX console_sessions_expires_at ON console_sessions (expires_at);
