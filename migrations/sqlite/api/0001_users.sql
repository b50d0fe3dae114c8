-- Users of every realm, and what they may do. Times are unix seconds.
CREATE TABLE users (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    realm             TEXT    NOT NULL,
    name              TEXT    NOT NULL,
    username          TEXT    NOT NULL,
    email             TEXT,
    email_verified_at INTEGER,
    phone             TEXT,
    invitation_code   TEXT,
    -- 1 enabled, 0 not active, -1 disabled
    status            INTEGER NOT NULL DEFAULT 1,
    avatar            TEXT,
    -- argon2id as a PHC string, or a bcrypt or md5 hash that the next sign-in replaces
    password          TEXT    NOT NULL,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    -- An index of PostgreSQL's holds short text alone; the limit is the original system's.
    CONSTRAINT users_short CHECK (length(username) <= 255 AND length(email) <= 255 AND length(phone) <= 255),
    CONSTRAINT users_realm_username UNIQUE (realm, username),
    CONSTRAINT users_realm_email UNIQUE (realm, email),
    CONSTRAINT users_realm_phone UNIQUE (realm, phone)
) STRICT;

CREATE TABLE roles (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL UNIQUE,
    guard_name TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE permissions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL UNIQUE,
    guard_name TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE role_permissions (
    role_id       INTEGER NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    permission_id INTEGER NOT NULL REFERENCES permissions (id) ON DELETE CASCADE,
    PRIMARY KEY (role_id, permission_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE user_roles (
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role_id INTEGER NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, role_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE invitation_codes (
    code        TEXT    NOT NULL PRIMARY KEY,
    usage_times INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

INSERT INTO roles (name, guard_name, created_at, updated_at)
VALUES ('admin', 'api', unixepoch(), unixepoch());

INSERT INTO permissions (name, guard_name, created_at, updated_at)
VALUES ('add_users', 'api', unixepoch(), unixepoch()),
       ('delete_users', 'api', unixepoch(), unixepoch()),
       ('edit_users', 'api', unixepoch(), unixepoch()),
       ('read_users', 'api', unixepoch(), unixepoch());

INSERT INTO role_permissions (role_id, permission_id)
SELECT roles.id, permissions.id FROM roles, permissions;
