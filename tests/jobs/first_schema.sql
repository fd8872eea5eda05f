BEGIN TRANSACTION;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
INSERT INTO "_sqlite_migrations" VALUES(1,'webapp','create_tables','2026-11-25 16:25:00.738595+00:00');
CREATE TABLE images (
    id TEXT PRIMARY KEY,
    job_id TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
    position INTEGER NOT NULL,           -- where its uploader put it among the others
    name TEXT NOT NULL,                  -- as its owner calls it: shown, never a path
    bytes INTEGER NOT NULL,
    format TEXT NOT NULL,
    width INTEGER NOT NULL,              -- as seen: after the orientation is applied
    height INTEGER NOT NULL,
    had_gps INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'working', 'done', 'failed', 'cancelled')),
    attempts INTEGER NOT NULL DEFAULT 0, -- claims so far; the last one's number is its token
    released INTEGER NOT NULL DEFAULT 0, -- those of them that were given back unharmed
    claimed_by TEXT,
    lease REAL,                          -- the claim holds until then
    error_code TEXT,
    error_message TEXT,
    created REAL NOT NULL,
    finished REAL
) STRICT;
INSERT INTO "images" VALUES('image-1','job',1,'1.jpg',100,'jpeg',40,30,0,'done',1,0,NULL,NULL,NULL,NULL,1000.0,NULL);
INSERT INTO "images" VALUES('image-2','job',2,'2.jpg',100,'jpeg',40,30,0,'failed',1,0,NULL,NULL,'corrupt',NULL,1000.0,NULL);
INSERT INTO "images" VALUES('image-3','job',3,'3.jpg',100,'jpeg',40,30,0,'waiting',0,0,NULL,NULL,NULL,NULL,1000.0,NULL);
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    owner TEXT,                          -- who submitted it: the id in a browser's session
    recipe TEXT NOT NULL,
    created REAL NOT NULL,
    expires REAL NOT NULL,
    open_until REAL NOT NULL,            -- more images may come until then; 0 once it is closed
    version INTEGER NOT NULL DEFAULT 0   -- grows with everything a page shows
) STRICT;
INSERT INTO "jobs" VALUES('job','owner','[]',1000.0,9000000000000.0,0.0,6);
CREATE TABLE thumbnails (
    image_id TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
    number INTEGER NOT NULL,             -- its place in the recipe
    folder TEXT NOT NULL,                -- below the folder of all thumbnails
    file_name TEXT NOT NULL,
    format TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    quality INTEGER,
    PRIMARY KEY (image_id, number)
) STRICT;
INSERT INTO "thumbnails" VALUES('image-1',1,'job/image-1-1','square.jpg','jpeg',20,20,50,80);
CREATE TABLE workers (
    name TEXT PRIMARY KEY,
    beat REAL NOT NULL
) STRICT;
INSERT INTO "workers" VALUES('host:1',1000.0);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX jobs_expires ON jobs (expires);
CREATE INDEX jobs_owner ON jobs (owner, created);
CREATE INDEX images_position ON images (job_id, position, created);
CREATE INDEX images_claimable ON images (attempts - released > 1, created)
    WHERE state IN ('waiting', 'working');
CREATE TRIGGER image_added AFTER INSERT ON images BEGIN
    UPDATE jobs SET version = version + 1 WHERE id = new.job_id;
END;
CREATE TRIGGER image_changed AFTER UPDATE OF state ON images BEGIN
    UPDATE jobs SET version = version + 1 WHERE id = new.job_id;
END;
COMMIT;
