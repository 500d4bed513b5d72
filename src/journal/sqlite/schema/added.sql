-- Deliveries that were planned after their event was recorded, when a repeat of it knew more.
CREATE TABLE added (
  delivery INTEGER PRIMARY KEY,
  event INTEGER NOT NULL,
  id BLOB NOT NULL
);
CREATE INDEX added_event ON added (event, delivery);
CREATE UNIQUE INDEX added_id ON added (id);
