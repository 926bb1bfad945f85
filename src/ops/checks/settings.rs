//! Settings that are each in order and yet do not do what somebody may expect:
//! what one of them makes useless, what is missing beside it, what is dangerous.

use secrecy::ExposeSecret;

use super::{Finding, Subject};
use crate::config::{QuietHours, Rate, Settings, Texting, TextingProof};
use crate::domain::TextingVendor;
use crate::vendors::on_this_machine;

/// The limits GHL documents (vendors/ghl.md 6): calls in ten seconds, and a day.
const GHL_BURST: (u32, u32) = (100, 10);
const GHL_DAILY: u32 = 200_000;
/// What nobody guesses, where nothing else is asked for.
const SHORTEST_PATH_SECRET: usize = 16;

/// Everything to be said about the settings; one line when all is well.
pub(super) fn look(settings: &Settings) -> Vec<Finding> {
    let texts: Vec<String> = [
        texting(settings),
        texting_proofs(&settings.texting),
        ghl(settings),
        others(settings),
        addresses(settings),
    ]
    .into_iter()
    .flatten()
    .collect();
    if texts.is_empty() {
        return vec![Finding::ok(Subject::Settings, "complete, none contradicts another")];
    }
    let warning = |text| Finding::warning(Subject::Settings, text);
    texts.into_iter().map(warning).collect()
}

fn texting(settings: &Settings) -> Vec<String> {
    let texting = &settings.texting;
    let mut found = Vec::new();
    let sends = texting.base_url.is_some() && texting.api_key.is_some();
    let receives = !texting.webhook_secrets.is_empty();
    if texting.base_url.is_some() != texting.api_key.is_some() {
        found.push(
            "only one of texting.base_url and texting.api_key is set: no text can be sent; set both or neither".into(),
        );
    }
    if sends && !receives {
        found.push(
            "texting.webhook_secret is unset: texts are sent, but replies and STOPs cannot come in; set it, and point \
             the texting vendor at /api/webhooks/texting"
                .into(),
        );
    }
    if receives && !sends {
        found.push("texts come in, but none can be sent: texting.base_url and texting.api_key are unset".into());
    }
    if sends && texting.from_numbers.is_empty() {
        found.push(
            "texting.from_number is unset: a text without a sender of its own is sent from whatever the vendor \
             chooses, and our own numbers are not told from people's"
                .into(),
        );
    }
    if sends && texting.quiet_hours == QuietHours::Off {
        found.push(
            "texting.quiet_hours is off: people are texted at night, against 47 CFR 64.1200(c)(1); set it to state"
                .into(),
        );
    }
    if texting.sync_to_aloware && !receives {
        found.push("texting.sync_to_aloware is on, but no text can come in: texting.webhook_secret is unset".into());
    }
    found
}

/// What of the texting vendor's proofs is missing, idle or weak.
fn texting_proofs(texting: &Texting) -> Vec<String> {
    let mut found = Vec::new();
    let vendor = texting.vendor;
    let sends = texting.base_url.is_some() && texting.api_key.is_some();
    if vendor != TextingVendor::Generic && texting.webhook_secrets.is_empty() && !sends {
        found.push(format!(
            "texting.vendor is {vendor}, but texting.webhook_secret is unset: every delivery is refused, STOPs included"
        ));
    }
    if let Some(url) = &texting.public_url {
        if !Texting::signs_url(vendor) {
            found.push(format!("texting.public_url is not used: {vendor} signs no URL"));
        } else if on_this_machine(url) {
            found.push("texting.public_url leads to this machine only: no vendor calls it, and none signs it".into());
        }
    }
    let short = |proof: &TextingProof| match proof {
        TextingProof::Shared(secret) => secret.expose_secret().len() < SHORTEST_PATH_SECRET,
        _ => false,
    };
    if is_path_secret(vendor) && texting.webhook_secrets.iter().any(short) {
        found.push(format!(
            "texting.webhook_secret is all that guards the path of {vendor}, and shorter than {SHORTEST_PATH_SECRET} \
             characters: whoever guesses it can opt people out and in"
        ));
    }
    found
}

