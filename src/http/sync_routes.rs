//! Synchronisation on request of a person: one contact, one list, one mapping.
//! What they do is behind [`Desk`].

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::BoxFuture;
use serde_json::json;

use super::home::Home;
use super::problem::Problem;
use super::query::Params;
use super::{State, auth};
use crate::domain::{AlowareContactId, GhlContactId, Phone};
use crate::store::audit;

/// Whom to synchronise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// By Aloware's id.
    Aloware(AlowareContactId),
    /// By GHL's id.
    Ghl(GhlContactId),
    /// By phone.
    Phone(Phone),
}

/// The two sides of one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// In Aloware; `None` when its API does not say.
    pub aloware: Option<AlowareContactId>,
    /// In GHL.
    pub ghl: GhlContactId,
}

/// A tag's Aloware list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The list.
    pub id: String,
    /// How many contacts were put on it: those last seen with the tag.
    pub added: usize,
}

/// Why a person's request could not be met.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeskError {
    /// The asked-for contact, list or pair does not exist.
    #[error("not found")]
    NotFound,
    /// It cannot be done now and may be tried again.
    #[error("a vendor is not available: {code}")]
    Unavailable {
        /// A classified code, free of personal data.
        code: String,
        /// The earliest moment, when one is known.
        retry_after: Option<Duration>,
    },
    /// A rule forbids it.
    #[error("skipped: {reason}")]
    Skipped {
        /// A `sync_log` text.
        reason: String,
    },
    /// A vendor refused it.
    #[error("refused ({code})")]
    Refused {
        /// A classified code, free of personal data.
        code: String,
    },
}

/// Does what `/api/sync` and the mapping repair ask for. Each call runs to its
/// end even if the caller hangs up.
pub trait Desk: Send + Sync {
    /// Synchronises one contact.
    fn sync_contact<'a>(&'a self, who: Who) -> BoxFuture<'a, Result<Pair, DeskError>>;

    /// Puts the contacts that carry a GHL tag on its Aloware list.
    fn sync_list<'a>(&'a self, tag: String) -> BoxFuture<'a, Result<Listed, DeskError>>;

    /// Finds or makes the mapping of a person both systems already have. At
    /// least one of the two is given.
    fn repair_mapping<'a>(
        &'a self,
        phone: Option<Phone>,
        email: Option<String>,
    ) -> BoxFuture<'a, Result<Pair, DeskError>>;
}

impl DeskError {
    fn into_problem(self, missing: String) -> Problem {
        let detail = self.to_string();
        match self {
            Self::NotFound => Problem::not_found(missing),
            Self::Unavailable { retry_after, .. } => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "vendor_unavailable", detail).retry_after(retry_after)
            }
            Self::Skipped { .. } => Problem::conflict("skipped", detail),
            Self::Refused { .. } => Problem::new(StatusCode::BAD_GATEWAY, "refused", detail),
        }
    }
}

/// `POST /api/sync/contacts?alowareContactId` (or `ghlContactId`, `phone`).
///
/// # Errors
/// 400, 401, 404, 409, 502, 503.
pub(super) async fn contact(
    request: HttpRequest,
    state: web::Data<State>,
    home: Home,
) -> Result<HttpResponse, Problem> {
    auth::require_admin(&request, &state.settings)?;
    let who = who(&Params::of(&request)?, &state)?;
    let missing = match &who {
        Who::Aloware(id) => format!("Contact {id} not found in Aloware"),
        Who::Ghl(id) => format!("Contact {id} not found in GHL"),
        Who::Phone(_) => "Contact not found in Aloware".to_owned(),
    };
    let desk = Arc::clone(&state.desk);
    let outcome = home.run(async move { desk.sync_contact(who).await }).await?;
    let pair = outcome.map_err(|error| error.into_problem(missing))?;
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "alowareContactId": pair.aloware.as_ref().map(AlowareContactId::as_str),
        "ghlContactId": pair.ghl.as_str(),
    })))
}

