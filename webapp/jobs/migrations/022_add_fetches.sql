-- Queue the addresses of images that the server fetches. A job that waits for them is open, without an
-- end, so that all who wait for it go on; if its owner closed it meanwhile, the last fetch does so.

ALTER TABLE jobs ADD COLUMN closes INTEGER NOT NULL DEFAULT 0 /* 1: takes no more, and closes after its last fetch */;

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
