//! From a vendor's raw bytes to the durable row: how long one body takes.
//!
//! ```text
//! cargo bench --bench normalise                 seconds
//! cargo bench --bench normalise -- --quick      a smoke run
//! ```
//! Prints one table and writes `target/bench/normalise.json`. Asserts no time.
#![recursion_limit = "256"] // one wide `json!`
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a bench that cannot go on ends; clippy.toml exempts test functions only"
)]

#[path = "pipeline/bodies.rs"]
mod bodies;
#[path = "shared/machine.rs"]
mod machine;
#[expect(dead_code, reason = "each bench sets goals of its own kind")]
#[path = "shared/table.rs"]
mod table;
#[path = "shared/times.rs"]
mod times;

use std::hint::black_box;
use std::time::Instant;

use chrono::DateTime;
use df_middleware::domain::{Phone, PhoneHint, Source};
use df_middleware::ingest::{Intake, Reading, Rules};
use serde_json::json;
use table::{Table, fact};
use times::Times;

/// A kind of delivery: each of its bodies is about somebody else.
struct Kind {
    name: &'static str,
    source: Source,
    body: fn(u64) -> String,
}

const KINDS: [Kind; 6] = [
    Kind {
        name: "Aloware: a finished call",
        source: Source::Aloware,
        body: |n| bodies::call_event().body(n, n),
    },
    Kind {
        name: "Aloware: a contact",
        source: Source::Aloware,
        body: |n| bodies::contact_event().body(n, n),
    },
    Kind {
        name: "GHL: a contact",
        source: Source::Ghl,
        body: |n| contact(n, 12),
    },
    Kind {
        name: "GHL: a contact with 500 custom fields",
        source: Source::Ghl,
        body: |n| contact(n, 500),
    },
    Kind {
        name: "texting: a text",
        source: Source::Texting,
        body: |n| text(n, "Can you come on Thursday after six? The gate code has changed."),
    },
    Kind {
        name: "texting: a STOP",
        source: Source::Texting,
        body: |n| text(n, "STOP"),
    },
];

fn main() {
    let rounds = if times::is_quick() { 2 } else { 20 };
    let rules = Rules {
        hint: PhoneHint::region("US"),
        own: vec![Phone::from_e164(bodies::OUR_NUMBER).unwrap()],
        allowed: Vec::new(),
        location: "location-1".to_owned(),
        vendor: df_middleware::domain::TextingVendor::Generic,
    };
    let mut table = Table::new(machine::describe());
    for kind in &KINDS {
        measure(kind, &rules, rounds, &mut table);
    }
    table.print();
    println!("written to {}", table.save("normalise").display());
}

fn measure(kind: &Kind, rules: &Rules, rounds: usize, table: &mut Table) {
    const BODIES: u64 = 1_000;
    let bodies: Vec<String> = (0..BODIES).map(kind.body).collect();
    let bytes: usize = bodies.iter().map(String::len).sum();
    let mut times = Times::default();
    // Word lists and number rules are loaded once per process.
    read(kind.source, &bodies[0], rules);
    let began = Instant::now();
    for _ in 0..rounds {
        for body in &bodies {
            times.time(|| read(kind.source, body, rules));
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let per_second = |amount: usize| (amount * rounds) as f64 / seconds;
    table.group(&format!("{}, {} bytes", kind.name, bytes / bodies.len()));
    table.row("p50", times.p50(), "µs", fact());
    table.row("p99", times.p99(), "µs", fact());
    table.row("bodies", per_second(bodies.len()), "/s", fact());
    table.row("bytes", per_second(bytes) / 1e6, "MB/s", fact());
}

fn read(source: Source, body: &str, rules: &Rules) {
    let reading = Reading {
        source,
        body: black_box(body.as_bytes()),
        received_at: DateTime::UNIX_EPOCH,
    };
    let intake = reading.intake(rules).expect("JSON");
    assert!(
        matches!(&intake, Intake::Events(events) if events.len() == 1),
        "one row"
    );
    black_box(intake);
}

fn contact(n: u64, fields: u64) -> String {
    let fields: Vec<_> = (0..fields)
        .map(|field| json!({"id": format!("cf{field:018}"), "value": format!("value {field} of {n}")}))
        .collect();
    json!({
        "type": "ContactUpdate", "locationId": "location-1", "versionId": "v1", "appId": "app-1",
        "id": format!("contact{n:013}"), "firstName": "Wanda", "lastName": "Tester", "name": "Wanda Tester",
        "email": format!("wanda.{n}@example.com"), "phone": bodies::phone(n), "address1": "1200 Imaginary Avenue",
        "city": "San Diego", "state": "CA", "postalCode": "92101", "country": "US", "source": "web form",
        "companyName": "Tester & Daughters Solar", "dateOfBirth": null, "dnd": false, "dndSettings": {},
        "tags": ["solar", "homeowner", "spring-2026"], "customFields": fields, "assignedTo": "user0000000000000001",
        "dateAdded": "2026-11-02T15:58:02.000Z", "timestamp": "2026-11-02T17:10:00.000Z",
        "webhookId": format!("delivery-{n}")
    })
    .to_string()
}

fn text(n: u64, body: &str) -> String {
    json!({
        "type": "message.received",
        "message": {
            "id": format!("m-{n}"), "conversationId": format!("conv-{n}"), "from": bodies::phone(n),
            "to": bodies::OUR_NUMBER, "body": body, "timestamp": "2026-11-02T17:20:00Z"
        }
    })
    .to_string()
}
