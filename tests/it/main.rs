//! The integration tests: one binary, one file per promise. Each test has a
//! database of its own on a throwaway cluster and its own strict simulators.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic too; clippy.toml exempts test functions only"
)]

mod agents;
mod aloware_events;
mod call_contents;
mod call_entries;
mod call_stories;
mod calls;
mod connections;
mod contact_fields;
mod contacts;
mod contracts;
mod dialects;
mod doctor;
mod embedded;
mod engine;
mod faults;
mod ingest;
mod kills;
mod ledger;
mod legacy_surface;
mod lists;
mod nameless_consent;
mod notes;
mod opt_out_command;
mod opt_out_proof;
mod opt_out_state;
mod opt_out_traps;
mod opt_out_upgrade;
mod opt_outs;
mod opt_outs_first;
mod outages;
mod reports;
mod requests;
mod restarts;
mod retention;
mod reviews;
mod send_guard;
mod several_daemons;
mod spool;
mod stop_race;
mod stop_reply;
mod story;
mod support;
mod takeovers;
mod texting_door;
mod texts;
