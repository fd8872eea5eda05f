-- Count for operators what happens to images, as their rows do not stay. Triggers do it: then a
-- count is right whichever statement changes an image, in the same transaction.

ALTER TABLE images ADD COLUMN claimed REAL /* when the last claim began */;

CREATE TABLE counters (
    what TEXT NOT NULL,                  -- 'accepted', 'refused', an image's last state, 'deleted'
    code TEXT NOT NULL,                  -- of the error, if there is one
    count INTEGER NOT NULL,
    PRIMARY KEY (what, code)
) STRICT, WITHOUT ROWID;

CREATE TABLE durations (
    what TEXT NOT NULL,                  -- 'wait' for the first claim, 'work' of the last one
    up_to REAL NOT NULL,                 -- seconds: from the bucket before to this
    count INTEGER NOT NULL DEFAULT 0,
    seconds REAL NOT NULL DEFAULT 0.0,   -- their sum
    PRIMARY KEY (what, up_to)
) STRICT, WITHOUT ROWID;

INSERT INTO counters
    SELECT 'accepted', '', count(*) FROM images UNION ALL SELECT 'done', '', 0;

INSERT INTO counters
    SELECT state, coalesce(error_code, ''), count(*) FROM images
    WHERE state NOT IN ('waiting', 'working') GROUP BY 1, 2
    ON CONFLICT DO UPDATE SET count = excluded.count;

INSERT INTO durations (what, up_to) VALUES
    ('wait', 0.05), ('wait', 0.1), ('wait', 0.25), ('wait', 0.5), ('wait', 1), ('wait', 2.5),
    ('wait', 5), ('wait', 10), ('wait', 30), ('wait', 60), ('wait', 120), ('wait', 300),
    ('wait', 9e999), -- infinity
    ('work', 0.01), ('work', 0.025), ('work', 0.05), ('work', 0.1), ('work', 0.25), ('work', 0.5),
    ('work', 1), ('work', 2.5), ('work', 5), ('work', 10), ('work', 30), ('work', 9e999);

CREATE TRIGGER accepted_counted AFTER INSERT ON images BEGIN
    UPDATE counters SET count = count + 1 WHERE what = 'accepted';
END;

CREATE TRIGGER finished_counted AFTER UPDATE OF state ON images
WHEN old.state IN ('waiting', 'working') AND new.state NOT IN ('waiting', 'working') BEGIN
    INSERT INTO counters VALUES (new.state, coalesce(new.error_code, ''), 1)
        ON CONFLICT DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER deleted_counted AFTER DELETE ON images WHEN old.state IN ('waiting', 'working') BEGIN
    INSERT INTO counters VALUES ('deleted', '', 1) ON CONFLICT DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER wait_measured AFTER UPDATE OF state ON images
WHEN old.attempts = 0 AND new.state = 'working' BEGIN
    UPDATE durations SET count = count + 1, seconds = seconds + max(new.claimed - new.created, 0)
        WHERE what = 'wait' AND up_to = (SELECT min(up_to) FROM durations
        WHERE what = 'wait' AND up_to >= new.claimed - new.created);
END;

CREATE TRIGGER work_measured AFTER UPDATE OF state ON images
WHEN old.state = 'working' AND new.state IN ('done', 'failed')
AND new.error_code IS NOT 'worker_lost' BEGIN
    UPDATE durations SET count = count + 1, seconds = seconds + max(new.finished - new.claimed, 0)
        WHERE what = 'work' AND up_to = (SELECT min(up_to) FROM durations
        WHERE what = 'work' AND up_to >= new.finished - new.claimed);
END;
