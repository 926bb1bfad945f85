//! Contacts and their tags: GHL to Aloware, and the echo that ends there.

use anyhow::Context;
use serde_json::json;

use super::payloads::{SAM_PHONE, WANDA, WANDA_PHONE, contact};
use super::setup::LISTED_TAG;
use super::stage::Stage;
use crate::domain::GhlContactId;
use crate::store::contact_mappings::{self, Keys};
use crate::wire::json;

const LOOKUP: &str = "Aloware GET /api/v1/webhook/contact/phone-number";
const FORMS: &str = "Aloware POST /api/v1/webhook/forms";

/// A new GHL contact becomes an Aloware contact, and the two are mapped.
pub(super) async fn created(stage: &mut Stage) -> anyhow::Result<()> {
    stage.open("A contact is created in GoHighLevel");
    stage
        .sandbox
        .ghl
        .add_contact(json!({"id": WANDA, "firstName": "Wanda", "lastName": "Tester",
        "email": "wanda@tester.example", "phone": WANDA_PHONE}));
    let delivery = contact(&stage.sandbox, "ContactCreate", WANDA, WANDA_PHONE);
    let answer = stage.deliver(&delivery).await?;
    stage.told_received(&answer);
    let seen = stage.settle().await?;

    let made = stage
        .sandbox
        .aloware
        .contact_by_phone(WANDA_PHONE)
        .context("Aloware has no contact")?;
    let id = json::text(&made, &["id"]).unwrap_or_default();
    stage.told_list(
        "decision",
        &[&format!("ghl_to_aloware contact success → {id}")],
        &seen.decided,
    );
    stage.told_list(
        "vendor calls",
        &[
            "GHL GET /contacts/{id} 200",
            &format!("{LOOKUP} 404"),
            &format!("{FORMS} 201"),
        ],
        &seen.calls,
    );
    stage.told(
        "Aloware's name",
        Some("Wanda Tester".to_owned()),
        json::text(&made, &["name"]),
    );
    stage.told(
        "Aloware's e-mail",
        Some("wanda@tester.example".to_owned()),
        json::text(&made, &["email"]),
    );
    let mapped = aloware_id_of(stage, WANDA).await?;
    stage.told("mapped Aloware contact", Some(id.as_str()), mapped.as_deref());
    stage.state(&format!("Aloware contact {id} “Wanda Tester” · mapped to GHL {WANDA}"));
    stage.close();
    Ok(())
}

/// Only the changed field travels; what Aloware knew alone is written to GHL,
/// and GHL's webhook about that write is recognised.
pub(super) async fn edited(stage: &mut Stage) -> anyhow::Result<()> {
    stage.open("Her e-mail is changed in GoHighLevel; meanwhile Aloware learnt her city");
    stage
        .sandbox
        .aloware
        .edit_contact(WANDA_PHONE, json!({"city": "San Diego"}));
    stage
        .edit_in_ghl(
            WANDA,
            &format!("contact {WANDA}, e-mail"),
            json!({"email": "wanda@new.example"}),
        )
        .await?;
    let seen = stage.settle().await?;

    let id = aloware_id_of(stage, WANDA).await?.unwrap_or_default();
    stage.told_list(
        "decision",
        &[&format!("ghl_to_aloware contact success → {id}")],
        &seen.decided,
    );
    let calls = [
        "GHL GET /contacts/{id} 200",
        &format!("{LOOKUP} 200"),
        &format!("{FORMS} 200"),
        "GHL PUT /contacts/{id} 200",
    ];
    stage.told_list("vendor calls", &calls, &seen.calls);
    let form = stage
        .sandbox
        .aloware
        .calls_to("POST", "/api/v1/webhook/forms")
        .pop()
        .context("no form was sent")?;
    let mut keys: Vec<&str> = form
        .body
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .collect();
    keys.sort_unstable();
    stage.told(
        "properties of the form",
        vec!["api_token", "email", "force_update", "phone_number"],
        keys,
    );
    let echo = format!("ContactUpdate: skipped → {id}: no_change: the fields are those last synchronised");
    stage.told_list("echo of our write", &[&echo], &seen.echoes);
    let (ghl, aloware) = (
        stage.sandbox.ghl.contact(WANDA),
        stage.sandbox.aloware.contact_by_phone(WANDA_PHONE),
    );
    let city = ghl.and_then(|contact| json::text(&contact, &["city"]));
    let email = aloware.and_then(|contact| json::text(&contact, &["email"]));
    stage.told("city in GHL", Some("San Diego".to_owned()), city);
    stage.told("e-mail in Aloware", Some("wanda@new.example".to_owned()), email);
    stage.state("both sides: wanda@new.example, San Diego · no further writes: the loop ended");
    stage.close();
    Ok(())
}

/// A tag puts this contact, and nobody else, on its Aloware list.
pub(super) async fn tagged(stage: &mut Stage) -> anyhow::Result<()> {
    let (tag, list) = LISTED_TAG;
    stage.open(&format!("Somebody tags her “{tag}” in GoHighLevel"));
    let mut tags = stage.sandbox.ghl.tags(WANDA);
    tags.push(tag.to_owned());
    stage
        .edit_in_ghl(WANDA, &format!("contact {WANDA}, tag {tag}"), json!({"tags": tags}))
        .await?;
    let seen = stage.settle().await?;

    stage.told_list(
        "decision",
        &[&format!("ghl_to_aloware list success → {list}")],
        &seen.decided,
    );
    stage.told_list("vendor calls", &[&format!("{FORMS} 200")], &seen.calls);
    let (hers, his) = (
        stage.sandbox.aloware.lists_of(WANDA_PHONE),
        stage.sandbox.aloware.lists_of(SAM_PHONE),
    );
    stage.told("her Aloware lists", vec![list], hers);
    stage.told("his Aloware lists", Vec::new(), his);
    stage.state(&format!("Aloware list {list}: Wanda only"));
    stage.close();
    Ok(())
}

/// The Aloware contact a GHL contact is mapped to.
async fn aloware_id_of(stage: &Stage, ghl: &str) -> anyhow::Result<Option<String>> {
    let ghl = GhlContactId::new(ghl);
    let keys = Keys {
        ghl: ghl.as_ref(),
        ..Keys::default()
    };
    let mapping = contact_mappings::find(&stage.db.client().await?, keys).await?;
    Ok(mapping.and_then(|mapping| mapping.aloware).map(|id| id.to_string()))
}
