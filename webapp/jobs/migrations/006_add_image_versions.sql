-- Record which images a page has to be sent again. No trigger starts another here, as none of them
-- watches a version.

ALTER TABLE images ADD COLUMN version INTEGER NOT NULL DEFAULT 0 /* of its job, as it changed */;

DROP TRIGGER image_added;

DROP TRIGGER image_changed;

CREATE TRIGGER image_added AFTER INSERT ON images BEGIN
    UPDATE jobs SET version = version + 1 WHERE id = new.job_id;
    UPDATE images SET version = (SELECT version FROM jobs WHERE id = new.job_id) WHERE id = new.id;
END;

CREATE TRIGGER image_changed AFTER UPDATE OF state ON images BEGIN
    UPDATE jobs SET version = version + 1 WHERE id = new.job_id;
    UPDATE images SET version = (SELECT version FROM jobs WHERE id = new.job_id) WHERE id = new.id;
END;
