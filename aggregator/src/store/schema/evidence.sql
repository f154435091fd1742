-- What made a verdict: votes, rule and moments. `body` is the decision in its JSON form.
CREATE TABLE evidence (
    incident TEXT NOT NULL,
    decided_at INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (incident, decided_at, verdict)
) STRICT, WITHOUT ROWID;
CREATE INDEX evidence_decided ON evidence (decided_at);

-- Where the signed units are that the decisions about an incident rest on.
CREATE TABLE evidence_span (
    incident TEXT NOT NULL,
    agent BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    decided_at INTEGER NOT NULL,
    PRIMARY KEY (incident, agent, epoch, first, last)
) STRICT, WITHOUT ROWID;
CREATE INDEX evidence_span_unit ON evidence_span (agent, epoch, last);
CREATE INDEX evidence_span_decided ON evidence_span (decided_at);

-- Units that have left the log and are still referred to: copied when the log is pruned.
CREATE TABLE evidence_unit (
    agent BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    received_us INTEGER,
    held_us INTEGER,
    bytes BLOB NOT NULL,
    PRIMARY KEY (agent, epoch, sequence)
) STRICT;
CREATE INDEX evidence_unit_received ON evidence_unit (received_at);

-- When a unit was received by the aggregator's steady clock, and how long its agent had held it: what says how old its
-- results were.
ALTER TABLE batch ADD COLUMN received_us INTEGER;
ALTER TABLE batch ADD COLUMN held_us INTEGER;
