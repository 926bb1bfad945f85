-- The send path: what a daemon holds back from the others, and how long a text is.

-- Deliveries of this daemon wait in its spool: a STOP may be among them, and nobody sends.
ALTER TABLE daemon_sessions ADD COLUMN spooled boolean NOT NULL DEFAULT false;

-- Parts in which a text is sent; NULL on older rows.
ALTER TABLE outbound_messages ADD COLUMN segments integer;
