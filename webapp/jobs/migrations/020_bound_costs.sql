-- Let sweeps, lists and metrics cost the same however many jobs there are: find the jobs that are left
-- open and the usage that is over, list all jobs in pages, and sum what owners keep by triggers.

CREATE INDEX jobs_open ON jobs (open_until) WHERE open_until > 0;

CREATE INDEX jobs_created ON jobs (created);

CREATE INDEX usage_minute ON usage (minute);

DROP INDEX jobs_kept;

CREATE TABLE kept (
    owner TEXT PRIMARY KEY,              -- '*': all of them
    jobs INTEGER NOT NULL,               -- that are kept until their owner deletes them
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO kept
    SELECT coalesce(owner, ''), count(*), sum(bytes) FROM jobs WHERE expires = 9e999 GROUP BY 1
    UNION ALL SELECT '*', count(*), coalesce(sum(bytes), 0) FROM jobs WHERE expires = 9e999;

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
