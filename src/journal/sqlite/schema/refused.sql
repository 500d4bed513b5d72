-- Version 3: what is needed to keep refused bodies, and to send them through again.

ALTER TABLE refused ADD COLUMN form TEXT NOT NULL DEFAULT 'events document';
ALTER TABLE refused ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
CREATE INDEX refused_source ON refused (source, seq);

ALTER TABLE counter ADD COLUMN next_refused INTEGER NOT NULL DEFAULT 1;
UPDATE counter SET next_refused = coalesce((SELECT max(seq) FROM refused), 0) + 1;
