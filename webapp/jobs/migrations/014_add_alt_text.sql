-- Let the owner of an image write its alternative text.

ALTER TABLE images ADD COLUMN alt TEXT /* as its owner wrote it; NULL: made of its name */;
