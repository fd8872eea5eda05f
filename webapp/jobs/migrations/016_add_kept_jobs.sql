-- Let a job be kept until its owner deletes it: it expires at infinity, so that every comparison with
-- `expires` stays as it is. What an owner keeps so is counted: `bytes` has the originals and thumbnails.
-- A new job that is too large for that expires after all.

ALTER TABLE jobs ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0 /* of its originals and thumbnails */;

ALTER TABLE jobs ADD COLUMN too_large INTEGER NOT NULL DEFAULT 0 /* to be kept, as its owner chose */;

UPDATE jobs SET bytes = (SELECT coalesce(sum(bytes), 0) FROM images WHERE job_id = jobs.id)
    + (SELECT coalesce(sum(thumbnails.bytes), 0) FROM images JOIN thumbnails ON image_id = images.id
    WHERE job_id = jobs.id);

CREATE INDEX jobs_kept ON jobs (owner, bytes) WHERE expires = 9e999;

CREATE TRIGGER image_bytes_added AFTER INSERT ON images BEGIN
    UPDATE jobs SET bytes = bytes + new.bytes WHERE id = new.job_id;
END;

CREATE TRIGGER image_bytes_changed AFTER UPDATE OF bytes ON images BEGIN
    UPDATE jobs SET bytes = bytes + new.bytes - old.bytes WHERE id = new.job_id;
END;

CREATE TRIGGER thumbnail_bytes_added AFTER INSERT ON thumbnails BEGIN
    UPDATE jobs SET bytes = bytes + new.bytes
        WHERE id = (SELECT job_id FROM images WHERE id = new.image_id);
END;

CREATE TRIGGER thumbnail_bytes_removed AFTER DELETE ON thumbnails BEGIN
    UPDATE jobs SET bytes = bytes - old.bytes
        WHERE id = (SELECT job_id FROM images WHERE id = old.image_id);
END;
