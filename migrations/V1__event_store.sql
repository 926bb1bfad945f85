-- The event store: the seed's nine tables, the engine's lanes, the ledgers, consent by cause.
-- Every added column has a default, so rows typed by hand in psql work.

CREATE SEQUENCE event_seq;   -- one sequence for both event tables: a total order over all channels
CREATE SEQUENCE lane_epoch;  -- a fencing token is never handed out twice

CREATE TABLE webhook_events (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    received_at   timestamptz NOT NULL DEFAULT now(),
    source        text NOT NULL,
    event_type    text NOT NULL,
    entity_type   text NOT NULL,
    entity_id     text NOT NULL,
    payload_json  jsonb NOT NULL,
    dedupe_key    text NOT NULL,
    status        text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'processing', 'done', 'error')),
    error_message text,
    processed_at  timestamptz,
    seq           bigint NOT NULL DEFAULT nextval('event_seq'),
    order_key     bigint,      -- whose lane; NULL on rows typed by hand until the sweep fills it
    attempts      smallint NOT NULL DEFAULT 0
) WITH (fillfactor = 85);
CREATE UNIQUE INDEX webhook_events_dedupe_key ON webhook_events (dedupe_key);
CREATE UNIQUE INDEX webhook_events_seq ON webhook_events (seq);
CREATE INDEX webhook_events_entity ON webhook_events (entity_type, entity_id);
CREATE INDEX webhook_events_received_at ON webhook_events USING brin (received_at);
-- The queue's only index. Its predicate leaves `status` out on purpose: pending to processing stays a HOT update.
CREATE INDEX webhook_events_open ON webhook_events (order_key, seq) WHERE processed_at IS NULL;

CREATE TABLE texting_webhook_events (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    received_at     timestamptz NOT NULL DEFAULT now(),
    event_type      text NOT NULL,
    entity_type     text NOT NULL DEFAULT 'message',
    entity_id       text,
    conversation_id text,
    from_number     text,
    to_number       text,
    payload_json    jsonb NOT NULL,
    dedupe_key      text NOT NULL,
    status          text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'processing', 'done', 'error')),
    error_message   text,
    processed_at    timestamptz,
    seq             bigint NOT NULL DEFAULT nextval('event_seq'),
    order_key       bigint,
    attempts        smallint NOT NULL DEFAULT 0
) WITH (fillfactor = 85);
CREATE UNIQUE INDEX texting_webhook_events_dedupe_key ON texting_webhook_events (dedupe_key);
CREATE UNIQUE INDEX texting_webhook_events_seq ON texting_webhook_events (seq);
CREATE INDEX texting_webhook_events_entity_id ON texting_webhook_events (entity_id);
CREATE INDEX texting_webhook_events_conversation_id ON texting_webhook_events (conversation_id);
CREATE INDEX texting_webhook_events_from_number ON texting_webhook_events (from_number);
CREATE INDEX texting_webhook_events_received_at ON texting_webhook_events USING brin (received_at);
CREATE INDEX texting_webhook_events_open ON texting_webhook_events (order_key, seq) WHERE processed_at IS NULL;

-- An operator's `UPDATE … SET status = 'pending'` re-opens the row completely.
CREATE FUNCTION reopen_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.processed_at := NULL;
    NEW.error_message := NULL;
    NEW.attempts := 0;
    RETURN NEW;
END $$;
CREATE TRIGGER webhook_events_reopen BEFORE UPDATE OF status ON webhook_events
    FOR EACH ROW WHEN (NEW.status = 'pending' AND OLD.status IN ('done', 'error')) EXECUTE FUNCTION reopen_event();
CREATE TRIGGER texting_webhook_events_reopen BEFORE UPDATE OF status ON texting_webhook_events
    FOR EACH ROW WHEN (NEW.status = 'pending' AND OLD.status IN ('done', 'error')) EXECUTE FUNCTION reopen_event();

