-- How far a source has read, one row for each.
CREATE TABLE bookmark (
  source INTEGER PRIMARY KEY,
  text TEXT NOT NULL
);
