-- Keep a deleted job for a while, so that its owner can undo it, and let its owner name it.

ALTER TABLE jobs ADD COLUMN deleted REAL /* when its owner deleted it */;

ALTER TABLE jobs ADD COLUMN name TEXT /* that its owner chose */;

CREATE INDEX jobs_deleted ON jobs (deleted) WHERE deleted IS NOT NULL;

-- The images of a deleted job that are not finished are cancelled, with a code of their own.
DROP TRIGGER finished_counted;

CREATE TRIGGER finished_counted AFTER UPDATE OF status ON images
WHEN old.status IN ('waiting', 'working') AND new.status NOT IN ('waiting', 'working') BEGIN
    INSERT INTO counters SELECT
        iif(new.error_code IS 'job_deleted', 'deleted', new.status),
        iif(new.error_code IS 'job_deleted', '', coalesce(new.error_code, '')), 1 WHERE true
        ON CONFLICT DO UPDATE SET count = count + 1;
END;