/// Whether a shared secret of the vendor's stands in the path.
fn is_path_secret(vendor: TextingVendor) -> bool {
    vendor.signs_nothing() || matches!(vendor, TextingVendor::Bandwidth | TextingVendor::Infobip)
}

fn ghl(settings: &Settings) -> Vec<String> {
    let ghl = &settings.ghl;
    let mut found = Vec::new();
    if !ghl.webhook_require_signature {
        found.push(
            "ghl.webhook_require_signature is off: whoever finds /api/webhooks/ghl can write to it; switch it on, and \
             give workflows the path with the secret"
                .into(),
        );
    }
    if let Some(next) = &ghl.api_key_next
        && next.expose_secret() == ghl.api_key.expose_secret()
    {
        found.push("ghl.api_key_next is the same as ghl.api_key: the rotation is over, remove it".into());
    }
    let Rate { count, period } = ghl.rate_limit;
    let (burst, seconds) = GHL_BURST;
    if period.is_zero() || f64::from(count) / period.as_secs_f64() > f64::from(burst) / f64::from(seconds) {
        found.push(format!(
            "ghl.rate_limit is above the {burst}/{seconds}s that GHL documents: calls will be refused with 429"
        ));
    }
    if ghl.daily_limit > GHL_DAILY {
        found.push(format!(
            "ghl.daily_limit is above the {GHL_DAILY} calls a day that GHL documents"
        ));
    }
    found
}

fn others(settings: &Settings) -> Vec<String> {
    let mut found = Vec::new();
    if settings.jobs.secret.expose_secret() == settings.admin_secret.expose_secret() {
        found.push(
            "jobs.secret and admin.secret are the same: whoever may run jobs may also read events and send texts"
                .into(),
        );
    }
    if settings.database.url.is_some() && settings.database.postgres_bin_dir.is_some() {
        found.push("database.postgres_bin_dir is not used: database.url names a server".into());
    }
    if settings.alert_webhook_url.is_some() {
        found.push("alerts.webhook_url is not used: this version sends no alerts".into());
    }
    found
}

