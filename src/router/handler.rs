//! Carrying out a route: the queue's handler.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::route::{Step, route};
use super::treatment::{coalesces, must_arrive, opts_out};
use crate::domain::{Event, Failure, LogEntry, Outcome, Source};
use crate::queue::{Handler, Report, RunContext};
use crate::sync::{self, Desk, Ledger};
use crate::vendors::tally;
use crate::wire::{aloware, ghl};

/// Runs events through their flows.
#[derive(Debug)]
pub struct Router {
    desk: Desk,
    /// The same desk, for opt-outs.
    urgent: Desk,
}

impl Router {
    /// A router over the given tables and vendors.
    pub fn new(desk: Desk) -> Self {
        let urgent = desk.urgent();
        Self { desk, urgent }
    }

    async fn run(&self, event: &Event, context: &RunContext) -> Report {
        let mut ledger = Ledger::of_event(
            &self.desk,
            context.fence,
            event.id,
            context.resumed,
            context.unstored.clone(),
        );
        let mut log = Vec::new();
        let mut failed = None;
        for step in route(event, &self.desk.rules) {
            match self.step(step, event, &mut ledger, context.carries).await {
                Ok(rows) => log.extend(rows),
                Err(failure) => {
                    failed = Some(failure);
                    break;
                }
            }
        }
        if let Some(failure) = &failed {
            sync::forget_gone_contact(&self.desk, failure).await;
        }
        Report {
            verdict: failed.map_or(Ok(Outcome { log }), Err),
            confirmed: ledger.into_confirmed(),
        }
    }

    async fn step(
        &self,
        step: Step,
        event: &Event,
        ledger: &mut Ledger<'_>,
        carries: usize,
    ) -> Result<Vec<LogEntry>, Failure> {
        let urgent = opts_out(&step, event, &self.desk.rules);
        let desk = if urgent { &self.urgent } else { &self.desk };
        let from_aloware = || aloware::Delivery::read(&event.event_type, &event.payload);
        let shown = || ghl::Delivery::read(&event.event_type, &event.payload).contact(&desk.rules.hint);
        match step {
            Step::Call => sync::call::aloware_to_ghl(desk, ledger, &from_aloware(), event).await,
            Step::Dnc => sync::dnc::aloware_to_ghl(desk, ledger, &from_aloware(), event).await,
            Step::Disposed => sync::disposition::aloware_to_ghl(desk, ledger, &from_aloware(), event).await,
            Step::Communication => sync::communication::aloware_to_ghl(desk, ledger, &from_aloware(), event).await,
            Step::AlowareContact => {
                let contact = from_aloware().contact(&desk.rules.hint);
                sync::contact::aloware_to_ghl(desk, ledger, contact, &event.entity_id).await
            }
            Step::GhlContact(id) => {
                // GHL may deliver out of order: that the newest delivery shows nothing
                // new says nothing about those it carries. Then the vendor is asked.
                let shown = (carries == 0).then(shown);
                sync::contact::ghl_to_aloware(desk, ledger, &id, shown.as_ref()).await
            }
            Step::GhlDeleted(id) => sync::contact::ghl_deleted(desk, &id).await,
            Step::GhlTags(id) => {
                let named = ghl::Delivery::read(&event.event_type, &event.payload).named_tag();
                sync::list::ghl_to_aloware(desk, ledger, &id, &shown(), named).await
            }
            Step::Message(text) => sync::message::to_ghl(desk, ledger, &text, event).await,
            Step::AgentText(text) => sync::provider::ghl_to_texting(desk, ledger, &text, event).await,
            Step::Piece(text) => sync::pieces::to_ghl(desk, ledger, &text, event).await,
            Step::MessageStatus(told) => sync::delivery::status(desk, ledger, &told, event).await,
            Step::Stop(flow, phone) => sync::opt_out::stop(desk, ledger, flow, &phone, event).await,
            Step::StopReply(reply) => Ok(sync::stop_reply::confirm(desk, ledger, &reply, event).await),
            Step::StopByContact(id) => sync::opt_out::stop_by_contact(desk, ledger, &id, event).await,
            Step::ReviewByContact(id, rule, body) => {
                let told_at = ghl::Delivery::read(&event.event_type, &event.payload).sent_at();
                sync::opt_out::review_by_contact(desk, &id, (rule, &body), told_at, event).await
            }
            Step::DndByContact(id) => {
                let told_at = ghl::Delivery::read(&event.event_type, &event.payload).sent_at();
                sync::opt_out::dnd_by_contact(desk, &id, told_at, event).await
            }
            Step::Start(flow, phone) => sync::opt_out::start(desk, ledger, flow, &phone, event).await,
            Step::Skip(entry) => Ok(vec![entry]),
            Step::Unhandled(entry) => {
                let source = Source::parse(&event.source).map_or("unknown", Source::as_str);
                metrics::counter!("events_unhandled_total", "source" => source).increment(1);
                Ok(vec![entry])
            }
            Step::Refuse(reason) => Err(Failure::permanent(reason)),
        }
    }
}

impl Handler for Router {
    fn handle<'a>(&'a self, event: &'a Event, context: &'a RunContext) -> BoxFuture<'a, Report> {
        let measured = async move {
            let (report, calls) = tally::counted(self.run(event, context)).await;
            let source = Source::parse(&event.source).map_or("unknown", Source::as_str);
            metrics::histogram!("vendor_calls_per_event", "source" => source).record(f64::from(calls));
            report
        };
        measured.boxed()
    }

    fn coalesces(&self, event: &Event) -> Option<String> {
        coalesces(event, &self.desk.rules)
    }

    fn must_arrive(&self, event: &Event) -> bool {
        must_arrive(event, &self.desk.rules)
    }
}
