-- What was measured of the paths from all regions to a monitor, and the numbers that were chosen for them.
--
-- One row a monitor, written once an hour of checks and when the choice changes. `body` (JSON): `chosen`, and for each region
-- the sums that describe its path.
CREATE TABLE calibration (
    monitor TEXT PRIMARY KEY,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
