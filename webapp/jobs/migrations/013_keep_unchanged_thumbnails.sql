-- Record of what each thumbnail was made, so that one that would be the same again stays. A replaced
-- one has a row for as long as its address works: a change that is undone finds it.

ALTER TABLE thumbnails ADD COLUMN digest TEXT /* of its output; older thumbnails have none */;

CREATE TABLE replaced_thumbnails (
    image_id TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
    folder TEXT NOT NULL,
    file_name TEXT NOT NULL,
    format TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    quality INTEGER,
    digest TEXT,
    replaced REAL NOT NULL,              -- since when
    PRIMARY KEY (image_id, folder, file_name)
) STRICT, WITHOUT ROWID;

CREATE INDEX replaced_thumbnails_replaced ON replaced_thumbnails (replaced);
