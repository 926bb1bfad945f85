//! The Aloware client against a vendor on a local port.

use serde_json::json;

use super::*;
use crate::domain::{Failure, PersonFields};
use crate::vendors::testkit::{self, Reply, Vendor, proof};

fn client(vendor: &Vendor) -> AlowareClient {
    AlowareClient::new(&testkit::aloware(vendor.base()), &testkit::http(), "US").unwrap()
}

fn phone() -> Phone {
    Phone::from_e164("+16195550111").unwrap()
}

#[tokio::test]
async fn a_lookup_carries_token_and_phone_encoded_in_the_query() {
    let vendor = Vendor::saying(200, json!({"id": 155_000_001, "phone_number": "+16195550111"})).await;
    let found = client(&vendor).lookup(&phone()).await.unwrap().unwrap();
    assert_eq!(found.id.unwrap().as_str(), "155000001");
    let seen = vendor.last();
    let query = "api_token=alo%2Bsecret%2Ftoken&phone_number=%2B16195550111";
    assert_eq!(seen.target, format!("/api/v1/webhook/contact/phone-number?{query}"));
    assert_eq!(seen.header("authorization"), None);
}

#[tokio::test]
async fn nobody_is_none_and_a_web_page_is_an_error() {
    let nobody = Vendor::saying(404, json!({"error": "Contact not found."})).await;
    assert_eq!(client(&nobody).lookup(&phone()).await.unwrap(), None);
    let page = Vendor::new(|_| Reply::Raw(200, &["content-type: text/html"], "<html>".into())).await;
    let error = client(&page).lookup(&phone()).await.unwrap_err();
    assert_eq!(error, VendorError::NotJson { status: 200 });
    let no_path = Vendor::new(|_| Reply::Raw(404, &["content-type: text/html"], "<html>".into())).await;
    assert!(client(&no_path).lookup(&phone()).await.is_err());
}

#[tokio::test]
async fn an_upsert_carries_the_token_in_its_body_and_only_what_is_set() {
    let vendor = Vendor::saying(201, json!({"message": "Contact created.", "contact_id": 9})).await;
    let form = FormRequest {
        fields: PersonFields {
            first_name: Some("Jane".into()),
            city: Some("Austin".into()),
            phone: Some("ignored".into()),
            ..PersonFields::default()
        },
        list_ids: vec!["301".into(), " 302 ".into()],
        tags: vec!["hot".into()],
        is_dnc: Some(true),
        csf1: Some("nmFm".into()),
        ..FormRequest::new(phone())
    };
    let id = client(&vendor).upsert(&proof(), &form).await.unwrap();
    assert_eq!(id, AlowareContactId::new("9"));
    let seen = vendor.last();
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("POST", "/api/v1/webhook/forms")
    );
    let wanted = json!({
        "api_token": "alo+secret/token", "phone_number": "+16195550111", "force_update": true,
        "first_name": "Jane", "city": "Austin", "csf1": "nmFm", "list_ids": "301,302", "tags": "hot", "is_dnc": true
    });
    assert_eq!(seen.json(), wanted);
}

#[tokio::test]
async fn a_409_in_spite_of_force_update_is_final() {
    let vendor = Vendor::saying(409, json!({"message": "Contact already exists"})).await;
    let error = client(&vendor)
        .upsert(&proof(), &FormRequest::new(phone()))
        .await
        .unwrap_err();
    assert_eq!(
        error,
        VendorError::Rejected {
            status: 409,
            code: None
        }
    );
    assert_eq!(vendor.seen().len(), 1);
}

#[tokio::test]
async fn removal_sends_a_numeric_id_as_a_number() {
    let vendor = Vendor::saying(200, json!({"message": "removed"})).await;
    let aloware = client(&vendor);
    for (id, wanted) in [("155000001", json!(155_000_001)), ("a-7", json!("a-7"))] {
        let id = AlowareContactId::new(id).unwrap();
        aloware.remove_from_lists(&proof(), &id).await.unwrap();
        let seen = vendor.last();
        assert_eq!(seen.target, "/api/v1/webhook/powerdialer-remove-contact-from-lists");
        assert_eq!(
            seen.json(),
            json!({"api_token": "alo+secret/token", "contact_id": wanted})
        );
    }
}

#[tokio::test]
async fn deleted_users_are_not_listed() {
    let users = json!([
        {"id": 1, "name": "Ann", "email": "ann@example.com"},
        {"id": 2, "name": "Bob", "email": "bob_deleted_17@example.com"}
    ]);
    let vendor = Vendor::saying(200, users).await;
    let listed = client(&vendor).users().await.unwrap();
    assert_eq!(listed.iter().map(|user| user.id.as_str()).collect::<Vec<_>>(), ["1"]);
}

