-- Let a job tell a server of its owner's when it is finished.

ALTER TABLE jobs ADD COLUMN callback_url TEXT;
ALTER TABLE jobs ADD COLUMN callback_origin TEXT /* the scheme and host that its owner knows us by */;
ALTER TABLE jobs ADD COLUMN callback_status TEXT /* awaits its end, was told of it, or is stopped */
    CHECK (callback_status IN ('awaiting', 'told', 'stopped'));

CREATE INDEX jobs_awaiting ON jobs (open_until) WHERE callback_status = 'awaiting';

-- What lets a finished job be finished a second time: it takes images again, or one is queued again,
-- or replaced.
CREATE TRIGGER end_awaited_of_opened AFTER UPDATE OF open_until ON jobs
WHEN new.callback_status = 'told' AND new.open_until > old.open_until BEGIN
    UPDATE jobs SET callback_status = 'awaiting' WHERE id = new.id;
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

CREATE TABLE webhook_secrets (
    owner TEXT NOT NULL,
    secret TEXT NOT NULL,                -- signs, so it cannot be stored as a hash
    created REAL NOT NULL,
    ends REAL,                           -- until then it signs beside the current one; NULL: current
    PRIMARY KEY (owner, secret)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX webhook_secrets_current ON webhook_secrets (owner) WHERE ends IS NULL;
