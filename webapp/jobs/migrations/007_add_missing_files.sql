-- Remember the files that were meant for a job and are not in it.

ALTER TABLE jobs ADD COLUMN missing_files TEXT NOT NULL DEFAULT '[]'
    /* JSON: the name, the reason and the position of each */;
