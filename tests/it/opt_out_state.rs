//! The registry against a model of it: the same events in any order come to the same
//! state, and nothing but the consumer's word or a person's lifts a STOP.

use chrono::{DateTime, TimeDelta, Utc};
use df_middleware::domain::{Cause, ConsentChange, Move, Phone};
use df_middleware::store::{Db, opt_outs};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::support::{cluster, query};

const SOURCES: [&str; 4] = ["texting", "aloware", "ghl", "manual"];
const CASES: u32 = 40;

fn change(phone: &Phone, (cause, action, source, second): (Cause, Move, &'static str, i64)) -> ConsentChange {
    ConsentChange {
        phone: phone.clone(),
        cause,
        action,
        source,
        reason: format!("{source} {action}"),
        evidence: None,
        occurred_at: at(second),
        unless_echo: None,
        decided_by: None,
    }
}

fn at(second: i64) -> DateTime<Utc> {
    "2026-11-02T17:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(second)
}

fn event(causes: &'static [Cause]) -> impl Strategy<Value = (Cause, Move, &'static str, i64)> {
    let (actions, sources) = (prop::sample::select(Move::ALL), prop::sample::select(&SOURCES[..]));
    // Few moments: ties must happen.
    (prop::sample::select(causes), actions, sources, 0..6_i64)
}

/// Whether `by`'s word counts against what `source` blocked.
fn covers(cause: Cause, by: &str, source: &str) -> bool {
    by == source || by == "manual" || by == "texting" && matches!(cause, Cause::ConsumerStop | Cause::VendorBlock)
}

/// The rule in its simplest words: a source's last block stands unless a later lift
/// covers it.
fn model(events: &[ConsentChange]) -> Vec<Value> {
    let mut standing = Vec::new();
    for cause in Cause::ALL {
        for source in SOURCES {
            let of = |action: Move| {
                let same = events.iter().filter(move |e| e.cause == *cause && e.action == action);
                same.map(|e| (e.source, e.occurred_at))
            };
            let Some(blocked) = of(Move::Block).filter(|(by, _)| *by == source).map(|(_, at)| at).max() else {
                continue;
            };
            if !of(Move::Lift).any(|(by, at)| at > blocked && covers(*cause, by, source)) {
                standing.push(json!({"cause": cause.as_str(), "source": source}));
            }
        }
    }
    standing.sort_by_key(ToString::to_string);
    standing
}

struct Registry {
    db: Db,
    client: tokio_postgres::Client,
}

impl Registry {
    async fn apply(&self, batches: &[Vec<ConsentChange>]) {
        let mut client = self.db.client().await.unwrap();
        for batch in batches {
            let transaction = client.transaction().await.unwrap();
            let changes: Vec<&ConsentChange> = batch.iter().collect();
            opt_outs::apply(&transaction, &changes).await.unwrap();
            transaction.commit().await.unwrap();
        }
    }

    async fn standing(&self, phone: &Phone) -> Vec<Value> {
        let mut rows = query::rows(
            &self.client,
            &format!(
                "SELECT cause, source FROM optout_blocks WHERE active AND phone_number = '{}'",
                phone.as_str()
            ),
        )
        .await;
        rows.sort_by_key(ToString::to_string);
        rows
    }

    async fn all(&self, phone: &Phone) -> Vec<Value> {
        let number = phone.as_str();
        let blocks = format!(
            "SELECT cause, source, active, reason, lifted_by, changed_at FROM optout_blocks WHERE phone_number = '{number}'
              ORDER BY cause, source"
        );
        let row = format!(
            "SELECT status, source, reason, last_event_at FROM optout_registry WHERE phone_number = '{number}'"
        );
        let mut rows = query::rows(&self.client, &blocks).await;
        rows.extend(query::rows(&self.client, &row).await);
        rows
    }
}

fn phone(case: u32, order: u32) -> Phone {
    Phone::from_e164(&format!("+1619555{case:03}{order:01}")).unwrap()
}

#[tokio::test]
async fn the_same_events_in_any_order_with_repeats_come_to_the_state_of_the_model() {
    let database = cluster::database().await;
    let registry = Registry {
        db: Db::new(database.config(), 1).unwrap(),
        client: query::connect(&database.config()).await,
    };
    let mut runner = TestRunner::deterministic();
    let cases = vec(event(Cause::ALL), 1..9);
    for case in 0..CASES {
        let events = cases.new_tree(&mut runner).unwrap().current();
        let mut shuffled = events.clone();
        shuffled.extend(events.iter().take(3).copied());
        let shuffled = Just(shuffled).prop_shuffle().new_tree(&mut runner).unwrap().current();
        let (one, other) = (phone(case, 0), phone(case, 1));
        // One at a time and in pairs: batches are a matter of arrival, too.
        let singles: Vec<Vec<ConsentChange>> = events.iter().map(|e| vec![change(&one, *e)]).collect();
        let pairs: Vec<Vec<ConsentChange>> = shuffled
            .chunks(2)
            .map(|pair| pair.iter().map(|e| change(&other, *e)).collect())
            .collect();
        registry.apply(&singles).await;
        registry.apply(&pairs).await;
        assert_eq!(
            registry.all(&one).await,
            registry.all(&other).await,
            "{events:?} {shuffled:?}"
        );
        assert_eq!(registry.standing(&one).await, model(&singles.concat()), "{events:?}");
        let client = registry.db.client().await.unwrap();
        let mut causes: Vec<&str> = opt_outs::active_causes(&client, &one)
            .await
            .unwrap()
            .iter()
            .map(|c| c.as_str())
            .collect();
        causes.sort_unstable();
        let mut wanted: Vec<String> = model(&singles.concat())
            .iter()
            .map(|b| b["cause"].as_str().unwrap().to_owned())
            .collect();
        wanted.sort();
        wanted.dedup();
        assert_eq!(causes, wanted, "{events:?}");
        let held = registry.all(&one).await.iter().any(|row| row["status"] == "opted_out");
        assert_eq!(held, wanted.iter().any(|cause| cause != "pending_review"), "{events:?}");
    }
    registry.db.close();
}

#[tokio::test]
async fn nothing_that_aloware_or_ghl_says_lifts_a_stop_whatever_else_they_say() {
    let database = cluster::database().await;
    let registry = Registry {
        db: Db::new(database.config(), 1).unwrap(),
        client: query::connect(&database.config()).await,
    };
    let mut runner = TestRunner::deterministic();
    let vendors = vec(
        event(Cause::ALL).prop_map(|(cause, action, source, second)| {
            let source = if ["texting", "manual"].contains(&source) {
                "ghl"
            } else {
                source
            };
            (cause, action, source, second)
        }),
        1..9,
    );
    for case in 0..CASES {
        let lead = phone(case, 0);
        let stop = change(&lead, (Cause::ConsumerStop, Move::Block, "texting", 0));
        let noise = vendors.new_tree(&mut runner).unwrap().current();
        let mut story: Vec<Vec<ConsentChange>> = noise.iter().map(|e| vec![change(&lead, *e)]).collect();
        // What Aloware and GHL say comes before and after it.
        story.insert(story.len() / 2, vec![stop]);
        registry.apply(&story).await;
        // An import that knows better changes what it writes, and nothing else.
        let import = "UPDATE optout_registry SET status = 'opted_in', source = 'import' WHERE phone_number";
        let import = format!("{import} = '{}'", lead.as_str());
        registry.client.batch_execute(&import).await.unwrap();
        let client = registry.db.client().await.unwrap();
        let causes = opt_outs::active_causes(&client, &lead).await.unwrap();
        assert!(causes.contains(&Cause::ConsumerStop), "{noise:?}");
        drop(client);
        registry.apply(&[vec![change(&lead, noise[0])]]).await;
        let standing = registry.standing(&lead).await;
        assert!(
            standing.contains(&json!({"cause": "consumer_stop", "source": "texting"})),
            "{noise:?}"
        );
        let rows = registry.all(&lead).await;
        assert_eq!(rows.last().unwrap()["status"], "opted_out", "{noise:?}");
    }
    registry.db.close();
}

#[tokio::test]
async fn a_number_opted_out_by_hand_is_in_the_history_with_the_first_event_about_it() {
    let database = cluster::database().await;
    let registry = Registry {
        db: Db::new(database.config(), 1).unwrap(),
        client: query::connect(&database.config()).await,
    };
    let lead = phone(1, 1);
    registry
        .client
        .batch_execute(&format!(
            "INSERT INTO optout_registry (phone_number, status, source, reason) VALUES ('{}', 'opted_out', 'import', 'list')",
            lead.as_str()
        ))
        .await
        .unwrap();
    for source in ["aloware", "ghl", "texting"] {
        for cause in Cause::ALL {
            registry
                .apply(&[vec![change(&lead, (*cause, Move::Lift, source, 5))]])
                .await;
        }
    }
    assert_eq!(
        registry.standing(&lead).await,
        [json!({"cause": "manual", "source": "import"})]
    );
    let history = query::rows(
        &registry.client,
        "SELECT cause, source, reason FROM optout_history WHERE action = 'block'",
    )
    .await;
    assert_eq!(
        history,
        [json!({"cause": "manual", "source": "import", "reason": "list"})]
    );
    let mut by_hand = change(&lead, (Cause::Manual, Move::Lift, "manual", 0));
    by_hand.occurred_at = Utc::now() + TimeDelta::seconds(60);
    registry.apply(&[vec![by_hand]]).await;
    assert!(registry.standing(&lead).await.is_empty());
    let client = registry.db.client().await.unwrap();
    assert!(opt_outs::active_causes(&client, &lead).await.unwrap().is_empty());
    drop(client);
    registry.db.close();
}
