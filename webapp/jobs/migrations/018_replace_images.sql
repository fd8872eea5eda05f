-- Let a file that replaces a failed one be an image of its own: no original is ever overwritten. Its
-- card takes the place of the failed one's on every open page.

ALTER TABLE images ADD COLUMN replaces TEXT /* the first image of its place, which failed */;

CREATE TRIGGER image_bytes_removed AFTER DELETE ON images BEGIN
    UPDATE jobs SET bytes = bytes - old.bytes WHERE id = old.job_id;
END;
