-- The age at which a failing event is given up counts from its replay, not from its arrival: an old event may be tried again.
-- No default, so nothing is rewritten; NULL means never replayed.
ALTER TABLE webhook_events ADD COLUMN opened_at timestamptz;
ALTER TABLE texting_webhook_events ADD COLUMN opened_at timestamptz;
CREATE OR REPLACE FUNCTION reopen_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.processed_at := NULL;
    NEW.error_message := NULL;
    NEW.attempts := 0;
    NEW.opened_at := now();
    RETURN NEW;
END $$;
