-- Times are milliseconds since 1970-01-01 UTC. Ids and digests are lower-case hexadecimal.
CREATE TABLE IF NOT EXISTS meta (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO meta (key, value) VALUES ('schema', 1), ('version', 0) ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS device (
    no           INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    name         TEXT NOT NULL,
    token_sha256 TEXT NOT NULL,
    enrolled_ms  INTEGER NOT NULL,
    removed_ms   INTEGER,
    last_poll_ms INTEGER,
    polls        INTEGER NOT NULL,
    said         TEXT,             -- what the device last said of itself, JSON
    version      TEXT,             -- the version in it
    running      TEXT,             -- the manifest id in it
    trust        INTEGER           -- version of the trust in force on it, as it last said
);

CREATE TABLE IF NOT EXISTS release (
    no               INTEGER PRIMARY KEY,
    version          TEXT NOT NULL,
    epoch            INTEGER NOT NULL,
    sequence         INTEGER NOT NULL,
    security_version INTEGER NOT NULL,
    manifest         TEXT NOT NULL,
    vendor           TEXT NOT NULL,
    class            TEXT NOT NULL,
    hardware         TEXT NOT NULL, -- {min, max}, JSON
    min_bootloader   INTEGER NOT NULL,
    images           TEXT NOT NULL, -- [{link_address, sha256, size, leaves_sha256, leaves_size}], JSON
    envelope         BLOB NOT NULL,
    author           TEXT NOT NULL,
    published_ms     INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS campaign (
    no            INTEGER PRIMARY KEY,
    name          TEXT NOT NULL,
    author        TEXT NOT NULL,
    release       INTEGER NOT NULL,
    plan          TEXT NOT NULL, -- JSON
    target        TEXT NOT NULL, -- JSON
    salt          TEXT NOT NULL, -- 16 bytes, JSON
    state         TEXT NOT NULL, -- draft awaiting_approval scheduled running paused halted completed aborted
    wave          INTEGER,
    reason        TEXT,          -- why it halted, JSON
    reason_text   TEXT,          -- the same for people
    approvals     TEXT NOT NULL, -- [{operator, at}], JSON
    created_ms    INTEGER NOT NULL,
    changed_ms    INTEGER NOT NULL,
    halted_ms     INTEGER,
    gate_since_ms INTEGER
);

CREATE TABLE IF NOT EXISTS job (
    id            TEXT PRIMARY KEY,
    campaign      INTEGER NOT NULL,
    rank          INTEGER NOT NULL, -- place in the campaign's order, from 0
    wave          INTEGER NOT NULL, -- the wave that reaches it, from 0
    device        TEXT NOT NULL,
    state         TEXT NOT NULL,    -- queued offered accepted downloading downloaded verified pending_boot testing
                                    -- confirmed rolled_back failed rejected timed_out cancelled superseded removed
    reason        TEXT,             -- rollback reason (also of a failed job that has a cause), refusal, failed stage or
                                    -- silent stage
    cause         TEXT,             -- reset cause of a device that went back
    boots         INTEGER,
    code          INTEGER,          -- the device's code of a failure, or of the probe that decided
    attempt       INTEGER NOT NULL,
    failures      INTEGER NOT NULL,
    seq           INTEGER,          -- highest report sequence seen in this attempt
    word          INTEGER,          -- sequence of the report that closed it; NULL in a confirmed job: installed before
    done          INTEGER NOT NULL, -- bytes proven and in flash
    offered_ms    INTEGER,          -- last offered anew
    changed_ms    INTEGER NOT NULL,
    heard_ms      INTEGER NOT NULL, -- the device last said something new of this attempt
    not_before_ms INTEGER NOT NULL,
    turned_away   INTEGER NOT NULL, -- polls answered "nothing" because the campaign had stopped
    served        INTEGER NOT NULL, -- bytes of images and leaf lists sent for this job
    events        INTEGER NOT NULL, -- timeline rows written
    probes        INTEGER,          -- bit n: probe n of the self-test failed; NULL if none did
    UNIQUE (campaign, rank)
);

CREATE TABLE IF NOT EXISTS job_event (
    no       INTEGER PRIMARY KEY AUTOINCREMENT,
    job      TEXT NOT NULL,
    campaign INTEGER NOT NULL,
    device   TEXT NOT NULL,
    at_ms    INTEGER NOT NULL,
    attempt  INTEGER NOT NULL,
    seq      INTEGER,          -- the device's number; NULL for what the server did
    what     TEXT NOT NULL,    -- a job state, or resumed withdrawn retried installed_before
    late     INTEGER NOT NULL, -- 1: it said nothing new
    done     INTEGER,
    total    INTEGER,
    reason   TEXT,
    cause    TEXT,
    boots    INTEGER,
    code     INTEGER,
    probes   INTEGER,
    UNIQUE (job, attempt, seq)
);

CREATE TABLE IF NOT EXISTS audit (
    seq     INTEGER PRIMARY KEY,
    at_ms   INTEGER NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail  TEXT NOT NULL,
    prev    TEXT NOT NULL,
    hash    TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS trust (
    version  INTEGER PRIMARY KEY,
    sha256   TEXT NOT NULL, -- of the envelope
    envelope BLOB NOT NULL,
    author   TEXT NOT NULL,
    added_ms INTEGER NOT NULL
);
