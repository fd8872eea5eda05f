-- Let images that are slow to decode wait for a part of the workers, so that others' small ones need not
-- wait for them. Beside the images that wait for their turns, triggers count the quick ones.

ALTER TABLE images ADD COLUMN slow INTEGER NOT NULL DEFAULT 0 /* 1: much work, or it timed out, or cost two workers */;

UPDATE images SET slow = 1 WHERE error_code = 'timed_out'
    OR status IN ('waiting', 'working') AND attempts - released > 1;

CREATE INDEX images_quick_turns ON images (client, owner, queued)
    WHERE status = 'waiting' AND attempts - released <= 1 AND NOT slow;

ALTER TABLE client_turns ADD COLUMN quick INTEGER NOT NULL DEFAULT 0 /* those of them that are not slow */;

ALTER TABLE owner_turns ADD COLUMN quick INTEGER NOT NULL DEFAULT 0;

UPDATE client_turns SET quick = waiting;

UPDATE owner_turns SET quick = waiting;

CREATE INDEX client_turns_quick ON client_turns (served) WHERE quick > 0;

CREATE INDEX owner_turns_quick ON owner_turns (client, served) WHERE quick > 0;

DROP TRIGGER turn_awaited;

CREATE TRIGGER turn_awaited AFTER INSERT ON images WHEN new.status = 'waiting' BEGIN
    INSERT INTO client_turns VALUES (new.client, 1, new.queued, NOT new.slow)
        ON CONFLICT DO UPDATE SET waiting = waiting + 1, quick = quick + excluded.quick;
    INSERT INTO owner_turns VALUES (new.client, new.owner, 1, new.queued, NOT new.slow)
        ON CONFLICT DO UPDATE SET waiting = waiting + 1, quick = quick + excluded.quick;
END;

DROP TRIGGER turn_awaited_again;

CREATE TRIGGER turn_awaited_again AFTER UPDATE OF status ON images
WHEN new.status = 'waiting' AND new.attempts - new.released <= 1 BEGIN
    INSERT INTO client_turns VALUES (new.client, 1, new.queued, NOT new.slow)
        ON CONFLICT DO UPDATE SET waiting = waiting + 1, quick = quick + excluded.quick;
    INSERT INTO owner_turns VALUES (new.client, new.owner, 1, new.queued, NOT new.slow)
        ON CONFLICT DO UPDATE SET waiting = waiting + 1, quick = quick + excluded.quick;
END;

DROP TRIGGER turn_taken;

CREATE TRIGGER turn_taken AFTER UPDATE OF status ON images
WHEN old.status = 'waiting' AND old.attempts - old.released <= 1 BEGIN
    UPDATE client_turns SET waiting = waiting - 1, quick = quick - (NOT old.slow),
        served = iif(new.status = 'working', new.claimed, served) WHERE client = old.client;
    UPDATE owner_turns SET waiting = waiting - 1, quick = quick - (NOT old.slow),
        served = iif(new.status = 'working', new.claimed, served)
        WHERE client = old.client AND owner = old.owner;
END;

DROP TRIGGER turn_deleted;

CREATE TRIGGER turn_deleted AFTER DELETE ON images
WHEN old.status = 'waiting' AND old.attempts - old.released <= 1 BEGIN
    UPDATE client_turns SET waiting = waiting - 1, quick = quick - (NOT old.slow)
        WHERE client = old.client;
    UPDATE owner_turns SET waiting = waiting - 1, quick = quick - (NOT old.slow)
        WHERE client = old.client AND owner = old.owner;
END;
