-- Tenants, and what they deploy. Times are unix seconds, lists are JSON.

-- Whoever changes anything of this takes this row first: there is one change at a time over all hosts, so that no two
-- tenants can take overlapping host names at once, and no artifact goes while another revision begins to name it.
CREATE TABLE registry_turns (
    id   INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    turn INTEGER NOT NULL
) STRICT;

INSERT INTO registry_turns (id, turn) VALUES (1, 0);

CREATE TABLE tenants (
    name       TEXT    NOT NULL PRIMARY KEY,
    -- Whether it serves the built-in groups with data of its own.
    inherits   INTEGER NOT NULL,
    grants     TEXT    NOT NULL,
    -- What it may take, as JSON; what is left out is as usual.
    quotas     TEXT    NOT NULL,
    -- The minisign public key that its artifacts are signed with, if they have to be.
    signer     TEXT,
    created_at INTEGER NOT NULL,
    -- Counts up with every change of the tenant and of what it has.
    changes    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The tenant of the built-in API. Its grants are settled by the configuration and by manifests.
INSERT INTO tenants (name, inherits, grants, quotas, created_at, changes)
VALUES ('default', 1, '["log","clock","random","settings"]', '{}', 0, 0);

CREATE TABLE tenant_hosts (
    -- In lower case; exact, or `*.` and a suffix.
    host   TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (name) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX tenant_hosts_tenant ON tenant_hosts (tenant);

CREATE TABLE tenant_settings (
    tenant     TEXT NOT NULL REFERENCES tenants (name) ON DELETE CASCADE,
    group_name TEXT NOT NULL,
    name       TEXT NOT NULL,
    value      TEXT,
    -- A secret, encrypted with a key that only hosts have.
    sealed     BLOB,
    PRIMARY KEY (tenant, group_name, name),
    CHECK ((value IS NULL) <> (sealed IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE artifacts (
    -- SHA-256 of the bytes, in hexadecimal.
    digest TEXT NOT NULL PRIMARY KEY,
    bytes  BLOB NOT NULL
) STRICT;

CREATE TABLE revisions (
    tenant     TEXT    NOT NULL REFERENCES tenants (name) ON DELETE CASCADE,
    group_name TEXT    NOT NULL,
    number     INTEGER NOT NULL,
    -- Over component, settings and grants.
    digest     TEXT    NOT NULL,
    component  TEXT    NOT NULL REFERENCES artifacts (digest),
    bytes      INTEGER NOT NULL,
    who        TEXT    NOT NULL,
    source     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    grants     TEXT    NOT NULL,
    routes     TEXT    NOT NULL,
    imports    TEXT    NOT NULL,
    PRIMARY KEY (tenant, group_name, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX revisions_component ON revisions (component);

-- The settings that a revision was made with.
CREATE TABLE revision_settings (
    tenant     TEXT    NOT NULL,
    group_name TEXT    NOT NULL,
    number     INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    value      TEXT,
    sealed     BLOB,
    PRIMARY KEY (tenant, group_name, number, name),
    FOREIGN KEY (tenant, group_name, number) REFERENCES revisions (tenant, group_name, number) ON DELETE CASCADE,
    CHECK ((value IS NULL) <> (sealed IS NULL))
) STRICT, WITHOUT ROWID;

-- Which revisions of a group answer. A group that was removed keeps its row, so that `changes` goes on counting.
CREATE TABLE pointers (
    tenant     TEXT    NOT NULL REFERENCES tenants (name) ON DELETE CASCADE,
    group_name TEXT    NOT NULL,
    active     INTEGER,
    -- The revision that is tried, its share and its bounds, as JSON.
    canary     TEXT,
    changes    INTEGER NOT NULL,
    PRIMARY KEY (tenant, group_name)
) STRICT, WITHOUT ROWID;

-- What became of a group, oldest first.
CREATE TABLE revision_events (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant        TEXT    NOT NULL REFERENCES tenants (name) ON DELETE CASCADE,
    group_name    TEXT    NOT NULL,
    at            INTEGER NOT NULL,
    who           TEXT    NOT NULL,
    what          TEXT    NOT NULL,
    from_revision INTEGER,
    to_revision   INTEGER,
    why           TEXT    NOT NULL
) STRICT;

CREATE INDEX revision_events_group ON revision_events (tenant, group_name, id);
CREATE INDEX revision_events_at ON revision_events (tenant, at);

-- What lets somebody deploy. Of the token itself only the SHA-256 is known.
CREATE TABLE deploy_tokens (
    id         TEXT    NOT NULL PRIMARY KEY,
    hash       TEXT    NOT NULL,
    tenant     TEXT    NOT NULL REFERENCES tenants (name) ON DELETE CASCADE,
    name       TEXT    NOT NULL,
    verbs      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX deploy_tokens_tenant ON deploy_tokens (tenant);
