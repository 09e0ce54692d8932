-- The record of one host: what is (parents, networks, endpoints, policies), what is under way (plans), and what was decided.
--
-- Real columns for keys and for what must be unique; `spec` is the whole object as JSON (the core's serde form), so that a
-- new option of a network needs no migration. Ids are 32 hexadecimal digits that begin with the time, so that inserts go to
-- the end of a table. References are deferred: the edits of one turn may come in any order, the turn as a whole must fit.

-- "Bulk": files of other programs are refused (https://sqlite.org/pragma.html#pragma_application_id).
PRAGMA application_id = 0x42756c6b;

-- Small facts: `boot`, in which the last turn was committed.
CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE parent (
    id   TEXT NOT NULL PRIMARY KEY,
    spec TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE network (
    id        TEXT NOT NULL PRIMARY KEY,
    name      TEXT NOT NULL UNIQUE,
    parent_id TEXT NOT NULL REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED,
    spec      TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX network_parent ON network (parent_id);

-- An attach waits for one commit of this, and each index is one more page to write: so there is none by network. Removing a
-- network looks through all endpoints instead. `addresses` is a JSON array of [subnet, address].
CREATE TABLE endpoint (
    id         TEXT NOT NULL PRIMARY KEY,
    network_id TEXT NOT NULL REFERENCES network (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    addresses  TEXT NOT NULL,
    name       TEXT,
    spec       TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX endpoint_name ON endpoint (network_id, name) WHERE name IS NOT NULL;

-- Addresses that must not be handed out: those of endpoints, and those held back until `free_at` because neighbours still
-- take them for their last host's. The key states the ipam rule a second time, on purpose: no address of a subnet twice.
-- That `endpoint_id` is an endpoint which lists the address is checked at start: a reference would want an index.
CREATE TABLE address (
    network_id  TEXT    NOT NULL REFERENCES network (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    subnet      INTEGER NOT NULL,
    address     TEXT    NOT NULL,
    endpoint_id TEXT,
    free_at     INTEGER,
    PRIMARY KEY (network_id, subnet, address),
    CHECK ((endpoint_id IS NULL) = (free_at IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- Open plans: on record, and their settlement not yet. `decision_id` is the decision that asked for it, if one did.
CREATE TABLE plan (
    id          TEXT NOT NULL PRIMARY KEY,
    decision_id INTEGER,
    spec        TEXT NOT NULL
) STRICT;

CREATE TABLE module (
    digest TEXT NOT NULL PRIMARY KEY,
    spec   TEXT NOT NULL,
    bytes  BLOB NOT NULL
) STRICT;

CREATE TABLE policy (
    name   TEXT NOT NULL PRIMARY KEY,
    module TEXT NOT NULL REFERENCES module (digest) DEFERRABLE INITIALLY DEFERRED,
    spec   TEXT NOT NULL
) STRICT;

CREATE INDEX policy_module ON policy (module);

-- Every revision that a policy ever had, as it was: what a decision was judged by can be read, and asked again. They outlive
-- their policy, and their modules stay until all decisions that these judged are archived. `spec` is the policy as JSON, `decision_id` the change that made it.
CREATE TABLE policy_revision (
    name        TEXT    NOT NULL,
    revision    INTEGER NOT NULL,
    decision_id INTEGER,
    module      TEXT    NOT NULL,
    spec        TEXT    NOT NULL,
    PRIMARY KEY (name, revision)
) STRICT, WITHOUT ROWID;

CREATE INDEX policy_revision_module ON policy_revision (module);

-- The decision log, in two tables. `decision` has what is searched for and the hash of the record; it is narrow, so that a search
-- through years reads little, and no row of it ever changes or goes. `policies` is a JSON array of names.
CREATE TABLE decision (
    id          INTEGER NOT NULL PRIMARY KEY,
    at          INTEGER NOT NULL,
    caller      TEXT    NOT NULL,
    operation   TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    object      TEXT,
    workload_id TEXT,
    workload    TEXT,
    verdict     TEXT    NOT NULL,
    policies    TEXT    NOT NULL,
    leaf        BLOB    NOT NULL CHECK (length(leaf) = 32)
) STRICT;

-- The decision as JSON, byte for byte as it was committed; `leaf` is the SHA-256 of a zero byte and these bytes (RFC 6962, 2.1: the
-- hash of a leaf), so that a signed tree can be laid over the log without rewriting it.
CREATE TABLE decision_record (
    id     INTEGER NOT NULL PRIMARY KEY REFERENCES decision (id) DEFERRABLE INITIALLY DEFERRED,
    record TEXT    NOT NULL
) STRICT;

-- What came of a decision's plan: rows and a tree of their own, as the decision must not be touched again. A removal that the kernel
-- refuses is tried again, and an endpoint that was lost is made again under its old decision: so a decision may have several.
CREATE TABLE settlement (
    seq         INTEGER NOT NULL PRIMARY KEY,
    decision_id INTEGER NOT NULL REFERENCES decision (id) DEFERRABLE INITIALLY DEFERRED,
    record      TEXT    NOT NULL,
    leaf        BLOB    NOT NULL CHECK (length(leaf) = 32)
) STRICT;

CREATE INDEX settlement_decision ON settlement (decision_id);

-- Closed months whose records are in a file of their own, with what judged them; `sha256` is the file's. `decision_id` is the decision
-- that archived them. Only records that are listed here may be deleted.
CREATE TABLE archive (
    first       INTEGER NOT NULL PRIMARY KEY,
    last        INTEGER NOT NULL CHECK (last >= first),
    month       TEXT    NOT NULL,
    file        TEXT    NOT NULL,
    sha256      TEXT    NOT NULL,
    decision_id INTEGER NOT NULL REFERENCES decision (id) DEFERRABLE INITIALLY DEFERRED
) STRICT;

CREATE TABLE event (
    seq     INTEGER NOT NULL PRIMARY KEY,
    at      INTEGER NOT NULL,
    kind    TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    text    TEXT    NOT NULL
) STRICT;

-- Hash of the token that TCP callers show. One row at most.
CREATE TABLE token (
    id   INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    hash BLOB    NOT NULL
) STRICT;

-- Append-only. The insert triggers refuse gaps, and with them INSERT OR REPLACE, which deletes without a delete trigger
-- (https://sqlite.org/lang_conflict.html, "REPLACE").
CREATE TRIGGER decision_next BEFORE INSERT ON decision
WHEN NEW.id <> (SELECT coalesce(max(id), 0) + 1 FROM decision)
BEGIN SELECT RAISE(ABORT, 'decisions are numbered without gaps'); END;
CREATE TRIGGER decision_no_update BEFORE UPDATE ON decision
BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END;
CREATE TRIGGER decision_no_delete BEFORE DELETE ON decision
BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END;

CREATE TRIGGER decision_record_next BEFORE INSERT ON decision_record
WHEN NEW.id <> (SELECT max(id) FROM decision) OR EXISTS (SELECT 1 FROM decision_record WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'a decision is recorded once'); END;
CREATE TRIGGER decision_record_no_update BEFORE UPDATE ON decision_record
BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END;
CREATE TRIGGER decision_record_no_delete BEFORE DELETE ON decision_record
WHEN NOT EXISTS (SELECT 1 FROM archive WHERE OLD.id BETWEEN first AND last)
BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END;

CREATE TRIGGER archive_next BEFORE INSERT ON archive
WHEN NEW.first <> (SELECT coalesce(max(last), 0) + 1 FROM archive) OR NEW.last >= NEW.decision_id
BEGIN SELECT RAISE(ABORT, 'archives follow each other without gaps, and come before their decision'); END;
CREATE TRIGGER archive_no_update BEFORE UPDATE ON archive
BEGIN SELECT RAISE(ABORT, 'archives are append-only'); END;
CREATE TRIGGER archive_no_delete BEFORE DELETE ON archive
BEGIN SELECT RAISE(ABORT, 'archives are append-only'); END;

CREATE TRIGGER policy_revision_no_update BEFORE UPDATE ON policy_revision
BEGIN SELECT RAISE(ABORT, 'revisions of policies are append-only'); END;
CREATE TRIGGER policy_revision_no_delete BEFORE DELETE ON policy_revision
BEGIN SELECT RAISE(ABORT, 'revisions of policies are append-only'); END;

CREATE TRIGGER settlement_next BEFORE INSERT ON settlement
WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM settlement)
BEGIN SELECT RAISE(ABORT, 'settlements are numbered without gaps'); END;
CREATE TRIGGER settlement_no_update BEFORE UPDATE ON settlement
BEGIN SELECT RAISE(ABORT, 'settlements are append-only'); END;
CREATE TRIGGER settlement_no_delete BEFORE DELETE ON settlement
BEGIN SELECT RAISE(ABORT, 'settlements are append-only'); END;

CREATE TRIGGER event_next BEFORE INSERT ON event
WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM event)
BEGIN SELECT RAISE(ABORT, 'events are numbered without gaps'); END;
CREATE TRIGGER event_no_update BEFORE UPDATE ON event
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER event_no_delete BEFORE DELETE ON event
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;

-- An uploaded module never changes: its digest is its name.
CREATE TRIGGER module_bytes_stay BEFORE UPDATE OF bytes ON module WHEN NEW.bytes <> OLD.bytes
BEGIN SELECT RAISE(ABORT, 'the bytes of a module never change'); END;
