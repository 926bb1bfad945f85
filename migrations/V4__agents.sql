-- The names of Aloware's users: a call names its agent by id only, and Aloware must not be asked again for every call.
CREATE TABLE aloware_users (
    id      text PRIMARY KEY,
    name    text NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now()
);
