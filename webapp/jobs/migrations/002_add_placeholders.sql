-- Add what a page shows of an image before its thumbnail is loaded.

ALTER TABLE images ADD COLUMN thumbhash TEXT;

ALTER TABLE images ADD COLUMN color TEXT;
