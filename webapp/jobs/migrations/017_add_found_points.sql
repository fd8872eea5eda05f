-- Remember where the detail of an image is, to draw the crops that keep it in view.

ALTER TABLE images ADD COLUMN found_x REAL /* where the engine found the detail, from 0 to 1 */;

ALTER TABLE images ADD COLUMN found_y REAL;
