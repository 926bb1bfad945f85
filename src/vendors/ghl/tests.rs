//! The GHL client against a vendor on a local port.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde_json::json;

use super::*;
use crate::domain::{Dnd, GhlContactId, PersonFields, Phone, TextDirection};
use crate::vendors::testkit::{self, Reply, Seen, Vendor, proof};

fn client(vendor: &Vendor) -> GhlClient {
    GhlClient::new(&testkit::ghl(vendor.base()), &testkit::http(), "US").unwrap()
}

fn id(text: &str) -> GhlContactId {
    GhlContactId::new(text).unwrap()
}

fn ada() -> PersonFields {
    PersonFields {
        first_name: Some("Ada".into()),
        phone: Some("+16195550111".into()),
        timezone: Some("America/Chicago".into()),
        ..PersonFields::default()
    }
}

fn text_record() -> MessageRecord {
    MessageRecord {
        contact: id("c1"),
        direction: TextDirection::Inbound,
        body: "Hello".into(),
        date: crate::wire::json::parse_time("2026-08-05 20:58:44").unwrap(),
        alt_id: Some("m-9".into()),
        attachments: Vec::new(),
    }
}

fn call_record(direction: TextDirection) -> CallRecord {
    CallRecord {
        contact: id("c1"),
        direction,
        consumer: Phone::from_e164("+16195550111").unwrap(),
        ours: Phone::from_e164("+18585550100"),
        status: CallStatus::NoAnswer,
        date: crate::wire::json::parse_time("2026-08-05 20:58:44").unwrap(),
        alt_id: "call-9".into(),
        recording: None,
    }
}

/// Answers every operation as the vendor documents it.
fn obliging(seen: &Seen) -> Reply {
    let contact = json!({"id": "c1", "phone": "+16195550111", "email": "Ada@example.com"});
    match (seen.method.as_str(), seen.target.as_str()) {
        ("POST", "/contacts/") => Reply::Json(201, json!({"contact": contact})),
        ("POST", "/contacts/upsert") => Reply::Json(200, json!({"new": true, "contact": contact})),
        ("POST", target) if target.ends_with("/notes") => Reply::Json(201, json!({"note": {"id": "n1"}})),
        ("GET", target) if target.ends_with("/notes") => Reply::Json(
            200,
            json!({"notes": [{"id": "n1", "body": "[df:1:call] talked"}, {"body": "no id"}]}),
        ),
        (_, "/conversations/messages/inbound" | "/conversations/messages/outbound") => {
            Reply::Json(200, json!({"success": true, "messageId": "gm1"}))
        }
        _ => Reply::Json(200, json!({"succeded": true, "contact": contact})),
    }
}

/// Makes each of the client's calls once.
async fn make_every_call(ghl: &GhlClient) {
    let (proof, c1) = (proof(), id("c1"));
    let new = NewContact {
        fields: ada(),
        ..NewContact::default()
    };
    let patch = ContactPatch {
        fields: ada(),
        ..ContactPatch::default()
    };
    let phone = Phone::from_e164("+16195550111").unwrap();
    let tags = ["Hot".to_owned()];

    ghl.get_contact(&c1).await.unwrap();
    ghl.find_by_phone(&phone).await.unwrap().unwrap();
    ghl.find_by_email("ada@Example.com").await.unwrap().unwrap();
    ghl.create_contact(&proof, &new).await.unwrap();
    assert!(ghl.upsert_contact(&proof, &new).await.unwrap().new);
    ghl.update_contact(&proof, &c1, &patch).await.unwrap();
    ghl.set_dnd(&proof, &c1, &Dnd::default(), (&["SMS"], true), "STOP")
        .await
        .unwrap();
    ghl.add_tags(&proof, &c1, &tags).await.unwrap();
    ghl.remove_tags(&proof, &c1, &tags).await.unwrap();
    assert_eq!(ghl.create_note(&proof, &c1, "text").await.unwrap(), "n1");
    ghl.update_note(&proof, &c1, "n1", "text").await.unwrap();
    assert_eq!(ghl.list_notes(&c1).await.unwrap().len(), 1);
    assert_eq!(ghl.record_message(&proof, &text_record()).await.unwrap(), "gm1");
    for direction in [TextDirection::Inbound, TextDirection::Outbound] {
        assert_eq!(ghl.record_call(&proof, &call_record(direction)).await.unwrap(), "gm1");
    }
    ghl.update_message_status(&proof, "gm1", MessageStatus::Failed, Some("refused"))
        .await
        .unwrap();
}

