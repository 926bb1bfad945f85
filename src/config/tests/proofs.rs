//! `texting.webhook_secret` and `texting.public_url`, vendor by vendor.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;

use super::{parsed, problem, settings};
use crate::config::{Texting, TextingProof};
use crate::domain::TextingVendor;

const KEY: &str = "i2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg=";
const URL: &str = "https://hooks.example.com/api/webhooks/texting?tenant=a1";

fn proofs(vendor: &str, secret: &str) -> Vec<TextingProof> {
    let env = [
        ("TEXTING_VENDOR", vendor),
        ("TEXTING_WEBHOOK_SECRET", secret),
        ("TEXTING_PUBLIC_URL", URL),
    ];
    settings("", &env).texting.webhook_secrets
}

fn refusal(vendor: &str, secret: &str) -> String {
    let why = problem("", &[("TEXTING_VENDOR", vendor), ("TEXTING_WEBHOOK_SECRET", secret)]);
    assert!(
        why.starts_with("texting.webhook_secret (TEXTING_WEBHOOK_SECRET): "),
        "{why}"
    );
    assert!(!why.contains(secret), "a secret is never shown: {why}");
    why
}

#[test]
fn the_webhook_secret_means_what_the_vendor_means_by_it() {
    for vendor in TextingVendor::ALL {
        let (secret, wanted) = match vendor {
            TextingVendor::Telnyx => (KEY, "PublicKey"),
            TextingVendor::Bandwidth | TextingVendor::Infobip | TextingVendor::Sinch => ("ann:pass:word", "Basic"),
            TextingVendor::Generic
            | TextingVendor::Twilio
            | TextingVendor::Plivo
            | TextingVendor::Vonage
            | TextingVendor::MessageBird
            | TextingVendor::SimpleTexting
            | TextingVendor::Textmagic
            | TextingVendor::ClickSend => ("pass:word", "Shared"),
        };
        let read = proofs(vendor.as_str(), secret);
        assert!(format!("{:?}", read[0]).starts_with(wanted), "{vendor}: {read:?}");
        if let TextingProof::Basic { user, password } = &read[0] {
            assert_eq!((user.expose_secret(), password.expose_secret()), ("ann", "pass:word"));
        }
    }
    for vendor in ["bandwidth", "infobip", "sinch"] {
        let both = proofs(vendor, "ann:pass,path-or-hmac");
        assert!(matches!(
            both[..],
            [TextingProof::Basic { .. }, TextingProof::Shared(_)]
        ));
    }
}

#[test]
fn standard_webhooks_keys_are_known_by_their_head_whoever_the_vendor_is() {
    let secret = format!("whsec_{}", STANDARD.encode([7; 24]));
    for vendor in TextingVendor::ALL {
        let read = proofs(vendor.as_str(), &format!("{secret},whpk_{KEY}"));
        let [TextingProof::StandardSecret(bytes), TextingProof::StandardKey(key)] = &read[..] else {
            panic!("{vendor}: {read:?}");
        };
        assert_eq!((bytes.expose_secret(), key[..2] == [0x8b, 0x61]), (&[7; 24][..], true));
    }
}

#[test]
fn a_malformed_secret_is_refused_by_its_keys_name_and_never_shown() {
    assert!(refusal("telnyx", "hunter2").contains("Ed25519"));
    assert!(refusal("bandwidth", "hunter2:").contains("user or its password"));
    assert!(refusal("infobip", ":hunter2").contains("user or its password"));
    for length in [1, 23, 65] {
        let short = format!("whsec_{}", STANDARD.encode(vec![7; length]));
        assert!(refusal("generic", &short).contains("24 to 64 bytes"), "{length}");
    }
    assert!(refusal("twilio", "whsec_hunter2!").contains("24 to 64 bytes"));
    assert!(refusal("sinch", "whpk_hunter2").contains("Ed25519"));
    assert!(refusal("generic", "hunter2\u{7}").contains("one line"));
}

#[test]
fn a_vendor_that_signs_its_url_needs_to_know_it() {
    for vendor in TextingVendor::ALL {
        let secret = if *vendor == TextingVendor::Telnyx { KEY } else { "s-1" };
        let env = [("TEXTING_VENDOR", vendor.as_str()), ("TEXTING_WEBHOOK_SECRET", secret)];
        let refused = parsed("", &env).err().map(|problems| problems.to_string());
        let said =
            refused.is_some_and(|why| why.starts_with("texting.public_url: ") && why.contains("TEXTING_PUBLIC_URL"));
        assert_eq!(said, Texting::signs_url(*vendor), "{vendor}");
        // Who receives nothing, or is proved otherwise, needs no URL.
        assert!(parsed("", &env[..1]).is_ok(), "{vendor}");
        let standard = format!("whsec_{}", STANDARD.encode([7; 24]));
        assert!(
            parsed("", &[env[0], ("TEXTING_WEBHOOK_SECRET", &standard)]).is_ok(),
            "{vendor}"
        );
    }
}

#[test]
fn the_public_url_keeps_its_query_and_has_neither_user_nor_fragment() {
    let url = settings("", &[("TEXTING_PUBLIC_URL", URL)]).texting.public_url;
    assert_eq!(url.expect("set").as_str(), URL);
    for bad in [
        "hooks.example.com",
        "ftp://x",
        "https://ann:hunter2@x/",
        "https://x/#rc=5",
    ] {
        let why = problem("", &[("TEXTING_PUBLIC_URL", bad)]);
        assert!(
            why.starts_with("texting.public_url (TEXTING_PUBLIC_URL): must"),
            "{why}"
        );
        assert!(!why.contains("hunter2"), "{why}");
    }
}
