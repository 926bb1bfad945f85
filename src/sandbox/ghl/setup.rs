//! The location's settings and contents, as a test sets them up: what an
//! administrator or a person in the app would do.

use std::time::Duration;

use chrono::Utc;
use serde_json::{Map, Value};

use super::events::Changes;
use super::fields::{self, FieldDefinition};
use super::scopes::Reach;
use super::state::{Identifier, ProviderKind};
use super::{GhlSim, book};

impl GhlSim {
    /// The accepted bearer tokens; two during a rotation.
    pub fn set_tokens(&self, tokens: &[&str]) {
        self.vendor.state().tokens = tokens.iter().map(|token| (*token).to_owned()).collect();
    }

    /// The accepted tokens have these scopes and no others.
    pub fn set_scopes(&self, scopes: &[&str]) {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self.vendor.state().reach = Reach::Location(Some(scopes));
    }

    /// The accepted tokens are those of an agency, which contacts refuse.
    pub fn set_agency_tokens(&self) {
        self.vendor.state().reach = Reach::Agency;
    }

    /// Configures the SMS conversation provider; without one, texts cannot be
    /// recorded.
    pub fn set_provider(&self, id: &str, kind: ProviderKind) {
        self.vendor.state().provider = Some((id.to_owned(), kind));
    }

    /// Configures the call provider; without one, calls cannot be recorded.
    pub fn set_call_provider(&self, id: &str) {
        self.vendor.state().call_provider = Some(id.to_owned());
    }

    /// Messages are dated when they are recorded, whatever date they came with:
    /// which of the two GHL does is on no record.
    pub fn date_messages_when_recorded(&self) {
        self.vendor.state().own_dates = true;
    }

    /// Only this token may set message statuses: that of the app that owns the
    /// provider, as in reality. Until called, every accepted token may.
    pub fn restrict_status_to(&self, token: &str) {
        self.vendor.state().status_token = Some(token.to_owned());
    }

    /// "Allow Duplicate Contact" of the location; off by default.
    pub fn allow_duplicates(&self, allowed: bool) {
        self.vendor.state().allow_duplicates = allowed;
    }

    /// The order of duplicate matching; e-mail, then phone by default. What is
    /// left out is not matched at all.
    pub fn set_match_priority(&self, priority: &[Identifier]) {
        self.vendor.state().priority = priority.to_vec();
    }

    /// PUT merges `dndSettings` instead of replacing them.
    pub fn merge_dnd_settings(&self, merges: bool) {
        self.vendor.state().dnd_merges = merges;
    }

    /// Tag answers hold only what was added or removed, not the full set.
    pub fn answer_tags_as_delta(&self, delta: bool) {
        self.vendor.state().tags_answer_delta = delta;
    }

    /// Contacts changed less than this long ago are missing from the search.
    pub fn set_search_lag(&self, lag: Duration) {
        self.vendor.state().search_lag = lag;
    }

    /// Other limits than the documented 100 in 10 s and 200 000 a day.
    pub fn set_rate_limit(&self, burst: u32, interval: Duration, daily: u32) {
        self.vendor.state().limits.set(burst, interval, daily);
    }

    /// No rate limit; the headers still come.
    pub fn lift_rate_limit(&self) {
        self.vendor.state().limits.lift();
    }

    /// Defines a contact custom field; once there is one, only defined ones
    /// are stored.
    pub fn define_custom_field(&self, id: &str, key: &str, name: &str, data_type: &str) {
        self.vendor.state().custom_fields.push(FieldDefinition {
            id: id.to_owned(),
            key: key.to_owned(),
            name: name.to_owned(),
            data_type: data_type.to_owned(),
        });
    }

    /// Adds a user to `GET /users/`.
    pub fn add_user(&self, user: Value) {
        self.vendor.state().users.push(user);
    }

    /// Seeds a contact, without a webhook and without the duplicate check.
    /// Properties are those of a create body, `customFields` in write form; an
    /// `id` is kept, so are `dateAdded` and `dateUpdated`. Returns the id.
    pub fn add_contact(&self, contact: Value) -> String {
        let mut body = contact.as_object().cloned().unwrap_or_default();
        let given = |body: &mut Map<String, Value>, name: &str| body.remove(name);
        let id = given(&mut body, "id").and_then(|id| id.as_str().map(str::to_owned));
        let dates = ["dateAdded", "dateUpdated"].map(|name| (name, given(&mut body, name)));
        let id = id.unwrap_or_else(book::new_id);
        let mut state = self.vendor.state();
        // Values a validator would refuse are kept as they are: old data is like that.
        let body = fields::normalise(body.clone()).unwrap_or(body);
        state.create(&id, body, Utc::now());
        state.events.clear();
        if let Some(mut stored) = state.book.get(&id).cloned() {
            for (name, value) in dates {
                if let Some(value) = value {
                    stored.insert(name.to_owned(), value);
                }
            }
            state.book.put(&id, stored);
        }
        id
    }

    /// Changes a contact as a person would in the app: any property, with the
    /// webhooks that causes. False if it does not exist.
    pub fn edit_contact(&self, id: &str, change: Value) -> bool {
        let body = change.as_object().cloned().unwrap_or_default();
        let body = fields::normalise(body.clone()).unwrap_or(body);
        let mut state = self.vendor.state();
        let known = state.book.get(id).is_some();
        state.write(id, body, Changes::default(), Utc::now());
        self.vendor.flush(&mut state);
        known
    }

    /// Deletes a contact as a merge does: its id answers 400 from now on.
    /// False if it did not exist.
    pub fn remove_contact(&self, id: &str) -> bool {
        self.vendor.state().book.remove(id).is_some()
    }
}
