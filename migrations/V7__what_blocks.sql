-- One rule of what keeps a number from being texted, for the registry and the send guard.

-- Numbers that somebody set to opted_out by hand: no block explains it.
CREATE VIEW optout_typed AS
SELECT phone_number, source, reason, last_event_at FROM optout_registry r
 WHERE status = 'opted_out' AND NOT EXISTS (SELECT 1 FROM optout_blocks b
                    WHERE b.phone_number = r.phone_number AND b.active AND b.cause <> 'pending_review');

CREATE VIEW optout_active AS
SELECT phone_number, cause FROM optout_blocks WHERE active
UNION SELECT phone_number, 'manual' FROM optout_typed;
