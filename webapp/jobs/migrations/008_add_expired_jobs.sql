-- Remember for a while which jobs expired, to answer 410 instead of 404.

CREATE TABLE expired_jobs (id TEXT PRIMARY KEY, deleted REAL NOT NULL) STRICT, WITHOUT ROWID;

CREATE INDEX expired_jobs_deleted ON expired_jobs (deleted);
