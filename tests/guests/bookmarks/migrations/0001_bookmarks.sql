CREATE TABLE bookmarks (
    id       BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    url      TEXT    NOT NULL UNIQUE,
    title    TEXT,
    shelf    TEXT    NOT NULL,
    stars    INTEGER NOT NULL,
    weight   DOUBLE PRECISION NOT NULL,
    is_read  BOOLEAN NOT NULL,
    icon     BLOB,
    added_at BIGINT  NOT NULL
);
