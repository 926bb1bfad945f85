//! Do-not-disturb by channel. Whether a PUT merges or replaces `dndSettings` is
//! not known (vendors/ghl.md 2.5), so every known channel is sent along with
//! its present status and only those meant are changed.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Serialize;

use super::contacts::contact_route;
use super::{GhlClient, contact_write};
use crate::domain::{Dnd, GhlContactId};
use crate::loops::Intent;
use crate::vendors::budget::Priority;
use crate::vendors::error::VendorError;
use crate::wire;

/// The documented channel names. Live payloads also carry `RCS`, which the
/// schema of a write does not have and would be refused.
const CHANNELS: [&str; 6] = ["Call", "Email", "SMS", "WhatsApp", "GMB", "FB"];
/// The documented statuses; anything else would be refused.
const STATUSES: [&str; 3] = ["active", "inactive", "permanent"];

#[derive(Serialize)]
struct DndBody<'c> {
    #[serde(rename = "dndSettings")]
    settings: BTreeMap<&'static str, Setting<'c>>,
}

#[derive(Serialize)]
struct Setting<'c> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'c str>,
}

impl GhlClient {
    /// Sets or lifts do-not-disturb for some channels (`(names, blocked)`), keeping the
    /// others as `current` has them. A `permanent` block stays permanent when blocking.
    /// `message` is shown in GHL: no personal data. Answers what GHL says it holds now.
    ///
    /// # Errors
    /// [`VendorError::NotFound`] when the contact is gone; otherwise see
    /// [`VendorError`].
    pub async fn set_dnd(
        &self,
        _proof: &Intent,
        id: &GhlContactId,
        current: &Dnd,
        (channels, blocked): (&[&'static str], bool),
        message: &str,
    ) -> Result<Option<Dnd>, VendorError> {
        let body = DndBody {
            settings: merged(current, channels, blocked, message),
        };
        let operation = contact_write("set_dnd", Method::PUT, Priority::OptOut);
        let answer = self.write(operation, &contact_route(id)?, &body).await?;
        Ok(wire::ghl_contact(&answer, &self.shared.hint).dnd)
    }
}

fn merged<'c>(
    current: &Dnd,
    channels: &[&'static str],
    blocked: bool,
    message: &'c str,
) -> BTreeMap<&'static str, Setting<'c>> {
    let mut settings = BTreeMap::new();
    for (written, status) in &current.channels {
        let channel = CHANNELS.into_iter().find(|name| name.eq_ignore_ascii_case(written));
        let status = STATUSES.into_iter().find(|known| known.eq_ignore_ascii_case(status));
        if let (Some(channel), Some(status)) = (channel, status) {
            settings.insert(channel, Setting { status, message: None });
        }
    }
    for channel in channels {
        let permanent = settings.get(channel).is_some_and(|known| known.status == "permanent");
        let status = match (blocked, permanent) {
            (true, true) => "permanent",
            (true, false) => "active",
            (false, _) => "inactive",
        };
        let message = Some(message);
        settings.insert(channel, Setting { status, message });
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(current: &[(&str, &str)], blocked: bool) -> serde_json::Value {
        let channels = current
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let current = Dnd {
            text_message: None,
            call_message: None,
            all: None,
            channels,
        };
        serde_json::to_value(merged(&current, &["SMS"], blocked, "STOP")).unwrap()
    }

    #[test]
    fn only_sms_changes_and_the_other_channels_are_sent_as_they_are() {
        let current = [
            ("call", "inactive"),
            ("EMAIL", "permanent"),
            ("whatsApp", "active"),
            ("RCS", "active"),
        ];
        let wanted = serde_json::json!({
            "Call": {"status": "inactive"}, "Email": {"status": "permanent"}, "WhatsApp": {"status": "active"},
            "SMS": {"status": "active", "message": "STOP"}
        });
        assert_eq!(written(&current, true), wanted);
    }

    #[test]
    fn blocking_never_weakens_a_permanent_block() {
        assert_eq!(written(&[("sms", "permanent")], true)["SMS"]["status"], "permanent");
        assert_eq!(written(&[("sms", "permanent")], false)["SMS"]["status"], "inactive");
        assert_eq!(written(&[], true)["SMS"]["status"], "active");
    }
}