-- A lane exists only while its key has unfinished events. `ready_at` is at once
-- "runnable since", "back-off until" and "lease expires at".
CREATE TABLE event_lanes (
    key      bigint PRIMARY KEY,
    ready_at timestamptz NOT NULL,
    head_seq bigint NOT NULL,
    tail_seq bigint NOT NULL,
    arrivals bigint NOT NULL DEFAULT 1,     -- grows with every batch that adds events
    epoch    bigint NOT NULL DEFAULT nextval('lane_epoch'),
    attempts smallint NOT NULL DEFAULT 0,   -- claims that nobody reported back
    owner    uuid
) WITH (fillfactor = 70, vacuum_truncate = off,
        autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
        autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 20000,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000);
CREATE INDEX event_lanes_ready ON event_lanes (ready_at);

CREATE TABLE sync_log (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    direction      text NOT NULL CHECK (direction IN ('aloware_to_ghl', 'ghl_to_aloware', 'texting_to_ghl', 'texting_to_aloware', 'unknown')),
    entity_type    text NOT NULL,
    entity_id      text NOT NULL,
    source_id      text NOT NULL,
    target_id      text,
    status         text NOT NULL CHECK (status IN ('success', 'error', 'skipped')),
    started_at     timestamptz NOT NULL DEFAULT now(),
    finished_at    timestamptz,
    error_message  text,
    correlation_id text,
    decisions      jsonb,
    CHECK (status <> 'success' OR target_id IS NOT NULL)
);
CREATE INDEX sync_log_entity ON sync_log (entity_type, entity_id);
CREATE INDEX sync_log_correlation_id ON sync_log (correlation_id);
CREATE INDEX sync_log_started_at ON sync_log USING brin (started_at);

CREATE TABLE sync_state (
    id                uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    direction         text NOT NULL,
    entity_type       text NOT NULL,
    cursor_updated_at timestamptz NOT NULL DEFAULT now(),
    cursor_id         text,
    last_run_at       timestamptz NOT NULL DEFAULT now(),
    last_success_at   timestamptz,
    UNIQUE (direction, entity_type)
);

CREATE TABLE contact_mappings (
    id                 uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    aloware_contact_id text,
    ghl_contact_id     text NOT NULL,
    phone_number       text,
    email              text,
    last_synced_at     timestamptz NOT NULL DEFAULT now(),
    sync_direction     text NOT NULL DEFAULT 'bidirectional',
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    base_fields        jsonb,      -- the fields as last synchronised: the base of the three-way merge
    ghl_tags           text[],     -- the tag set as last seen, to tell what a tag event changed
    deleted_at         timestamptz -- set when GHL deleted the contact
);
CREATE UNIQUE INDEX contact_mappings_ghl_contact_id ON contact_mappings (ghl_contact_id);
CREATE UNIQUE INDEX contact_mappings_aloware_contact_id ON contact_mappings (aloware_contact_id) WHERE deleted_at IS NULL;
CREATE INDEX contact_mappings_phone_number ON contact_mappings (phone_number);
CREATE INDEX contact_mappings_email ON contact_mappings (email);

CREATE TABLE message_mappings (
    id                 uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    texting_message_id text UNIQUE,
    ghl_message_id     text UNIQUE,
    aloware_message_id text UNIQUE,
    conversation_id    text,
    ghl_contact_id     text,
    aloware_contact_id text,
    from_number        text,
    to_number          text,
    direction          text,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    delivery_status    text,
    error_code         text
);
CREATE INDEX message_mappings_conversation_id ON message_mappings (conversation_id);
CREATE INDEX message_mappings_ghl_contact_id ON message_mappings (ghl_contact_id);
CREATE INDEX message_mappings_aloware_contact_id ON message_mappings (aloware_contact_id);
CREATE INDEX message_mappings_from_number ON message_mappings (from_number);
CREATE INDEX message_mappings_to_number ON message_mappings (to_number);