#[tokio::test]
async fn every_operation_goes_to_its_documented_place_with_its_own_version() {
    let vendor = Vendor::new(obliging).await;
    make_every_call(&client(&vendor)).await;
    let (contacts, conversations) = ("2021-07-28", "2021-04-15");
    let wanted = [
        ("GET", "/contacts/c1", contacts),
        (
            "GET",
            "/contacts/search/duplicate?locationId=loc1&number=%2B16195550111",
            contacts,
        ),
        (
            "GET",
            "/contacts/search/duplicate?locationId=loc1&email=ada%40Example.com",
            contacts,
        ),
        ("POST", "/contacts/", contacts),
        ("POST", "/contacts/upsert", contacts),
        ("PUT", "/contacts/c1", contacts),
        ("PUT", "/contacts/c1", contacts),
        ("POST", "/contacts/c1/tags", contacts),
        ("DELETE", "/contacts/c1/tags", contacts),
        ("POST", "/contacts/c1/notes", contacts),
        ("PUT", "/contacts/c1/notes/n1", contacts),
        ("GET", "/contacts/c1/notes", contacts),
        ("POST", "/conversations/messages/inbound", conversations),
        ("POST", "/conversations/messages/inbound", conversations),
        ("POST", "/conversations/messages/outbound", conversations),
        ("PUT", "/conversations/messages/gm1/status", conversations),
    ];
    let seen = vendor.seen();
    assert_eq!(seen.len(), wanted.len());
    for (request, (method, target, version)) in seen.iter().zip(wanted) {
        assert_eq!((request.method.as_str(), request.target.as_str()), (method, target));
        assert_eq!(request.header("version"), Some(version), "{target}");
        assert_eq!(
            request.header("authorization"),
            Some("Bearer pit-one-secret"),
            "{target}"
        );
        assert_eq!(request.header("accept"), Some("application/json"), "{target}");
        let kind = request.header("content-type");
        assert_eq!(
            kind,
            (method != "GET").then_some("application/json"),
            "{method} {target}"
        );
    }
    assert_eq!(seen[8].json(), json!({"tags": ["hot"]}));
    assert_eq!(
        seen[15].json(),
        json!({"status": "failed", "error": {"code": "1", "type": "saas", "message": "refused"}})
    );
}

#[tokio::test]
async fn bodies_hold_the_documented_fields_that_are_set_and_nothing_else() {
    let vendor = Vendor::new(obliging).await;
    let ghl = client(&vendor);
    let custom_fields = BTreeMap::from([("cf1".to_owned(), json!("940868616"))]);
    let new = NewContact {
        fields: ada(),
        source: Some("Aloware".into()),
        custom_fields: custom_fields.clone(),
        tags: vec![" Hot Lead".into(), "hot lead".into(), " ".into()],
    };
    let person = json!({
        "firstName": "Ada", "phone": "+16195550111", "timezone": "America/Chicago", "source": "Aloware",
        "customFields": [{"id": "cf1", "field_value": "940868616"}]
    });
    let mut upsert = person.clone();
    upsert["locationId"] = json!("loc1");
    let mut create = upsert.clone();
    create["tags"] = json!(["hot lead"]);

    ghl.create_contact(&proof(), &new).await.unwrap();
    assert_eq!(vendor.last().json(), create);
    ghl.upsert_contact(&proof(), &new).await.unwrap();
    assert_eq!(vendor.last().json(), upsert);
    let patch = ContactPatch {
        fields: ada(),
        source: new.source.clone(),
        custom_fields,
    };
    ghl.update_contact(&proof(), &id("c1"), &patch).await.unwrap();
    assert_eq!(vendor.last().json(), person);

    ghl.record_message(&proof(), &text_record()).await.unwrap();
    let record = json!({
        "type": "Custom", "contactId": "c1", "conversationProviderId": "prov1", "direction": "inbound",
        "message": "Hello", "date": "2026-08-05T20:58:44.000Z", "altId": "m-9"
    });
    assert_eq!(vendor.last().json(), record);
}

#[tokio::test]
async fn nothing_to_say_makes_no_call() {
    let vendor = Vendor::new(obliging).await;
    let ghl = client(&vendor);
    ghl.update_contact(&proof(), &id("c1"), &ContactPatch::default())
        .await
        .unwrap();
    ghl.add_tags(&proof(), &id("c1"), &[" ".to_owned()]).await.unwrap();
    ghl.remove_tags(&proof(), &id("c1"), &[]).await.unwrap();
    assert_eq!(ghl.find_by_email(" ").await.unwrap(), None);
    assert_eq!(vendor.seen().len(), 0);
}

#[tokio::test]
async fn a_hostile_id_reaches_no_other_path() {
    let vendor = Vendor::new(obliging).await;
    let ghl = client(&vendor);
    ghl.get_contact(&id("../users/1?x=")).await.unwrap();
    assert_eq!(vendor.last().target, "/contacts/..%2Fusers%2F1%3Fx%3D");
    let refused = ghl.get_contact(&id("..")).await.unwrap_err();
    assert!(matches!(refused, VendorError::Refused { .. }));
    ghl.update_note(&proof(), &id("c1"), ".", "x").await.unwrap_err();
    assert_eq!(vendor.seen().len(), 1);
}

