-- What was held back, grouped or counted as flapping, of which agents people were told, and who was told: one row a thing,
-- in JSON, so that nothing is told twice or forgotten.
CREATE TABLE paging (
    -- `monitor/ID`, `group/BEGINNING`, `agent/KEY`, `told/group/BEGINNING`, `told/flapping/MONITOR`.
    key  TEXT PRIMARY KEY,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
