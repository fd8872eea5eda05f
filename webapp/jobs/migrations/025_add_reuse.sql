-- Answer a request that is sent again with its first answer, and make a job's thumbnails of those of
-- another where both are of the same bytes.

CREATE TABLE idempotency_keys (
    owner TEXT NOT NULL,                 -- who sent it: an owner, or 'client:' and an address
    key TEXT NOT NULL,
    attempt TEXT NOT NULL,               -- the request that has it now, or had it last
    lease REAL NOT NULL,                 -- it has it until then
    fingerprint TEXT,                    -- of that request, once it has made a job
    job_id TEXT REFERENCES jobs ON DELETE CASCADE,
    is_whole INTEGER NOT NULL DEFAULT 0, -- 1: all that the request brought is in the job
    status INTEGER,                      -- of the answer, once there is one
    headers TEXT,                        -- JSON: those that tell of the job
    body BLOB,                           -- NULL: the job tells it
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_job ON idempotency_keys (job_id);

-- A caller without an owner becomes one by its first job.
CREATE INDEX idempotency_keys_key ON idempotency_keys (key, owner);

CREATE INDEX idempotency_keys_unused ON idempotency_keys (lease) WHERE job_id IS NULL;

ALTER TABLE images ADD COLUMN sha256 TEXT /* of its bytes, where its sender may reuse thumbnails */;

ALTER TABLE images ADD COLUMN reused INTEGER NOT NULL DEFAULT 0 /* 1: its thumbnails were there */;

-- What a decode child had before an image may have changed its thumbnails.
ALTER TABLE images ADD COLUMN first_claimed REAL /* when its first claim began */;

CREATE TRIGGER first_claim_noted AFTER UPDATE OF status ON images
WHEN old.attempts = 0 AND new.status = 'working' BEGIN
    UPDATE images SET first_claimed = new.claimed WHERE id = new.id;
END;

CREATE INDEX images_sha256 ON images (owner, sha256, created) WHERE sha256 IS NOT NULL;

-- Of those that a worker made: an estimate is the mean of their work.
DROP INDEX images_finished;

CREATE INDEX images_finished ON images (finished) WHERE status = 'done' AND NOT reused;
