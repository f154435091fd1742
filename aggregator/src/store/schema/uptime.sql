-- Verdicts over time, and what late results mended.

-- Turns of each monitor's verdict: from `since` on it is `verdict`, until the next row. `gone`: it is not watched. So the
-- open span needs no end, and is right after a crash.
CREATE TABLE turn (
    monitor TEXT NOT NULL,
    since INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    PRIMARY KEY (monitor, since)
) STRICT, WITHOUT ROWID;
CREATE INDEX turn_since ON turn (since);

-- When the aggregator did not run, or stood still: whatever verdict stood then, nobody looked.
CREATE TABLE away (
    since INTEGER PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT;

-- Late checks of each region in one slot, by which what was unobserved is mended. Slots of two lengths may lie over one
-- another where the interval was changed.
CREATE TABLE late_vote (
    monitor TEXT NOT NULL,
    slot INTEGER NOT NULL,
    until INTEGER NOT NULL,
    region TEXT NOT NULL,
    passed INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    PRIMARY KEY (monitor, slot, until, region)
) STRICT, WITHOUT ROWID;
CREATE INDEX late_vote_slot ON late_vote (slot);

-- Slots of which late votes say `up` or `down`. They count only where the time is unobserved.
CREATE TABLE mend (
    monitor TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    PRIMARY KEY (monitor, since, until)
) STRICT, WITHOUT ROWID;
CREATE INDEX mend_since ON mend (since);

-- Checks of each region, by the hour (and below by the day) in which they ended, in UTC. `passed` and `failed` are scheduled
-- checks: evenly spaced, so that their share is one of time. `confirming` ones cluster where something fails, `own_fault`
-- says nothing of the server, `maintained` ones ended within a maintenance; none of these is in the other counts.
-- `late` of them all came too late to decide. `failures` counts the failed and confirming ones by name of failure (JSON).
CREATE TABLE rollup_hour (
    monitor TEXT NOT NULL,
    at INTEGER NOT NULL,
    region TEXT NOT NULL,
    passed INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    confirming INTEGER NOT NULL,
    own_fault INTEGER NOT NULL,
    maintained INTEGER NOT NULL,
    late INTEGER NOT NULL,
    failures TEXT NOT NULL,
    PRIMARY KEY (monitor, at, region)
) STRICT, WITHOUT ROWID;
CREATE INDEX rollup_hour_at ON rollup_hour (at);

-- `hours` has a bit for each hour of the day in which a scheduled check ended: how much of the day the counts stand for.
CREATE TABLE rollup_day (
    monitor TEXT NOT NULL,
    at INTEGER NOT NULL,
    region TEXT NOT NULL,
    passed INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    confirming INTEGER NOT NULL,
    own_fault INTEGER NOT NULL,
    maintained INTEGER NOT NULL,
    late INTEGER NOT NULL,
    hours INTEGER NOT NULL,
    failures TEXT NOT NULL,
    PRIMARY KEY (monitor, at, region)
) STRICT, WITHOUT ROWID;
CREATE INDEX rollup_day_at ON rollup_day (at);

-- Maintenance that was started by hand, and each occurrence of what is configured, as they were. `monitors` is a list (JSON),
-- or null for all.
CREATE TABLE maintenance (
    id TEXT PRIMARY KEY,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    monitors TEXT,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX maintenance_until ON maintenance (until);

-- What an older version wrote, as far as it tells. Every verdict that is not up opened an incident, so before its first one a
-- monitor was up since the first check that is remembered.
INSERT OR IGNORE INTO turn (monitor, since, verdict)
    SELECT i.monitor, e.at, CASE e.verdict WHEN 'removed' THEN 'gone' ELSE e.verdict END
    FROM incident_event e JOIN incident i ON i.id = e.incident
    WHERE e.verdict IN ('up', 'partial', 'down', 'unobserved', 'removed');
INSERT OR IGNORE INTO turn (monitor, since, verdict)
    SELECT v.monitor, first, 'up'
    FROM verdict v, (SELECT monitor, min(ended_at) AS first FROM result GROUP BY monitor) r
    WHERE r.monitor = v.monitor
        AND first < coalesce((SELECT min(since) FROM turn t WHERE t.monitor = v.monitor), v.since);
INSERT OR IGNORE INTO turn (monitor, since, verdict) SELECT monitor, since, verdict FROM verdict;

INSERT INTO rollup_hour (monitor, at, region, passed, failed, confirming, own_fault, maintained, late, failures)
    SELECT monitor, ended_at - ended_at % 3600000000 AS hour, region,
        sum(NOT confirming AND failure IS NULL),
        sum(NOT confirming AND failure IS NOT NULL AND failure NOT IN ('egress_blocked', 'agent_fault', 'proxy')),
        sum(confirming AND (failure IS NULL OR failure NOT IN ('egress_blocked', 'agent_fault', 'proxy'))),
        sum(failure IS NOT NULL AND failure IN ('egress_blocked', 'agent_fault', 'proxy')), 0, sum(late), '{}'
    FROM result GROUP BY monitor, hour, region;
INSERT INTO rollup_day (monitor, at, region, passed, failed, confirming, own_fault, maintained, late, hours, failures)
    SELECT monitor, at - at % 86400000000 AS day, region, sum(passed), sum(failed), sum(confirming), sum(own_fault), 0, sum(late),
        sum(CASE WHEN passed + failed > 0 THEN 1 << (at % 86400000000 / 3600000000) ELSE 0 END), '{}'
    FROM rollup_hour GROUP BY monitor, day, region;
