//! The vendors: does each answer, is its token accepted, does the token reach
//! far enough, what limits does it tell of, does its clock agree.

use chrono::{TimeDelta, Utc};
use tokio::time::Instant;

use super::wording::{offset, span};
use super::{Finding, PATIENCE, Subject};
use crate::config::{Ghl, Rate, Settings};
use crate::domain::Source;
use crate::vendors::signals::Signals;
use crate::vendors::{AlowareClient, GhlClient, Priority, Standing, TextingClient, Trouble, VendorError, Vendors};

/// A vendor's clock that differs by more deserves a word.
const APART: TimeDelta = TimeDelta::seconds(30);

/// Asks every vendor, all at the same time.
pub(super) async fn look(vendors: &Vendors, settings: &Settings) -> Vec<Finding> {
    let (ghl, aloware, texting) = tokio::join!(
        ghl(vendors.ghl.at(Priority::Background), &settings.ghl),
        aloware(vendors.aloware.at(Priority::Background)),
        texting(vendors.texting.as_ref()),
    );
    let mut found = [ghl, aloware, texting].concat();
    for (vendor, budget) in vendors.budgets() {
        found.extend(said(vendor, &budget.standing(Instant::now(), Utc::now())));
    }
    found
}

/// A probe within its time.
async fn timed<T>(probe: impl Future<Output = Result<T, VendorError>>) -> Result<T, VendorError> {
    tokio::time::timeout(PATIENCE, probe)
        .await
        .unwrap_or(Err(VendorError::Transient {
            code: Trouble::Timeout,
            maybe_applied: false,
        }))
}

async fn ghl(client: GhlClient, settings: &Ghl) -> Vec<Finding> {
    let contacts = timed(client.probe_contacts()).await;
    let mut found = vec![match &contacts {
        Ok(()) => Finding::ok(
            Subject::Ghl,
            "token accepted, location right, contacts can be read (contacts.readonly)",
        ),
        Err(error) => refused(Source::Ghl, error, "contacts.readonly"),
    }];
    if !matches!(contacts, Ok(()) | Err(VendorError::OutOfScope)) {
        return found;
    }
    if client.uses_next_token() {
        found.push(Finding::warning(
            Subject::Ghl,
            "ghl.api_key is refused, ghl.api_key_next is used instead: move it to GHL_API_KEY",
        ));
    }
    let converses = settings.conversation_provider_id.is_some() || settings.call_provider_id.is_some();
    if converses {
        found.extend(conversations(&client).await);
    }
    if !settings.custom_fields.is_empty() {
        found.push(custom_fields(&client, settings).await);
    }
    let writes = if converses {
        "contacts.write and conversations/message.write"
    } else {
        "contacts.write"
    };
    found.push(Finding::ok(
        Subject::Ghl,
        format!("whether the token has {writes} shows only when something is written; without, events say `ghl 401 token lacks a scope`"),
    ));
    found
}

async fn conversations(client: &GhlClient) -> Vec<Finding> {
    let some = match timed(client.probe_conversations()).await {
        Ok(some) => some,
        Err(error) => return vec![refused(Source::Ghl, &error, "conversations.readonly")],
    };
    let ok = |text| Finding::ok(Subject::Ghl, text);
    let mut found = vec![ok("conversations can be read (conversations.readonly)")];
    found.push(match some {
        None => ok("there is no conversation yet, so conversations/message.readonly could not be tried"),
        Some(id) => match timed(client.probe_messages(&id)).await {
            Ok(()) => ok("messages can be read (conversations/message.readonly)"),
            Err(error) => refused(Source::Ghl, &error, "conversations/message.readonly"),
        },
    });
    found
}

/// Ids that the location does not have make GHL refuse whole contacts.
async fn custom_fields(client: &GhlClient, settings: &Ghl) -> Finding {
    match timed(client.custom_field_ids()).await {
        Ok(ids) => {
            let unknown: Vec<&str> = settings
                .custom_fields
                .iter()
                .filter(|(_, id)| !ids.contains(id))
                .map(|(name, _)| name.as_str())
                .collect();
            if unknown.is_empty() {
                return Finding::ok(Subject::Ghl, "the ids in ghl.custom_fields are all known");
            }
            let text = format!("ghl.custom_fields: GHL has no such field for {}", unknown.join(", "));
            Finding::problem(Subject::Ghl, text)
        }
        // The daemon itself does not need this scope.
        Err(VendorError::OutOfScope) => Finding::ok(
            Subject::Ghl,
            "ghl.custom_fields could not be compared: the token lacks locations/customFields.readonly",
        ),
        Err(error) => refused(Source::Ghl, &error, "locations/customFields.readonly"),
    }
}

async fn aloware(client: AlowareClient) -> Vec<Finding> {
    vec![match timed(client.users()).await {
        Ok(users) => Finding::ok(Subject::Aloware, format!("token accepted, {} users", users.len())),
        Err(error) => refused(Source::Aloware, &error, ""),
    }]
}

