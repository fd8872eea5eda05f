-- Name the status of an image as all else does. SQLite renames it in indexes and triggers too.

ALTER TABLE images RENAME COLUMN state TO status;
