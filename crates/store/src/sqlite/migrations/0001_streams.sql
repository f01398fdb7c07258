-- The ledger: one append-only table per stream.

PRAGMA application_id = 0x436C6176;

CREATE TABLE life (incarnation INTEGER NOT NULL) STRICT;
INSERT INTO life VALUES (random());

-- `first` is one more than the largest revision that retention dropped. `last` is written only when a
-- record goes, so that its revision is not used again: the stream's last revision is the larger of it
-- and the largest in the stream's table.
CREATE TABLE streams (name TEXT PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE keyring (
    revision INTEGER PRIMARY KEY,
    stored_at INTEGER NOT NULL,
    subject TEXT NOT NULL,
    message_id TEXT,
    bytes BLOB NOT NULL
) STRICT;
CREATE INDEX keyring_by_subject ON keyring (subject);
CREATE UNIQUE INDEX keyring_by_message_id ON keyring (message_id) WHERE message_id IS NOT NULL;
INSERT INTO streams VALUES ('keyring', 1, 0);

CREATE TABLE access (
    revision INTEGER PRIMARY KEY,
    stored_at INTEGER NOT NULL,
    subject TEXT NOT NULL,
    message_id TEXT,
    bytes BLOB NOT NULL
) STRICT;
CREATE INDEX access_by_subject ON access (subject);
CREATE UNIQUE INDEX access_by_message_id ON access (message_id) WHERE message_id IS NOT NULL;
INSERT INTO streams VALUES ('access', 1, 0);

CREATE TABLE secrets (
    revision INTEGER PRIMARY KEY,
    stored_at INTEGER NOT NULL,
    subject TEXT NOT NULL,
    message_id TEXT,
    bytes BLOB NOT NULL
) STRICT;
CREATE INDEX secrets_by_subject ON secrets (subject);
CREATE UNIQUE INDEX secrets_by_message_id ON secrets (message_id) WHERE message_id IS NOT NULL;
INSERT INTO streams VALUES ('secrets', 1, 0);

CREATE TABLE functions (
    revision INTEGER PRIMARY KEY,
    stored_at INTEGER NOT NULL,
    subject TEXT NOT NULL,
    message_id TEXT,
    bytes BLOB NOT NULL
) STRICT;
CREATE INDEX functions_by_subject ON functions (subject);
CREATE UNIQUE INDEX functions_by_message_id ON functions (message_id) WHERE message_id IS NOT NULL;
INSERT INTO streams VALUES ('functions', 1, 0);

CREATE TABLE events (
    revision INTEGER PRIMARY KEY,
    stored_at INTEGER NOT NULL,
    subject TEXT NOT NULL,
    message_id TEXT,
    bytes BLOB NOT NULL
) STRICT;
CREATE INDEX events_by_subject ON events (subject);
CREATE UNIQUE INDEX events_by_message_id ON events (message_id) WHERE message_id IS NOT NULL;
INSERT INTO streams VALUES ('events', 1, 0);

CREATE TABLE runs (
    revision INTEGER PRIMARY KEY,
    stored_at INTEGER NOT NULL,
    subject TEXT NOT NULL,
    message_id TEXT,
    bytes BLOB NOT NULL
) STRICT;
CREATE INDEX runs_by_subject ON runs (subject);
CREATE UNIQUE INDEX runs_by_message_id ON runs (message_id) WHERE message_id IS NOT NULL;
INSERT INTO streams VALUES ('runs', 1, 0);

CREATE TABLE audit (
    revision INTEGER PRIMARY KEY,
    stored_at INTEGER NOT NULL,
    subject TEXT NOT NULL,
    message_id TEXT,
    bytes BLOB NOT NULL
) STRICT;
CREATE INDEX audit_by_subject ON audit (subject);
CREATE UNIQUE INDEX audit_by_message_id ON audit (message_id) WHERE message_id IS NOT NULL;
INSERT INTO streams VALUES ('audit', 1, 0);