async fn texting(client: Option<&TextingClient>) -> Vec<Finding> {
    let Some(client) = client else {
        return vec![Finding::ok(Subject::Texting, "not configured for sending")];
    };
    vec![match timed(client.probe()).await {
        Ok(()) => Finding::ok(
            Subject::Texting,
            "answers; whether it takes the key shows only when a text is sent",
        ),
        Err(error) => refused(Source::Texting, &error, ""),
    }]
}

/// What a failed probe means, and what to do.
fn refused(vendor: Source, error: &VendorError, scope: &str) -> Finding {
    let token = match vendor {
        Source::Ghl => "GHL_API_KEY",
        Source::Aloware => "ALOWARE_API_TOKEN",
        Source::Texting => "TEXTING_API_KEY",
    };
    let base = match vendor {
        Source::Ghl => "GHL_BASE_URL",
        Source::Aloware => "ALOWARE_BASE_URL",
        Source::Texting => "TEXTING_BASE_URL",
    };
    let text = match error {
        VendorError::Unauthorized => format!("the token is refused (401): put one that is valid into {token}"),
        VendorError::OutOfScope => format!(
            "the token is known but lacks the scope {scope}, or is an agency's: in the sub-account's Private \
             Integration tick that scope"
        ),
        VendorError::Forbidden if vendor == Source::Ghl => {
            "the token has no access to the location of GHL_LOCATION_ID (403): put the id of the sub-account there \
             whose token this is"
                .to_owned()
        }
        VendorError::Forbidden => format!("the token is refused (403): put one that may do this into {token}"),
        VendorError::Transient {
            code: Trouble::Status(status),
            ..
        } => format!("it answers {status}, so it is in trouble itself: its status page may say more"),
        VendorError::Transient {
            code: Trouble::Timeout, ..
        } => format!(
            "no answer in time: look at the network, a proxy, or {base}; a daemon that joins others holds its calls back \
             for some seconds"
        ),
        VendorError::Transient { code, .. } => {
            format!("no answer ({code}): look at the network, a proxy, or {base}")
        }
        VendorError::Down { retry_after } | VendorError::StillDown { retry_after, .. } => format!(
            "counts as down after repeated trouble; calls are held back, the next try is in {}",
            span(*retry_after)
        ),
        VendorError::RateLimited { retry_after } => {
            let wait = retry_after.map_or_else(|| "a while".to_owned(), span);
            let text = format!("no call can be made for {wait}: its limit or ours is reached");
            return Finding::warning(Subject::of(vendor), text);
        }
        VendorError::NotJson { .. } => format!("answers with a web page: {base} does not lead to its API"),
        VendorError::NotFound | VendorError::Rejected { status: 404 | 405, .. } => {
            format!("has no such path: {base} does not lead to its API")
        }
        VendorError::Duplicate { .. }
        | VendorError::Unprocessable { .. }
        | VendorError::OptedOut { .. }
        | VendorError::Incomplete { .. }
        | VendorError::Rejected { .. }
        | VendorError::Refused { .. } => format!("a read failed ({error}): this is not the answer its documents show"),
    };
    Finding::problem(Subject::of(vendor), text)
}

/// What a vendor's last answer said of its limits and its clock.
fn said(vendor: Source, standing: &Standing) -> Vec<Finding> {
    let Some(heard) = standing.heard else {
        return Vec::new();
    };
    let mut found = Vec::new();
    if let Some(ahead) = heard.ahead {
        found.push(if ahead.abs() > APART {
            let text = format!("its clock is {} this machine's: set this one by NTP", offset(ahead));
            Finding::warning(Subject::of(vendor), text)
        } else {
            Finding::ok(Subject::of(vendor), "its clock agrees with this machine's")
        });
    }
    found.extend(limits(vendor, standing, &heard));
    found
}

fn limits(vendor: Source, standing: &Standing, heard: &Signals) -> Vec<Finding> {
    let mut found = Vec::new();
    if let (Some(allowed), Some(interval)) = (heard.allowed, heard.interval) {
        let Rate { count, period } = standing.rate;
        if f64::from(count) * interval.as_secs_f64() > precise(allowed) * period.as_secs_f64() {
            found.push(Finding::warning(
                Subject::of(vendor),
                format!(
                    "it allows {allowed} calls in {}, we make up to {count} in {}: lower {vendor}.rate_limit",
                    span(interval),
                    span(period)
                ),
            ));
        }
    }
    let (Some(left), Some(allowed)) = (heard.daily_remaining, heard.daily_allowed) else {
        return found;
    };
    if standing.daily_limit.is_some_and(|limit| u64::from(limit) > allowed) {
        found.push(Finding::warning(
            Subject::of(vendor),
            format!("it allows {allowed} calls a day: lower {vendor}.daily_limit to that"),
        ));
    }
    found.push(match left {
        0 => Finding::problem(
            Subject::of(vendor),
            format!("none of the {allowed} calls it allows a day is left: nothing is written until they start anew"),
        ),
        _ => Finding::ok(
            Subject::of(vendor),
            format!("{left} of {allowed} calls are left today, it says"),
        ),
    });
    found
}

fn precise(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
