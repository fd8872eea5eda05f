-- Keep the placeholder as an image, so that the web server does not have to draw it.

ALTER TABLE images ADD COLUMN placeholder TEXT /* a PNG of 16 pixels, in base64 */;

DROP TABLE IF EXISTS _sqlite_migrations;
