-- What the migrations amount to. Written by `make schema`.

CREATE TABLE api_tokens (
    id TEXT PRIMARY KEY,                 -- no secret: its jobs are those of the owner 'token:<id>'
    name TEXT NOT NULL,
    digest BLOB NOT NULL,                -- SHA-256 of the token
    created REAL NOT NULL,
    last_used REAL,                      -- to a minute; NULL: never
    revoked REAL,                        -- NULL: it is valid
    jobs_per_hour INTEGER,               -- NULL: as the settings say
    mb_per_hour INTEGER
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX api_tokens_digest ON api_tokens (digest);

CREATE UNIQUE INDEX api_tokens_name ON api_tokens (name) WHERE revoked IS NULL;

CREATE TABLE client_turns (
    client TEXT PRIMARY KEY,
    waiting INTEGER NOT NULL,            -- its images that wait
    served REAL NOT NULL                 -- when a worker last had one of them, or the first came
, quick INTEGER NOT NULL DEFAULT 0 /* those of them that are not slow */) STRICT, WITHOUT ROWID;

CREATE INDEX client_turns_next ON client_turns (served) WHERE waiting > 0;

CREATE INDEX client_turns_quick ON client_turns (served) WHERE quick > 0;

CREATE TABLE counters (
    what TEXT NOT NULL,                  -- 'accepted', 'refused', an image's last state, 'deleted'
    code TEXT NOT NULL,                  -- of the error, if there is one
    count INTEGER NOT NULL,
    PRIMARY KEY (what, code)
) STRICT, WITHOUT ROWID;

CREATE TABLE deliveries (
    id TEXT PRIMARY KEY,                 -- the header webhook-id, the same for all tries
    job_id TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
    owner TEXT NOT NULL,                 -- of its job
    type TEXT NOT NULL,
    body TEXT NOT NULL,                  -- as it is sent
    created REAL NOT NULL,
    status TEXT NOT NULL DEFAULT 'waiting'
        CHECK (status IN ('waiting', 'sending', 'delivered', 'failed', 'stopped')),
    claims INTEGER NOT NULL DEFAULT 0,   -- the last one's number is its token
    retries_left INTEGER NOT NULL,
    next_try REAL                        -- when; of one that is being sent, when its lease ends
) STRICT;

CREATE INDEX deliveries_job ON deliveries (job_id, created);

CREATE INDEX deliveries_next ON deliveries (next_try, owner) WHERE status IN ('waiting', 'sending');

CREATE INDEX deliveries_sending ON deliveries (owner) WHERE status = 'sending';

CREATE TRIGGER delivery_ended AFTER UPDATE OF status ON deliveries
WHEN new.status NOT IN ('waiting', 'sending') BEGIN
    INSERT INTO counters VALUES ('webhook ' || new.status, '', 1)
        ON CONFLICT DO UPDATE SET count = count + 1;
END;

CREATE TABLE delivery_tries (
    delivery_id TEXT NOT NULL REFERENCES deliveries ON DELETE CASCADE,
    number INTEGER NOT NULL,             -- of its claim
    began REAL NOT NULL,
    ms INTEGER NOT NULL,                 -- how long it took
    answer INTEGER,                      -- the status of the answer; NULL if there was none
    error_code TEXT,                     -- NULL if it was delivered
    error_message TEXT,
    PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE durations (
    what TEXT NOT NULL,                  -- 'wait' for the first claim, 'work' of the last one
    up_to REAL NOT NULL,                 -- seconds: from the bucket before to this
    count INTEGER NOT NULL DEFAULT 0,
    seconds REAL NOT NULL DEFAULT 0.0,   -- their sum
    PRIMARY KEY (what, up_to)
) STRICT, WITHOUT ROWID;

CREATE TABLE expired_jobs (id TEXT PRIMARY KEY, deleted REAL NOT NULL) STRICT, WITHOUT ROWID;

CREATE INDEX expired_jobs_deleted ON expired_jobs (deleted);

CREATE TABLE fetches (
    id TEXT PRIMARY KEY,
    job_id TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
    position INTEGER NOT NULL,           -- that its image or missing file gets
    url TEXT NOT NULL,
    name TEXT,                           -- that its owner gave it; NULL: what the server answers
    client TEXT NOT NULL,                -- whose limits it is of; empty once it has ended
    status TEXT NOT NULL DEFAULT 'waiting'
        CHECK (status IN ('waiting', 'working', 'done', 'failed', 'cancelled')),
    attempts INTEGER NOT NULL DEFAULT 0, -- claims so far; the last one's number is its token
    released INTEGER NOT NULL DEFAULT 0, -- those of them that were given back unharmed
    due REAL NOT NULL,                   -- not before
    lease REAL,                          -- the claim holds until then
    error_code TEXT,
    error_message TEXT,
    image_id TEXT                        -- what it became
) STRICT;

CREATE INDEX fetches_of_job ON fetches (job_id, position);

CREATE INDEX fetches_pending ON fetches (client, due) WHERE status IN ('waiting', 'working');

CREATE TRIGGER fetch_added AFTER INSERT ON fetches BEGIN
    UPDATE jobs SET version = version + 1 WHERE id = new.job_id;
END;

CREATE TRIGGER fetch_changed AFTER UPDATE OF status ON fetches BEGIN
    UPDATE jobs SET version = version + 1 WHERE id = new.job_id;
END;

CREATE TRIGGER fetch_ended AFTER UPDATE OF status ON fetches
WHEN new.status NOT IN ('waiting', 'working') BEGIN
    INSERT INTO counters VALUES ('fetch ' || new.status, coalesce(new.error_code, ''), 1)
        ON CONFLICT DO UPDATE SET count = count + 1;
END;

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

CREATE INDEX idempotency_keys_key ON idempotency_keys (key, owner);

CREATE INDEX idempotency_keys_unused ON idempotency_keys (lease) WHERE job_id IS NULL;

CREATE TABLE images (
    id TEXT PRIMARY KEY,
    job_id TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
    position INTEGER NOT NULL,           -- where its uploader put it among the others
    name TEXT NOT NULL,                  -- as its owner calls it: shown, never a path
    bytes INTEGER NOT NULL,
    format TEXT NOT NULL,
    width INTEGER NOT NULL,              -- as seen: after the orientation is applied
    height INTEGER NOT NULL,
    had_gps INTEGER NOT NULL,
    status TEXT NOT NULL DEFAULT 'waiting'
        CHECK (status IN ('waiting', 'working', 'done', 'failed', 'cancelled')),
    attempts INTEGER NOT NULL DEFAULT 0, -- claims so far; the last one's number is its token
    released INTEGER NOT NULL DEFAULT 0, -- those of them that were given back unharmed
    claimed_by TEXT,
    lease REAL,                          -- the claim holds until then
    error_code TEXT,
    error_message TEXT,
    created REAL NOT NULL,
    finished REAL
, thumbhash TEXT, color TEXT, claimed REAL /* when the last claim began */, queued REAL NOT NULL DEFAULT 0 /* since when it waits for its turn */, focal_x REAL /* the focal point its owner chose, from 0 to 1 */, focal_y REAL, version INTEGER NOT NULL DEFAULT 0 /* of its job, as it changed */, client TEXT NOT NULL DEFAULT '' /* whose limits its work is of */, owner TEXT NOT NULL DEFAULT '' /* of its job */, placeholder TEXT /* a PNG of 16 pixels, in base64 */, alt TEXT /* as its owner wrote it; NULL: made of its name */, found_x REAL /* where the engine found the detail, from 0 to 1 */, found_y REAL, replaces TEXT /* the first image of its place, which failed */, slow INTEGER NOT NULL DEFAULT 0 /* 1: much work, or it timed out, or cost two workers */, sha256 TEXT /* of its bytes, where its sender may reuse thumbnails */, reused INTEGER NOT NULL DEFAULT 0 /* 1: its thumbnails were there */, first_claimed REAL /* when its first claim began */) STRICT;

CREATE INDEX images_claimable ON images (attempts - released > 1, queued)
    WHERE status IN ('waiting', 'working');

CREATE INDEX images_finished ON images (finished) WHERE status = 'done' AND NOT reused;

CREATE INDEX images_position ON images (job_id, position, created);

CREATE INDEX images_quick_turns ON images (client, owner, queued)
    WHERE status = 'waiting' AND attempts - released <= 1 AND NOT slow;

CREATE INDEX images_sha256 ON images (owner, sha256, created) WHERE sha256 IS NOT NULL;

CREATE INDEX images_turns ON images (client, owner, queued)
    WHERE status = 'waiting' AND attempts - released <= 1;

CREATE INDEX images_working ON images (client, owner) WHERE status = 'working';

CREATE TRIGGER accepted_counted AFTER INSERT ON images BEGIN
    UPDATE counters SET count = count + 1 WHERE what = 'accepted';
END;

CREATE TRIGGER again_counted AFTER UPDATE OF status ON images
WHEN old.status NOT IN ('waiting', 'working') AND new.status = 'waiting' BEGIN
    INSERT INTO counters VALUES ('again', '', 1) ON CONFLICT DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER deleted_counted AFTER DELETE ON images WHEN old.status IN ('waiting', 'working') BEGIN
    INSERT INTO counters VALUES ('deleted', '', 1) ON CONFLICT DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER end_awaited_of_queued AFTER UPDATE OF status ON images
WHEN old.status NOT IN ('waiting', 'working') AND new.status = 'waiting' BEGIN
    UPDATE jobs SET callback_status = 'awaiting'
        WHERE id = new.job_id AND callback_status = 'told';
END;

CREATE TRIGGER end_awaited_of_replaced AFTER INSERT ON images WHEN new.replaces IS NOT NULL BEGIN
    UPDATE jobs SET callback_status = 'awaiting'
        WHERE id = new.job_id AND callback_status = 'told';
END;

CREATE TRIGGER finished_counted AFTER UPDATE OF status ON images
WHEN old.status IN ('waiting', 'working') AND new.status NOT IN ('waiting', 'working') BEGIN
    INSERT INTO counters SELECT
        iif(new.error_code IS 'job_deleted', 'deleted', new.status),
        iif(new.error_code IS 'job_deleted', '', coalesce(new.error_code, '')), 1 WHERE true
        ON CONFLICT DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER first_claim_noted AFTER UPDATE OF status ON images
WHEN old.attempts = 0 AND new.status = 'working' BEGIN
    UPDATE images SET first_claimed = new.claimed WHERE id = new.id;
END;

CREATE TRIGGER image_added AFTER INSERT ON images BEGIN
    UPDATE jobs SET version = version + 1 WHERE id = new.job_id;
    UPDATE images SET version = (SELECT version FROM jobs WHERE id = new.job_id) WHERE id = new.id;
END;

CREATE TRIGGER image_bytes_added AFTER INSERT ON images BEGIN
    UPDATE jobs SET bytes = bytes + new.bytes WHERE id = new.job_id;
END;

CREATE TRIGGER image_bytes_changed AFTER UPDATE OF bytes ON images BEGIN
    UPDATE jobs SET bytes = bytes + new.bytes - old.bytes WHERE id = new.job_id;
END;

CREATE TRIGGER image_bytes_removed AFTER DELETE ON images BEGIN
    UPDATE jobs SET bytes = bytes - old.bytes WHERE id = old.job_id;
END;

CREATE TRIGGER image_changed AFTER UPDATE OF status ON images BEGIN
    UPDATE jobs SET version = version + 1 WHERE id = new.job_id;
    UPDATE images SET version = (SELECT version FROM jobs WHERE id = new.job_id) WHERE id = new.id;
END;

CREATE TRIGGER turn_awaited AFTER INSERT ON images WHEN new.status = 'waiting' BEGIN
    INSERT INTO client_turns VALUES (new.client, 1, new.queued, NOT new.slow)
        ON CONFLICT DO UPDATE SET waiting = waiting + 1, quick = quick + excluded.quick;
    INSERT INTO owner_turns VALUES (new.client, new.owner, 1, new.queued, NOT new.slow)
        ON CONFLICT DO UPDATE SET waiting = waiting + 1, quick = quick + excluded.quick;
END;

CREATE TRIGGER turn_awaited_again AFTER UPDATE OF status ON images
WHEN new.status = 'waiting' AND new.attempts - new.released <= 1 BEGIN
    INSERT INTO client_turns VALUES (new.client, 1, new.queued, NOT new.slow)
        ON CONFLICT DO UPDATE SET waiting = waiting + 1, quick = quick + excluded.quick;
    INSERT INTO owner_turns VALUES (new.client, new.owner, 1, new.queued, NOT new.slow)
        ON CONFLICT DO UPDATE SET waiting = waiting + 1, quick = quick + excluded.quick;
END;

CREATE TRIGGER turn_deleted AFTER DELETE ON images
WHEN old.status = 'waiting' AND old.attempts - old.released <= 1 BEGIN
    UPDATE client_turns SET waiting = waiting - 1, quick = quick - (NOT old.slow)
        WHERE client = old.client;
    UPDATE owner_turns SET waiting = waiting - 1, quick = quick - (NOT old.slow)
        WHERE client = old.client AND owner = old.owner;
END;

CREATE TRIGGER turn_over AFTER UPDATE OF status ON images
WHEN old.status = 'working' AND new.status IN ('done', 'failed') BEGIN
    UPDATE client_turns SET served = new.finished WHERE client = old.client;
    UPDATE owner_turns SET served = new.finished WHERE client = old.client AND owner = old.owner;
END;

CREATE TRIGGER turn_taken AFTER UPDATE OF status ON images
WHEN old.status = 'waiting' AND old.attempts - old.released <= 1 BEGIN
    UPDATE client_turns SET waiting = waiting - 1, quick = quick - (NOT old.slow),
        served = iif(new.status = 'working', new.claimed, served) WHERE client = old.client;
    UPDATE owner_turns SET waiting = waiting - 1, quick = quick - (NOT old.slow),
        served = iif(new.status = 'working', new.claimed, served)
        WHERE client = old.client AND owner = old.owner;
END;

CREATE TRIGGER wait_measured AFTER UPDATE OF status ON images
WHEN old.attempts = 0 AND new.status = 'working' BEGIN
    UPDATE durations SET count = count + 1, seconds = seconds + max(new.claimed - new.created, 0)
        WHERE what = 'wait' AND up_to = (SELECT min(up_to) FROM durations
        WHERE what = 'wait' AND up_to >= new.claimed - new.created);
END;

CREATE TRIGGER work_measured AFTER UPDATE OF status ON images
WHEN old.status = 'working' AND new.status IN ('done', 'failed')
AND new.error_code IS NOT 'worker_lost' BEGIN
    UPDATE durations SET count = count + 1, seconds = seconds + max(new.finished - new.claimed, 0)
        WHERE what = 'work' AND up_to = (SELECT min(up_to) FROM durations
        WHERE what = 'work' AND up_to >= new.finished - new.claimed);
END;

CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    owner TEXT,                          -- who submitted it: the id in a browser's session
    recipe TEXT NOT NULL,
    created REAL NOT NULL,
    expires REAL NOT NULL,
    open_until REAL NOT NULL,            -- more images may come until then; 0 once it is closed
    version INTEGER NOT NULL DEFAULT 0   -- grows with everything a page shows
, missing_files TEXT NOT NULL DEFAULT '[]'
    /* JSON: the name, the reason and the position of each */, deleted REAL /* when its owner deleted it */, name TEXT /* that its owner chose */, bytes INTEGER NOT NULL DEFAULT 0 /* of its originals and thumbnails */, too_large INTEGER NOT NULL DEFAULT 0 /* to be kept, as its owner chose */, closes INTEGER NOT NULL DEFAULT 0 /* 1: takes no more, and closes after its last fetch */, callback_url TEXT, callback_origin TEXT /* the scheme and host that its owner knows us by */, callback_status TEXT /* awaits its end, was told of it, or is stopped */
    CHECK (callback_status IN ('awaiting', 'told', 'stopped'))) STRICT;

CREATE INDEX jobs_awaiting ON jobs (open_until) WHERE callback_status = 'awaiting';

CREATE INDEX jobs_created ON jobs (created);

CREATE INDEX jobs_deleted ON jobs (deleted) WHERE deleted IS NOT NULL;

CREATE INDEX jobs_expires ON jobs (expires);

CREATE INDEX jobs_open ON jobs (open_until) WHERE open_until > 0;

CREATE INDEX jobs_owner ON jobs (owner, created);

CREATE TRIGGER end_awaited_of_opened AFTER UPDATE OF open_until ON jobs
WHEN new.callback_status = 'told' AND new.open_until > old.open_until BEGIN
    UPDATE jobs SET callback_status = 'awaiting' WHERE id = new.id;
END;

CREATE TRIGGER kept_added AFTER INSERT ON jobs WHEN new.expires = 9e999 BEGIN
    INSERT INTO kept VALUES (coalesce(new.owner, ''), 1, new.bytes), ('*', 1, new.bytes)
        ON CONFLICT DO UPDATE SET jobs = jobs + 1, bytes = bytes + excluded.bytes;
END;

CREATE TRIGGER kept_changed AFTER UPDATE OF expires, bytes ON jobs
WHEN old.expires = 9e999 OR new.expires = 9e999 BEGIN
    INSERT INTO kept SELECT value, (new.expires = 9e999) - (old.expires = 9e999),
        (new.expires = 9e999) * new.bytes - (old.expires = 9e999) * old.bytes
        FROM json_each(json_array(coalesce(new.owner, ''), '*')) WHERE true
        ON CONFLICT DO UPDATE SET jobs = jobs + excluded.jobs, bytes = bytes + excluded.bytes;
    DELETE FROM kept WHERE jobs = 0 AND owner = coalesce(new.owner, '');
END;

CREATE TRIGGER kept_removed AFTER DELETE ON jobs WHEN old.expires = 9e999 BEGIN
    UPDATE kept SET jobs = jobs - 1, bytes = bytes - old.bytes
        WHERE owner IN (coalesce(old.owner, ''), '*');
    DELETE FROM kept WHERE jobs = 0 AND owner = coalesce(old.owner, '');
END;

CREATE TABLE kept (
    owner TEXT PRIMARY KEY,              -- '*': all of them
    jobs INTEGER NOT NULL,               -- that are kept until their owner deletes them
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE owner_turns (
    client TEXT NOT NULL,
    owner TEXT NOT NULL,
    waiting INTEGER NOT NULL,
    served REAL NOT NULL, quick INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (client, owner)
) STRICT, WITHOUT ROWID;

CREATE INDEX owner_turns_next ON owner_turns (client, served) WHERE waiting > 0;

CREATE INDEX owner_turns_quick ON owner_turns (client, served) WHERE quick > 0;

CREATE TABLE pause (
    id INTEGER PRIMARY KEY CHECK (id = 1), -- one row while the work is paused, and none else
    since REAL NOT NULL,
    reason TEXT NOT NULL                   -- in the operator's words, or empty
) STRICT;

CREATE TABLE replaced_thumbnails (
    image_id TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
    folder TEXT NOT NULL,
    file_name TEXT NOT NULL,
    format TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    quality INTEGER,
    digest TEXT,
    replaced REAL NOT NULL,              -- since when
    PRIMARY KEY (image_id, folder, file_name)
) STRICT, WITHOUT ROWID;

CREATE INDEX replaced_thumbnails_replaced ON replaced_thumbnails (replaced);

CREATE TABLE thumbnails (
    image_id TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
    number INTEGER NOT NULL,             -- its place in the recipe
    folder TEXT NOT NULL,                -- below the folder of all thumbnails
    file_name TEXT NOT NULL,
    format TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    quality INTEGER, digest TEXT /* of its output; older thumbnails have none */,
    PRIMARY KEY (image_id, number)
) STRICT;

CREATE TRIGGER thumbnail_bytes_added AFTER INSERT ON thumbnails BEGIN
    UPDATE jobs SET bytes = bytes + new.bytes
        WHERE id = (SELECT job_id FROM images WHERE id = new.image_id);
END;

CREATE TRIGGER thumbnail_bytes_removed AFTER DELETE ON thumbnails BEGIN
    UPDATE jobs SET bytes = bytes - old.bytes
        WHERE id = (SELECT job_id FROM images WHERE id = old.image_id);
END;

CREATE TABLE usage (
    client TEXT,
    what TEXT,
    minute INTEGER,
    amount INTEGER NOT NULL,
    PRIMARY KEY (client, what, minute)
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_minute ON usage (minute);

CREATE TABLE webhook_secrets (
    owner TEXT NOT NULL,
    secret TEXT NOT NULL,                -- signs, so it cannot be stored as a hash
    created REAL NOT NULL,
    ends REAL,                           -- until then it signs beside the current one; NULL: current
    PRIMARY KEY (owner, secret)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX webhook_secrets_current ON webhook_secrets (owner) WHERE ends IS NULL;

CREATE TABLE workers (
    name TEXT PRIMARY KEY,
    beat REAL NOT NULL
) STRICT;
