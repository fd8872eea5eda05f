-- Add what each client used of its limits, by the minute.

CREATE TABLE usage (
    client TEXT,
    what TEXT,
    minute INTEGER,
    amount INTEGER NOT NULL,
    PRIMARY KEY (client, what, minute)
) STRICT, WITHOUT ROWID;