#[tokio::test]
async fn the_token_shows_in_no_client_and_no_error() {
    let vendor = Vendor::new(|_| Reply::Drop).await;
    let aloware = client(&vendor);
    let error = aloware.lookup(&phone()).await.unwrap_err();
    let shown = format!("{aloware:?} {error:?} {error} {:?}", error.to_failure(Source::Aloware));
    for secret in ["alo", "secret/token", "6195550111"] {
        assert!(!shown.to_lowercase().replace("aloware", "").contains(secret), "{shown}");
    }
}

fn legacy(vendor: &Vendor) -> AlowareClient {
    let aloware = config::Aloware {
        call_surface: config::CallSurface::Legacy,
        ..testkit::aloware(vendor.base())
    };
    AlowareClient::new(&aloware, &testkit::http(), "US").unwrap()
}

#[tokio::test]
async fn a_read_by_id_is_understood_bare_and_wrapped() {
    let call = json!({"id": "c/1", "contact_id": 9});
    for answer in [call.clone(), json!({"call": call}), json!({"data": call})] {
        let vendor = Vendor::saying(200, answer.clone()).await;
        assert_eq!(legacy(&vendor).call("c/1").await.unwrap(), Some(answer));
        assert_eq!(
            vendor.last().target,
            "/api/v1/calls/c%2F1?api_token=alo%2Bsecret%2Ftoken"
        );
    }
    let (contact, id) = (
        json!({"id": 9, "phone": "6195550111"}),
        AlowareContactId::new("9").unwrap(),
    );
    for answer in [contact.clone(), json!({"contact": contact}), json!({"data": contact})] {
        let vendor = Vendor::saying(200, answer).await;
        let found = legacy(&vendor).contact(&id).await.unwrap().unwrap();
        assert_eq!(found.phone, Some(phone()));
        assert_eq!(
            vendor.last().target,
            "/api/v1/contacts/9?api_token=alo%2Bsecret%2Ftoken"
        );
    }
}

#[tokio::test]
async fn an_account_without_reads_by_id_knows_nothing_and_its_trouble_is_still_trouble() {
    let id = AlowareContactId::new("9").unwrap();
    let page = |status| Reply::Raw(status, &["content-type: text/html"], "<html>".into());
    for reply in [
        || Reply::Json(404, json!({"error": "Call not found."})),
        || Reply::Json(405, json!({"message": "The method is not supported for this route."})),
        || Reply::Json(401, json!({"message": "Unauthenticated."})),
        || Reply::Json(403, json!({"message": "This action is unauthorized."})),
        || Reply::Json(302, json!({})),
    ] {
        let vendor = Vendor::new(move |_| reply()).await;
        assert_eq!(legacy(&vendor).call("c1").await.unwrap(), None);
        assert_eq!(legacy(&vendor).contact(&id).await.unwrap(), None);
    }
    for status in [200, 404] {
        let vendor = Vendor::new(move |_| page(status)).await;
        assert_eq!(legacy(&vendor).call("c1").await.unwrap(), None, "{status}");
    }
    for status in [429, 503] {
        let vendor = Vendor::saying(status, json!({})).await;
        let failed = legacy(&vendor).call("c1").await.unwrap_err();
        assert!(
            matches!(failed.to_failure(Source::Aloware), Failure::Retry { .. }),
            "{status}"
        );
    }
}

#[tokio::test]
async fn an_answer_about_somebody_else_is_not_taken() {
    let vendor = Vendor::saying(200, json!({"id": 8, "phone_number": "+16195550111"})).await;
    assert_eq!(legacy(&vendor).call("9").await.unwrap(), None);
    let id = AlowareContactId::new("9").unwrap();
    assert_eq!(legacy(&vendor).contact(&id).await.unwrap(), None);
}

#[tokio::test]
async fn a_token_that_the_web_apps_own_api_refuses_closes_no_documented_call() {
    let vendor = Vendor::new(|seen| match seen.target.starts_with("/api/v1/webhook/") {
        true => Reply::Json(200, json!([])),
        false => Reply::Json(401, json!({"message": "Unauthenticated."})),
    })
    .await;
    let aloware = legacy(&vendor);
    for _ in 0..10 {
        assert_eq!(aloware.call("c1").await.unwrap(), None);
    }
    assert!(aloware.is_up());
    assert_eq!(aloware.users().await.unwrap(), []);
}

#[tokio::test]
async fn the_documented_surface_reads_nothing_by_id() {
    let vendor = Vendor::saying(200, json!({"id": 9})).await;
    assert_eq!(client(&vendor).call("9").await.unwrap(), None);
    let id = AlowareContactId::new("9").unwrap();
    assert_eq!(client(&vendor).contact(&id).await.unwrap(), None);
    assert_eq!(vendor.seen().len(), 0);
}