/// `POST /api/sync/lists?tagName`.
///
/// # Errors
/// As [`contact`].
pub(super) async fn list(request: HttpRequest, state: web::Data<State>, home: Home) -> Result<HttpResponse, Problem> {
    auth::require_admin(&request, &state.settings)?;
    let params = Params::of(&request)?;
    let Some(tag) = params.get("tagName").map(str::to_owned) else {
        return Err(Problem::bad_request("tagName query parameter is required"));
    };
    let (desk, wanted) = (Arc::clone(&state.desk), tag.clone());
    let outcome = home.run(async move { desk.sync_list(wanted).await }).await?;
    let Listed { id, added } =
        outcome.map_err(|error| error.into_problem("No list is configured for this tag".to_owned()))?;
    Ok(HttpResponse::Ok().json(json!({"success": true, "tagName": tag, "callListId": id, "added": added})))
}

/// `POST /api/admin/mappings/repair?phone&email`.
///
/// # Errors
/// As [`contact`].
pub(super) async fn repair(request: HttpRequest, state: web::Data<State>, home: Home) -> Result<HttpResponse, Problem> {
    auth::require_admin(&request, &state.settings)?;
    let params = Params::of(&request)?;
    let (phone, email) = (params.get("phone"), params.get("email"));
    if phone.is_none() && email.is_none() {
        return Err(Problem::bad_request("phone or email parameter required"));
    }
    let phone = phone.map(|raw| parse_phone(raw, &state)).transpose()?;
    if email.is_some_and(|text| !text.contains('@')) {
        return Err(Problem::bad_request("email is not an e-mail address"));
    }
    let (desk, email) = (Arc::clone(&state.desk), email.map(str::to_owned));
    let outcome = home.run(async move { desk.repair_mapping(phone, email).await }).await?;
    let pair = outcome.map_err(|error| error.into_problem("Could not find or create mapping".to_owned()))?;
    note_repair(&state, &pair).await;
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "mapping": {
            "ghlContactId": pair.ghl.as_str(),
            "alowareContactId": pair.aloware.as_ref().map(AlowareContactId::as_str),
        },
    })))
}

/// The repair is done; that it could not be noted does not undo it.
async fn note_repair(state: &State, pair: &Pair) {
    let noted = match state.db.client().await {
        Ok(client) => {
            audit::append(
                &client,
                "admin",
                "mapping.repair",
                &format!("ghl:{}", pair.ghl),
                &json!({}),
            )
            .await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = noted {
        tracing::error!(%error, "mapping repair is not in the audit log");
    }
}

fn who(params: &Params, state: &State) -> Result<Who, Problem> {
    let id = |name: &str| params.get(name).map(|raw| checked_id(name, raw)).transpose();
    if let Some(id) = id("alowareContactId")?.and_then(AlowareContactId::new) {
        return Ok(Who::Aloware(id));
    }
    if let Some(id) = id("ghlContactId")?.and_then(GhlContactId::new) {
        return Ok(Who::Ghl(id));
    }
    match params.get("phone") {
        Some(raw) => Ok(Who::Phone(parse_phone(raw, state)?)),
        None => Err(Problem::bad_request("alowareContactId query parameter is required")),
    }
}

/// Ids go into paths at the vendors: only what an id can look like passes.
fn checked_id<'p>(name: &str, raw: &'p str) -> Result<&'p str, Problem> {
    let plain = raw
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if plain && raw.len() <= 128 {
        Ok(raw)
    } else {
        Err(Problem::bad_request(format!("{name} is not an id")))
    }
}

fn parse_phone(raw: &str, state: &State) -> Result<Phone, Problem> {
    // A `+` that was not escaped arrives as a blank, which was trimmed away.
    Phone::parse(raw, &state.rules.hint).ok_or_else(|| Problem::bad_request("phone is not a phone number"))
}
