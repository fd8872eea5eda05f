-- Record which client and owner an image is of, so that they take turns. Triggers count what waits:
-- then the count is right whichever statement changes an image. Images that cost two workers are left
-- out: they come after all others.

ALTER TABLE images ADD COLUMN client TEXT NOT NULL DEFAULT '' /* whose limits its work is of */;

ALTER TABLE images ADD COLUMN owner TEXT NOT NULL DEFAULT '' /* of its job */;

UPDATE images SET owner = coalesce((SELECT owner FROM jobs WHERE jobs.id = job_id), '');

CREATE INDEX images_turns ON images (client, owner, queued)
    WHERE state = 'waiting' AND attempts - released <= 1;

CREATE INDEX images_working ON images (client, owner) WHERE state = 'working';

CREATE TABLE client_turns (
    client TEXT PRIMARY KEY,
    waiting INTEGER NOT NULL,            -- its images that wait
    served REAL NOT NULL                 -- when a worker last had one of them, or the first came
) STRICT, WITHOUT ROWID;

CREATE INDEX client_turns_next ON client_turns (served) WHERE waiting > 0;

CREATE TABLE owner_turns (
    client TEXT NOT NULL,
    owner TEXT NOT NULL,
    waiting INTEGER NOT NULL,
    served REAL NOT NULL,
    PRIMARY KEY (client, owner)
) STRICT, WITHOUT ROWID;

CREATE INDEX owner_turns_next ON owner_turns (client, served) WHERE waiting > 0;

INSERT INTO owner_turns
    SELECT client, owner, count(*), min(queued) FROM images
    WHERE state = 'waiting' AND attempts - released <= 1 GROUP BY client, owner;

INSERT INTO client_turns
    SELECT client, sum(waiting), min(served) FROM owner_turns GROUP BY client;

CREATE TRIGGER turn_awaited AFTER INSERT ON images WHEN new.state = 'waiting' BEGIN
    INSERT INTO client_turns VALUES (new.client, 1, new.queued)
        ON CONFLICT DO UPDATE SET waiting = waiting + 1;
    INSERT INTO owner_turns VALUES (new.client, new.owner, 1, new.queued)
        ON CONFLICT DO UPDATE SET waiting = waiting + 1;
END;

CREATE TRIGGER turn_awaited_again AFTER UPDATE OF state ON images
WHEN new.state = 'waiting' AND new.attempts - new.released <= 1 BEGIN
    INSERT INTO client_turns VALUES (new.client, 1, new.queued)
        ON CONFLICT DO UPDATE SET waiting = waiting + 1;
    INSERT INTO owner_turns VALUES (new.client, new.owner, 1, new.queued)
        ON CONFLICT DO UPDATE SET waiting = waiting + 1;
END;

CREATE TRIGGER turn_taken AFTER UPDATE OF state ON images
WHEN old.state = 'waiting' AND old.attempts - old.released <= 1 BEGIN
    UPDATE client_turns SET waiting = waiting - 1,
        served = iif(new.state = 'working', new.claimed, served) WHERE client = old.client;
    UPDATE owner_turns SET waiting = waiting - 1,
        served = iif(new.state = 'working', new.claimed, served)
        WHERE client = old.client AND owner = old.owner;
END;

CREATE TRIGGER turn_over AFTER UPDATE OF state ON images
WHEN old.state = 'working' AND new.state IN ('done', 'failed') BEGIN
    UPDATE client_turns SET served = new.finished WHERE client = old.client;
    UPDATE owner_turns SET served = new.finished WHERE client = old.client AND owner = old.owner;
END;

CREATE TRIGGER turn_deleted AFTER DELETE ON images
WHEN old.state = 'waiting' AND old.attempts - old.released <= 1 BEGIN
    UPDATE client_turns SET waiting = waiting - 1 WHERE client = old.client;
    UPDATE owner_turns SET waiting = waiting - 1
        WHERE client = old.client AND owner = old.owner;
END;
