-- What is usual for a monitor, and why it is degraded.
--
-- One row a monitor whose canaries are held or that is degraded. `body` (JSON): the degradation that goes on with its reasons,
-- the channels that were told of it, and for each region how often its canary ends abnormally.
CREATE TABLE quality (
    monitor TEXT PRIMARY KEY,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
