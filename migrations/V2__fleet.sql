-- Several daemons on one database: who is alive, what the vendors were asked today, who runs
-- what is due; and the indexes by which retention finds what may go.

-- One row per running daemon, touched every other second. `steady_since` begins anew after a
-- gap: who could not reach the database itself does not judge who else is dead.
CREATE TABLE daemon_sessions (
    id           uuid PRIMARY KEY,                    -- the owner of its lanes
    started_at   timestamptz NOT NULL DEFAULT now(),
    seen_at      timestamptz NOT NULL DEFAULT now(),
    steady_since timestamptz NOT NULL DEFAULT now(),
    working      boolean NOT NULL                     -- takes lanes and calls vendors; false while it joins
) WITH (fillfactor = 50);

-- Calls made by all daemons together, by UTC day.
CREATE TABLE vendor_usage (
    vendor text NOT NULL CHECK (vendor IN ('aloware', 'ghl', 'texting')),
    day    date NOT NULL,
    calls  bigint NOT NULL,
    PRIMARY KEY (vendor, day)
) WITH (fillfactor = 50);

-- Whoever inserts the row runs what was due.
CREATE TABLE scheduled_runs (
    name   text NOT NULL,
    due_at timestamptz NOT NULL,
    PRIMARY KEY (name, due_at)
);

-- An effect goes with the last event that needed it.
CREATE INDEX effects_event_id ON effects (event_id) WHERE event_id IS NOT NULL;
CREATE INDEX effects_of_people ON effects (created_at) WHERE event_id IS NULL;