/// Addresses to which a token travels unencrypted.
fn addresses(settings: &Settings) -> Vec<String> {
    let bases = [
        ("ghl.base_url", Some(&settings.ghl.base_url)),
        ("aloware.base_url", Some(&settings.aloware.base_url)),
        ("texting.base_url", settings.texting.base_url.as_ref()),
    ];
    bases
        .into_iter()
        .filter(|(_, base)| base.is_some_and(|base| base.scheme() == "http" && !on_this_machine(base)))
        .map(|(name, _)| format!("{name} is http, not https: the token travels for all to read"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io;
    use std::path::Path;

    use super::*;
    use crate::config::{Defaults, parse};
    use crate::ops::checks::Level;

    fn of(changes: &[(&str, &str)]) -> Vec<Finding> {
        let usual = [
            ("GHL_API_KEY", "pit-1"),
            ("GHL_LOCATION_ID", "loc-1"),
            ("ALOWARE_API_TOKEN", "alo-1"),
            ("ALOWARE_WEBHOOK_BASIC_USER", "hook"),
            ("ALOWARE_WEBHOOK_BASIC_PASS", "pass-1"),
            ("X_DF_JOBS_SECRET", "jobs-1"),
            ("DF_ADMIN_SECRET", "admin-1"),
        ];
        let env = usual
            .iter()
            .chain(changes)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let no_files = |_: &Path| Err(io::ErrorKind::NotFound.into());
        look(&parse(None, env, no_files, &Defaults::new(&BTreeMap::new(), true)).unwrap())
    }

    #[test]
    fn settings_in_order_are_one_line() {
        let found = of(&[]);
        assert_eq!((found.len(), found[0].level), (1, Level::Ok));
    }

    #[test]
    fn what_the_texting_vendors_proof_lacks_is_said() {
        let url = ("TEXTING_PUBLIC_URL", "https://hooks.example.com/api/webhooks/texting");
        let sends = [
            ("TEXTING_BASE_URL", "https://texting.example"),
            ("TEXTING_API_KEY", "key-1"),
            ("TEXTING_FROM_NUMBER", "+16195550100"),
        ];
        let cases: [(&[(&str, &str)], &str); 5] = [
            (&[("TEXTING_VENDOR", "telnyx")], "texting.vendor is telnyx, but"),
            (&[url], "generic signs no URL"),
            (
                &[
                    ("TEXTING_VENDOR", "plivo"),
                    ("TEXTING_PUBLIC_URL", "http://127.0.0.1/x"),
                    ("TEXTING_WEBHOOK_SECRET", "hunter2"),
                    sends[0],
                    sends[1],
                    sends[2],
                ],
                "leads to this machine only",
            ),
            (
                &[
                    ("TEXTING_VENDOR", "simpletexting"),
                    ("TEXTING_WEBHOOK_SECRET", "hunter2"),
                    sends[0],
                    sends[1],
                    sends[2],
                ],
                "shorter than 16 characters",
            ),
            (
                &[("TEXTING_VENDOR", "twilio"), sends[0], sends[1], sends[2]],
                "texting.webhook_secret is unset",
            ),
        ];
        for (changes, named) in cases {
            let found = of(changes);
            assert_eq!(found.len(), 1, "{changes:?}: {found:?}");
            assert!(
                found[0].text.contains(named) && !found[0].text.contains("hunter2"),
                "{found:?}"
            );
        }
        let right = [
            ("TEXTING_VENDOR", "twilio"),
            url,
            ("TEXTING_WEBHOOK_SECRET", "hunter2"),
            sends[0],
            sends[1],
            sends[2],
        ];
        assert_eq!(of(&right)[0].level, Level::Ok);
    }

    #[test]
    fn each_contradiction_is_a_warning_that_names_the_setting() {
        let texting = ("TEXTING_BASE_URL", "https://texting.example");
        let key = ("TEXTING_API_KEY", "key-1");
        let cases: [(&[(&str, &str)], &str); 10] = [
            (
                &[("ALERT_WEBHOOK_URL", "https://alerts.example/x")],
                "alerts.webhook_url",
            ),
            (&[texting], "only one of texting.base_url"),
            (
                &[texting, key, ("TEXTING_FROM_NUMBER", "+16195550100")],
                "texting.webhook_secret",
            ),
            (&[("TEXTING_WEBHOOK_SECRET", "hook-1")], "none can be sent"),
            (&[("TEXTING_SYNC_TO_ALOWARE", "true")], "texting.sync_to_aloware"),
            (
                &[("GHL_WEBHOOK_REQUIRE_SIGNATURE", "false")],
                "ghl.webhook_require_signature",
            ),
            (&[("GHL_API_KEY_NEXT", "pit-1")], "ghl.api_key_next"),
            (&[("GHL_RATE_LIMIT", "101/10s")], "ghl.rate_limit"),
            (&[("X_DF_JOBS_SECRET", "admin-1")], "jobs.secret"),
            (
                &[("ALOWARE_BASE_URL", "http://aloware.example")],
                "aloware.base_url is http",
            ),
        ];
        for (changes, named) in cases {
            let found = of(changes);
            assert_eq!(found.len(), 1, "{changes:?}: {found:?}");
            assert!(
                found[0].level == Level::Warning && found[0].text.contains(named),
                "{found:?}"
            );
            assert!(
                !found[0].text.contains("pit-1") && !found[0].text.contains("admin-1"),
                "{found:?}"
            );
        }
    }
}