-- The effective state per number, as the seed's readers know it. Derived from optout_blocks.
CREATE TABLE optout_registry (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    phone_number  text NOT NULL UNIQUE,
    status        text NOT NULL CHECK (status IN ('opted_out', 'opted_in')),
    source        text NOT NULL,
    reason        text,
    last_event_at timestamptz NOT NULL DEFAULT now(),
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX optout_registry_status ON optout_registry (status);

CREATE TABLE optout_blocks (
    phone_number text NOT NULL,
    cause        text NOT NULL CHECK (cause IN ('consumer_stop', 'vendor_block', 'crm_dnd', 'voice_dnc', 'manual', 'legal', 'pending_review')),
    active       boolean NOT NULL,
    source       text NOT NULL,
    reason       text,
    changed_at   timestamptz NOT NULL,   -- by the provider's clock where it gave one
    PRIMARY KEY (phone_number, cause)
);

-- Append-only evidence. Never pruned.
CREATE TABLE optout_history (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    phone_number text NOT NULL,
    cause        text NOT NULL,
    action       text NOT NULL CHECK (action IN ('block', 'lift')),
    source       text NOT NULL,
    reason       text,
    evidence     text,
    occurred_at  timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX optout_history_once ON optout_history (phone_number, cause, action, source, occurred_at);

CREATE TABLE reconcile_runs (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    job_name      text NOT NULL,
    started_at    timestamptz NOT NULL DEFAULT now(),
    finished_at   timestamptz,
    status        text NOT NULL CHECK (status IN ('running', 'success', 'error')),
    totals        jsonb,
    error_message text
);
CREATE INDEX reconcile_runs_job_name ON reconcile_runs (job_name);
CREATE INDEX reconcile_runs_started_at ON reconcile_runs (started_at);

CREATE TABLE quarantine_events (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    event_id       text NOT NULL,
    event_source   text NOT NULL CHECK (event_source IN ('webhook', 'texting')),
    reason         text NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT now(),
    quarantined_by text,
    UNIQUE (event_id, event_source)
);

-- One row per outbound write: intended before the vendor is called, done after.
CREATE TABLE effects (
    step        text PRIMARY KEY,
    state       text NOT NULL CHECK (state IN ('intended', 'done')),
    vendor_id   text,
    fingerprint text,
    event_id    uuid,
    created_at  timestamptz NOT NULL DEFAULT now(),
    done_at     timestamptz
) WITH (fillfactor = 80);   -- the confirmation fits beside its intent: a HOT update

-- What we wrote, for as long as its echo may come back.
CREATE TABLE echoes (
    vendor      text NOT NULL,
    entity_id   text NOT NULL,
    fingerprint text NOT NULL,
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (vendor, entity_id, fingerprint)
);
CREATE INDEX echoes_expires_at ON echoes (expires_at);

CREATE TABLE outbound_messages (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    to_number      text NOT NULL,
    from_number    text,
    state          text NOT NULL CHECK (state IN ('sending', 'sent', 'refused', 'failed', 'unknown')),
    reason         text,
    vendor_id      text,
    correlation_id text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    finished_at    timestamptz
);
CREATE INDEX outbound_messages_vendor_id ON outbound_messages (vendor_id);
CREATE INDEX outbound_messages_correlation_id ON outbound_messages (correlation_id);
CREATE INDEX outbound_messages_to_number ON outbound_messages (to_number, created_at);

CREATE TABLE audit_log (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    actor   text NOT NULL,
    action  text NOT NULL,
    subject text NOT NULL,
    detail  jsonb
);

-- A large body lives beside its row: the two changes of status then copy a
-- short row, not the body. lz4 costs a tenth of the default; a server built
-- without it keeps the default.
ALTER TABLE webhook_events SET (toast_tuple_target = 512);
ALTER TABLE texting_webhook_events SET (toast_tuple_target = 512);
DO $$
BEGIN
    ALTER TABLE webhook_events ALTER COLUMN payload_json SET COMPRESSION lz4;
    ALTER TABLE texting_webhook_events ALTER COLUMN payload_json SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR syntax_error THEN
    NULL;
END $$;
