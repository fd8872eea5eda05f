-- Let operators give each program a token of its own, with its own jobs and limits. The token itself is
-- shown once and not stored.

CREATE TABLE api_tokens (
    id TEXT PRIMARY KEY,                 -- no secret: its jobs are those of the owner 'token:<id>'
    name TEXT NOT NULL,
    digest BLOB NOT NULL,                -- SHA-256 of the token
    created REAL NOT NULL,
    last_used REAL,                      -- to a minute; NULL: never
    revoked REAL,                        -- NULL: it is valid
    jobs_per_hour INTEGER,               -- NULL: as the settings say
    mb_per_hour INTEGER
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX api_tokens_digest ON api_tokens (digest);

CREATE UNIQUE INDEX api_tokens_name ON api_tokens (name) WHERE revoked IS NULL;
