-- Version 1 of the journal's schema. `docs/journal.md` explains every table.
-- A version that was released is never edited: a change is a new file and a new line in schema.rs.

-- Facts: appended in commit order, never searched by text.

CREATE TABLE event (
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL,
  received INTEGER NOT NULL,
  source INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  flags INTEGER NOT NULL,
  first_delivery INTEGER NOT NULL,
  deliveries INTEGER NOT NULL,
  identities BLOB,
  matched TEXT NOT NULL,
  text TEXT NOT NULL,
  original BLOB
);

CREATE TABLE delivery (
  seq INTEGER PRIMARY KEY,
  event INTEGER NOT NULL,
  subscription INTEGER NOT NULL,
  sink INTEGER NOT NULL,
  level INTEGER NOT NULL,
  lane_key INTEGER,
  expires INTEGER NOT NULL
);

CREATE TABLE attempt (
  seq INTEGER PRIMARY KEY,
  number INTEGER NOT NULL,
  message INTEGER NOT NULL,
  leader INTEGER,
  delivery INTEGER NOT NULL,
  previous INTEGER,
  started INTEGER NOT NULL,
  ended INTEGER NOT NULL,
  outcome INTEGER NOT NULL,
  charged INTEGER NOT NULL,
  words TEXT NOT NULL
);

CREATE TABLE finish (
  delivery INTEGER PRIMARY KEY,
  state INTEGER NOT NULL,
  at INTEGER NOT NULL,
  attempt INTEGER,
  charged INTEGER NOT NULL,
  reason TEXT,
  late INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX finish_undelivered ON finish (state, delivery) WHERE state <> 1;

CREATE TABLE operation (
  seq INTEGER PRIMARY KEY,
  received INTEGER NOT NULL,
  source INTEGER NOT NULL,
  reason TEXT NOT NULL,
  text TEXT NOT NULL
);

CREATE TABLE generation (
  seq INTEGER PRIMARY KEY,
  since INTEGER NOT NULL
);

CREATE TABLE subscription (
  seq INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  text TEXT NOT NULL
);

CREATE TABLE in_force (
  seq INTEGER PRIMARY KEY,
  subscription INTEGER NOT NULL,
  position INTEGER NOT NULL,
  first_generation INTEGER NOT NULL,
  last_generation INTEGER
);

CREATE TABLE name (
  seq INTEGER PRIMARY KEY,
  text TEXT NOT NULL
);

CREATE TABLE hand (
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  who TEXT NOT NULL,
  verb TEXT NOT NULL,
  what TEXT NOT NULL,
  why TEXT
);

CREATE TABLE refused (
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  source INTEGER NOT NULL,
  reason TEXT NOT NULL,
  body BLOB
);

-- Working set: only what is unfinished.

CREATE TABLE lane (
  head INTEGER PRIMARY KEY,
  sink INTEGER NOT NULL,
  level INTEGER NOT NULL,
  due INTEGER,
  attempt INTEGER,
  started INTEGER,
  key INTEGER,
  phase INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  charged INTEGER NOT NULL DEFAULT 0,
  kills INTEGER NOT NULL DEFAULT 0,
  since INTEGER,
  uncounted INTEGER NOT NULL DEFAULT 0,
  first_attempt INTEGER,
  message INTEGER,
  composed INTEGER,
  kept INTEGER NOT NULL DEFAULT 0,
  last INTEGER,
  again INTEGER,
  late INTEGER NOT NULL DEFAULT 0,
  earlier INTEGER
);
CREATE INDEX lane_due ON lane (sink, level, due) WHERE due IS NOT NULL;
CREATE UNIQUE INDEX lane_key ON lane (sink, key) WHERE key IS NOT NULL;
CREATE INDEX lane_open ON lane (attempt) WHERE attempt IS NOT NULL;

CREATE TABLE queue (
  delivery INTEGER PRIMARY KEY,
  sink INTEGER NOT NULL,
  key INTEGER NOT NULL
);
CREATE INDEX queue_lane ON queue (sink, key);

CREATE TABLE message (
  number INTEGER PRIMARY KEY,
  composed INTEGER NOT NULL,
  members TEXT,
  frozen INTEGER NOT NULL DEFAULT 0,
  text TEXT
);

CREATE TABLE checkpoint (
  message INTEGER PRIMARY KEY,
  bytes BLOB NOT NULL
);

CREATE TABLE identity (
  key INTEGER PRIMARY KEY,
  event INTEGER NOT NULL
);

CREATE TABLE identity_more (
  key INTEGER NOT NULL,
  event INTEGER NOT NULL,
  PRIMARY KEY (key, event)
) WITHOUT ROWID;

CREATE TABLE wait (
  delivery INTEGER PRIMARY KEY,
  until INTEGER NOT NULL,
  cause TEXT NOT NULL,
  request TEXT
);

CREATE TABLE endpoint (
  seq INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  starts BLOB NOT NULL DEFAULT x'',
  per INTEGER NOT NULL DEFAULT 0,
  penalty_until INTEGER,
  faults INTEGER NOT NULL DEFAULT 0,
  probe_at INTEGER
);

CREATE TABLE way (
  sink INTEGER PRIMARY KEY,
  endpoint INTEGER,
  limited INTEGER NOT NULL,
  until INTEGER
);

CREATE TABLE pause (
  sink INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  who TEXT NOT NULL,
  why TEXT NOT NULL
);

CREATE TABLE kept_back (
  event INTEGER PRIMARY KEY
);

CREATE TABLE backlog (
  sink INTEGER PRIMARY KEY,
  pending INTEGER NOT NULL
);

CREATE TABLE counter (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  events INTEGER NOT NULL DEFAULT 0,
  planned INTEGER NOT NULL DEFAULT 0,
  delivered INTEGER NOT NULL DEFAULT 0,
  dead INTEGER NOT NULL DEFAULT 0,
  suppressed INTEGER NOT NULL DEFAULT 0,
  pending INTEGER NOT NULL DEFAULT 0,
  removed INTEGER NOT NULL DEFAULT 0,
  next_event INTEGER NOT NULL DEFAULT 1,
  next_delivery INTEGER NOT NULL DEFAULT 1,
  next_attempt INTEGER NOT NULL DEFAULT 1,
  next_claim INTEGER NOT NULL DEFAULT 1,
  next_operation INTEGER NOT NULL DEFAULT 1,
  identities_from INTEGER NOT NULL DEFAULT 1,
  swept INTEGER NOT NULL DEFAULT 0
);
INSERT INTO counter (one) VALUES (1);

CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value BLOB NOT NULL
) WITHOUT ROWID;
-- Tells this journal from every other, so that an index beside it is known to be its own.
INSERT INTO meta (key, value) VALUES ('journal', randomblob(16));
