-- Let the thumbnails of an image be made again: with another recipe or focal point, or after a
-- failure.

ALTER TABLE images ADD COLUMN queued REAL NOT NULL DEFAULT 0 /* since when it waits for its turn */;

ALTER TABLE images ADD COLUMN focus_x REAL /* the focal point its owner chose, from 0 to 1 */;

ALTER TABLE images ADD COLUMN focus_y REAL;

UPDATE images SET queued = created;

DROP INDEX images_claimable;

CREATE INDEX images_claimable ON images (attempts - released > 1, queued)
    WHERE state IN ('waiting', 'working');

CREATE INDEX images_finished ON images (finished) WHERE state = 'done';

CREATE TRIGGER again_counted AFTER UPDATE OF state ON images
WHEN old.state NOT IN ('waiting', 'working') AND new.state = 'waiting' BEGIN
    INSERT INTO counters VALUES ('again', '', 1) ON CONFLICT DO UPDATE SET count = count + 1;
END;
