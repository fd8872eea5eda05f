-- Let an operator pause the work: workers finish what they have, and take nothing new.

CREATE TABLE pause (
    id INTEGER PRIMARY KEY CHECK (id = 1), -- one row while the work is paused, and none else
    since REAL NOT NULL,
    reason TEXT NOT NULL                   -- in the operator's words, or empty
) STRICT;
