-- Name the focal point of an image as all else does.

ALTER TABLE images RENAME COLUMN focus_x TO focal_x;

ALTER TABLE images RENAME COLUMN focus_y TO focal_y;
