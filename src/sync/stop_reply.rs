//! The one text that may follow a STOP: its confirmation, where the operator
//! wants one and the vendor sends none itself.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::send::{opened, record_outcome};
use super::{Desk, Ledger};
use crate::compliance::{Cleared, guard, is_toll_free};
use crate::domain::{Entity, Event, Flow, LogEntry, Phone, segments};
use crate::store::{StoreError, outbound_messages};
use crate::vendors::OutboundText;

/// Within this time it is presumed to be consented to (47 CFR 64.1200(a)(12)).
const FRESH: Duration = Duration::from_secs(300);
/// Other calls may be ahead of it; what the STOP asks of others is not held up.
const TURN: Duration = Duration::from_secs(5);

/// A STOP that may be confirmed.
#[derive(Clone, Debug)]
pub struct StopReply {
    /// Who said stop.
    pub to: Phone,
    /// Our number to which it was said, and from which it is confirmed.
    pub from: Phone,
    /// The vendor's conversation.
    pub conversation_id: Option<String>,
    /// When it was said, as the registry has it.
    pub stopped_at: DateTime<Utc>,
    /// What is answered.
    pub body: String,
}

/// Sends it, or says why not. A try is all there is: it is never repeated, and
/// nothing of the STOP waits for it.
pub async fn confirm(desk: &Desk, ledger: &mut Ledger<'_>, reply: &StopReply, event: &Event) -> Vec<LogEntry> {
    let (flow, entity) = (Flow::TextingToGhl, Entity::OptOut);
    vec![match try_once(desk, ledger, reply, event).await {
        Ok(id) => LogEntry::success(flow, entity, &event.entity_id, &id).with_message("STOP confirmed"),
        Err(why) => LogEntry::skipped(flow, entity, &event.entity_id, format!("STOP not confirmed: {why}")),
    }]
}

async fn try_once(
    desk: &Desk,
    ledger: &mut Ledger<'_>,
    reply: &StopReply,
    event: &Event,
) -> Result<String, &'static str> {
    let client = desk.vendors.texting.as_ref().ok_or("no texting vendor")?;
    let age = Utc::now() - event.received_at.min(reply.stopped_at);
    if age > TimeDelta::from_std(FRESH).unwrap_or_default() {
        return Err("it is too old");
    }
    if is_toll_free(&reply.from) {
        return Err("carriers answer for toll-free numbers");
    }
    let turn = tokio::time::timeout(TURN, client.turn()).await;
    let turn = turn.ok().and_then(Result::ok).ok_or("the vendor is busy or down")?;
    let id = Uuid::now_v7();
    let (_, intent) = ledger
        .announce(&format!("send:{id}"), &[])
        .await
        .map_err(|_| "the ledger cannot be written")?;
    let text = OutboundText {
        body: reply.body.clone(),
        from: Some(reply.from.as_str().to_owned()),
        conversation_id: reply.conversation_id.clone(),
        correlation_id: Some(format!("stop-reply:{}", event.id)),
    };
    let cleared = clear(desk, id, reply, &text)
        .await
        .map_err(|_| "the registry cannot be read")?;
    let cleared = cleared.ok_or("it is not the first thing that blocks the number, or was confirmed")?;
    let outcome = client.send(turn, &intent, cleared, &text).await;
    record_outcome(desk, id, &reply.to, &text, &outcome).await;
    outcome.map_err(|_| "the vendor did not take the confirmation")
}

/// The guard's proof and the record of the text, in one transaction.
async fn clear(desk: &Desk, id: Uuid, reply: &StopReply, text: &OutboundText) -> Result<Option<Cleared>, StoreError> {
    let mut client = desk.db.client().await?;
    let transaction = client.transaction().await?;
    let cleared = guard::clear_stop_reply(&transaction, &reply.to, reply.stopped_at, FRESH, desk.daemon).await?;
    let reference = text.correlation_id.as_deref().unwrap_or_default();
    let tried = outbound_messages::latest(&transaction, reference).await?.is_some();
    if cleared.is_none() || tried || !desk.spool.is_empty() {
        return Ok(None);
    }
    let opened = opened(id, &reply.to, text, segments(&text.body));
    outbound_messages::open(&transaction, &opened, None).await?;
    transaction.commit().await?;
    Ok(cleared)
}
