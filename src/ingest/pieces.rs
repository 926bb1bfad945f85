//! Texts in pieces. No piece is read by itself: "Please stop te" is no STOP. The
//! piece that completes a text carries all of it from then on, and what the whole
//! says of consent is stored in that piece's own commit.

use std::collections::HashSet;

use deadpool_postgres::GenericClient;
use serde_json::{Value, json};

use super::consent;
use super::normalise::Prepared;
use crate::domain::{Phone, PhoneHint};
use crate::store::{StoreError, pieces};
use crate::wire::json::canonical;
use crate::wire::texting::{Delivery, Part, piece_of};

/// One piece, stored or about to be.
struct Known {
    text: String,
    id: String,
    part: Part,
    words: String,
}

/// Joins the pieces of a batch with each other and with those that are stored, and
/// keeps other writers of the same texts out until the transaction ends.
pub(super) async fn join<C: GenericClient>(transaction: &C, events: &mut [Prepared]) -> Result<(), StoreError> {
    let pieces = || events.iter().filter(|event| event.is_piece).map(|event| &event.row);
    let texts: Vec<&str> = pieces().map(|row| row.entity_id.as_str()).collect();
    let times = || pieces().map(|row| row.received_at);
    let (Some(from), Some(to)) = (times().min(), times().max()) else {
        return Ok(());
    };
    pieces::lock(transaction, &texts).await?;
    let stored = pieces::around(transaction, &texts, from, to).await?;
    let (mut known, mut joined, mut seen) = (Vec::new(), HashSet::new(), HashSet::new());
    for piece in stored {
        seen.insert(piece.dedupe_key);
        joined.extend(joined_by(&piece.payload));
        known.extend(read(&piece.payload, piece.entity_id, piece.id.to_string()));
    }
    for event in events.iter_mut().filter(|event| event.is_piece) {
        // A repeat will not be stored: nothing can be joined with it.
        if !seen.insert(event.row.dedupe_key.clone()) {
            continue;
        }
        let Ok(mut payload) = serde_json::from_str::<Value>(&event.row.payload) else {
            continue;
        };
        let id = event.row.id.to_string();
        let Some(piece) = read(&payload, event.row.entity_id.clone(), id.clone()) else {
            continue;
        };
        if joined.contains(&id) {
            continue;
        }
        known.push(piece);
        let Some(whole) = whole(&known, &joined) else {
            continue;
        };
        let ids: Vec<&str> = whole.iter().map(|piece| piece.id.as_str()).collect();
        let words: String = whole.iter().map(|piece| piece.words.as_str()).collect();
        if let Some(fields) = payload.as_object_mut() {
            fields.insert("joined".to_owned(), json!({"body": words, "events": ids}));
        }
        joined.extend(ids.into_iter().map(str::to_owned).collect::<Vec<_>>());
        event.row.payload = canonical(&payload);
        if let Some(phone) = &event.person.phone {
            event.row.consent = consent_of(&payload, phone, event);
        }
    }
    Ok(())
}

fn consent_of(payload: &Value, phone: &Phone, event: &Prepared) -> Vec<crate::domain::ConsentChange> {
    // Numbers are in their final form already.
    let delivery = Delivery::read(payload, &PhoneHint::International);
    let said = consent::of_texting(&delivery, &[], event.row.received_at);
    said.iter().map(|said| said.of(phone)).collect()
}

fn read(payload: &Value, text: String, id: String) -> Option<Known> {
    let (part, words) = piece_of(payload)?;
    Some(Known {
        text,
        id,
        part,
        words: words.to_owned(),
    })
}

fn joined_by(payload: &Value) -> Vec<String> {
    Delivery::read(payload, &PhoneHint::International).joined
}

/// All pieces of the text that the last one belongs to, if they are there. Of two
/// with one number the newer one: the reference was used again.
fn whole<'k>(known: &'k [Known], joined: &HashSet<String>) -> Option<Vec<&'k Known>> {
    let last = known.last()?;
    let free = |piece: &&Known| piece.text == last.text && !joined.contains(&piece.id);
    (1..=last.part.total)
        .map(|number| {
            known
                .iter()
                .rev()
                .filter(free)
                .find(|piece| piece.part.number == number)
        })
        .collect()
}