#[tokio::test]
async fn a_hit_with_another_phone_or_email_is_nobody() {
    let vendor = Vendor::new(obliging).await;
    let ghl = client(&vendor);
    let other = Phone::from_e164("+16195550199").unwrap();
    assert_eq!(ghl.find_by_phone(&other).await.unwrap(), None);
    assert_eq!(ghl.find_by_email("bob@example.com").await.unwrap(), None);
    let nobody = Vendor::saying(200, json!({"contact": null})).await;
    assert_eq!(client(&nobody).find_by_phone(&other).await.unwrap(), None);
}

#[tokio::test]
async fn a_failing_search_is_an_error_and_never_nobody() {
    let vendor = Vendor::saying(500, json!({"message": "Contact not found"})).await;
    let error = client(&vendor).find_by_email("ada@example.com").await.unwrap_err();
    assert_eq!(error.to_failure(Source::Ghl).reason(), "ghl 500");
}

#[tokio::test]
async fn a_duplicate_names_the_contact_that_exists() {
    let body = json!({"statusCode": 400, "message": "This location does not allow duplicated contacts.",
        "meta": {"contactId": "c7", "contactName": "Ada", "matchingField": "phone"}});
    let vendor = Vendor::saying(400, body).await;
    let error = client(&vendor)
        .create_contact(&proof(), &NewContact::default())
        .await
        .unwrap_err();
    let wanted = VendorError::Duplicate {
        id: Some("c7".into()),
        matching_field: Some("phone".into()),
    };
    assert_eq!(error, wanted);
}

#[tokio::test]
async fn during_a_rotation_the_token_that_works_is_remembered() {
    let vendor = Vendor::new(|seen| match seen.header("authorization") {
        Some("Bearer pit-two-secret") => obliging(seen),
        _ => Reply::Json(401, json!({"message": "Invalid token: access token is invalid"})),
    })
    .await;
    let mut settings = testkit::ghl(vendor.base());
    let alone = GhlClient::new(&settings, &testkit::http(), "US").unwrap();
    assert_eq!(
        alone.get_contact(&id("c1")).await.unwrap_err(),
        VendorError::Unauthorized
    );
    settings.api_key_next = Some(SecretString::from("pit-two-secret"));
    let both = GhlClient::new(&settings, &testkit::http(), "US").unwrap();
    both.get_contact(&id("c1")).await.unwrap();
    both.at(Priority::Background).get_contact(&id("c1")).await.unwrap();
    let tokens: Vec<_> = vendor
        .seen()
        .iter()
        .filter_map(|s| s.header("authorization").map(str::to_owned))
        .collect();
    let (one, two) = ("Bearer pit-one-secret", "Bearer pit-two-secret");
    assert_eq!(tokens, [one, one, two, two]);
}

#[tokio::test]
async fn the_providers_type_is_probed_once_and_remembered() {
    let vendor = Vendor::new(|seen| match seen.json()["type"].as_str() {
        Some("SMS") => obliging(seen),
        _ => Reply::Json(400, json!({"message": "Incorrect conversationProviderId/type"})),
    })
    .await;
    let ghl = client(&vendor);
    for _ in 0..2 {
        ghl.record_message(&proof(), &text_record()).await.unwrap();
    }
    let types: Vec<_> = vendor.seen().iter().map(|seen| seen.json()["type"].clone()).collect();
    assert_eq!(types, ["Custom", "SMS", "SMS"]);
}

#[tokio::test]
async fn a_recorded_text_without_an_id_is_no_success() {
    let vendor = Vendor::new(|_| Reply::Raw(201, &[], String::new())).await;
    let error = client(&vendor)
        .record_message(&proof(), &text_record())
        .await
        .unwrap_err();
    assert_eq!(error, VendorError::Incomplete { missing: "messageId" });
    assert!(matches!(
        error.to_failure(Source::Ghl),
        crate::domain::Failure::Permanent { .. }
    ));
}

#[tokio::test]
async fn without_a_provider_no_text_is_recorded() {
    let vendor = Vendor::new(obliging).await;
    let mut settings = testkit::ghl(vendor.base());
    settings.conversation_provider_id = None;
    let ghl = GhlClient::new(&settings, &testkit::http(), "US").unwrap();
    assert!(!ghl.has_conversations());
    ghl.record_message(&proof(), &text_record()).await.unwrap_err();
    assert_eq!(vendor.seen().len(), 0);
}

#[tokio::test]
async fn an_opt_out_keeps_its_priority_in_every_lane() {
    let vendor = Vendor::new(obliging).await;
    let background = client(&vendor).at(Priority::Background);
    assert_eq!(background.priority(Priority::OptOut), Priority::OptOut);
    assert_eq!(background.priority(Priority::Contact), Priority::Background);
}

#[tokio::test]
async fn no_secret_shows_in_a_client_or_an_error() {
    let vendor = Vendor::saying(400, json!({"message": "pit-one-secret ada@example.com +16195550111"})).await;
    let ghl = client(&vendor);
    let error = ghl.find_by_email("ada@example.com").await.unwrap_err();
    let shown = format!("{ghl:?} {error:?} {error} {:?}", error.to_failure(Source::Ghl));
    for secret in ["pit-one", "ada@", "6195550111", "127.0.0.1"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
