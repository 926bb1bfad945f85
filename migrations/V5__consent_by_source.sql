-- Consent by cause and source: what one source blocked stays until that source lifts it, or one whose word counts for it.
-- The history alone decides, in whatever order it came: `optout_state` derives the state, `optout_blocks` keeps it for
-- fast answers.

-- Who decided, where a person did; a second person's name where two had to agree.
ALTER TABLE optout_history ADD COLUMN decided_by text;

-- A number typed or imported by hand is looked up in E.164, however it was written. What is no number of North America
-- needs its country code.
CREATE FUNCTION e164(typed text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
SELECT CASE WHEN typed ~ '^\s*\+' THEN '+' || digits
            WHEN digits ~ '^[2-9][0-9]{9}$' THEN '+1' || digits
            WHEN digits ~ '^1[2-9][0-9]{9}$' THEN '+' || digits
            ELSE typed END
  FROM (SELECT regexp_replace(typed, '[^0-9]', '', 'g')) AS d(digits) $$;
CREATE FUNCTION normalise_typed_number() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.phone_number := e164(NEW.phone_number);
    RETURN NEW;
END $$;
UPDATE optout_registry known SET status = 'opted_out', source = typed.source, reason = typed.reason
  FROM optout_registry typed
 WHERE typed.phone_number <> known.phone_number AND e164(typed.phone_number) = known.phone_number
   AND typed.status = 'opted_out' AND known.status = 'opted_in';
UPDATE optout_registry typed SET phone_number = e164(phone_number)
 WHERE e164(phone_number) <> phone_number
   AND id = (SELECT id FROM optout_registry same WHERE e164(same.phone_number) = e164(typed.phone_number)
              ORDER BY same.phone_number = e164(same.phone_number) DESC, same.status DESC, id LIMIT 1);
CREATE TRIGGER optout_registry_e164 BEFORE INSERT OR UPDATE OF phone_number ON optout_registry
    FOR EACH ROW WHEN (NEW.phone_number !~ '^\+[0-9]{8,17}$') EXECUTE FUNCTION normalise_typed_number();

-- A number that somebody set to opted_out by hand after its own block was lifted.
INSERT INTO optout_history (phone_number, cause, action, source, reason, occurred_at)
SELECT r.phone_number, 'manual', 'block', r.source, r.reason, r.last_event_at FROM optout_registry r
 WHERE r.status = 'opted_out' AND EXISTS (SELECT 1 FROM optout_blocks b WHERE b.phone_number = r.phone_number)
   AND NOT EXISTS (SELECT 1 FROM optout_blocks b WHERE b.phone_number = r.phone_number AND b.active)
ON CONFLICT (phone_number, cause, action, source, occurred_at) DO NOTHING;

-- Blocks adopted from rows typed by hand were not in the history yet.
INSERT INTO optout_history (phone_number, cause, action, source, reason, occurred_at)
SELECT phone_number, cause, 'block', source, reason, changed_at FROM optout_blocks WHERE active
ON CONFLICT (phone_number, cause, action, source, occurred_at) DO NOTHING;

-- Per number, cause and source: its last block, and the last lift after it that covers it. At the same instant the block
-- wins. A person of ours ('manual') lifts what anybody blocked; the consumer's START on the sending channel ('texting')
-- lifts what any channel took for a STOP; everybody else lifts only their own.
CREATE VIEW optout_state AS
SELECT b.phone_number, b.cause, b.source, l.source IS NULL AS active,
       CASE WHEN l.source IS NULL THEN b.reason ELSE l.reason END AS reason,
       l.source AS lifted_by, coalesce(l.occurred_at, b.occurred_at) AS changed_at
  FROM (SELECT DISTINCT ON (phone_number, cause, source) phone_number, cause, source, reason, occurred_at
          FROM optout_history WHERE action = 'block'
         ORDER BY phone_number, cause, source, occurred_at DESC) b
  LEFT JOIN LATERAL (
        SELECT source, reason, occurred_at FROM optout_history h
         WHERE h.phone_number = b.phone_number AND h.cause = b.cause AND h.action = 'lift' AND h.occurred_at > b.occurred_at
           AND (h.source IN (b.source, 'manual') OR h.source = 'texting' AND h.cause IN ('consumer_stop', 'vendor_block'))
         ORDER BY h.occurred_at DESC, h.source LIMIT 1) l ON true;

DELETE FROM optout_blocks;
ALTER TABLE optout_blocks ADD COLUMN lifted_by text,
    DROP CONSTRAINT optout_blocks_pkey, ADD PRIMARY KEY (phone_number, cause, source);
INSERT INTO optout_blocks (phone_number, cause, source, active, reason, lifted_by, changed_at)
SELECT phone_number, cause, source, active, reason, lifted_by, changed_at FROM optout_state;
CREATE INDEX optout_blocks_reviews ON optout_blocks (phone_number) WHERE cause = 'pending_review' AND active;

-- What the seed's readers see of a number. A text that waits for a person is a hold and no opt-out.
CREATE VIEW optout_effective AS
SELECT DISTINCT ON (phone_number) phone_number, CASE WHEN active THEN 'opted_out' ELSE 'opted_in' END AS status,
       coalesce(lifted_by, source) AS source, reason, max(changed_at) OVER (PARTITION BY phone_number) AS last_event_at
  FROM optout_blocks WHERE cause <> 'pending_review'
 ORDER BY phone_number, active DESC, changed_at DESC, cause, source;
INSERT INTO optout_registry (phone_number, status, source, reason, last_event_at)
SELECT phone_number, status, source, reason, last_event_at FROM optout_effective
ON CONFLICT (phone_number) DO UPDATE
   SET status = excluded.status, source = excluded.source, reason = excluded.reason,
       last_event_at = excluded.last_event_at, updated_at = now()
 WHERE (optout_registry.status, optout_registry.source) IS DISTINCT FROM (excluded.status, excluded.source);

-- The texts nobody has decided yet.
CREATE VIEW optout_reviews AS
SELECT h.phone_number, h.source, h.reason AS rule, h.evidence AS body, h.occurred_at, h.recorded_at
  FROM optout_blocks b
  JOIN optout_history h ON h.phone_number = b.phone_number AND h.cause = b.cause AND h.source = b.source
 WHERE b.cause = 'pending_review' AND b.active AND h.action = 'block'
   AND NOT EXISTS (SELECT 1 FROM optout_history l
                    WHERE l.phone_number = h.phone_number AND l.cause = h.cause AND l.action = 'lift'
                      AND l.source IN (h.source, 'manual') AND l.occurred_at > h.occurred_at);

-- That another system was told, and what it answered. Never pruned.
CREATE TABLE optout_deliveries (
    event_id     uuid NOT NULL,
    system       text NOT NULL CHECK (system IN ('ghl', 'aloware')),
    phone_number text NOT NULL,
    action       text NOT NULL CHECK (action IN ('block', 'lift')),
    requested_at timestamptz NOT NULL,
    confirmed_at timestamptz,
    confirmation jsonb,       -- what the vendor showed, free of personal data
    waived       text,        -- why it was not needed after all
    PRIMARY KEY (event_id, system)
);
CREATE INDEX optout_deliveries_phone_number ON optout_deliveries (phone_number, requested_at);
CREATE INDEX optout_deliveries_open ON optout_deliveries (requested_at) WHERE confirmed_at IS NULL AND waived IS NULL;
