//! What the routes beside the webhooks answer without a database: secrets,
//! parameters, unknown paths, and outages.

use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::auth::{ADMIN_HEADER, JOBS_HEADER};
use super::testkit::{Away, answer, app};
use super::{ROUTES, SendError, Who};
use crate::compliance::guard::Refusal;

const ID: &str = "0198c0de-0000-7000-8000-000000000001";

fn admin(request: TestRequest, uri: &str) -> TestRequest {
    request.uri(uri).insert_header((ADMIN_HEADER, "admin-1"))
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

#[actix_web::test]
async fn every_guarded_route_is_401_without_its_secret() {
    let away = Away::new(&[]);
    let app = app!(away);
    let mut guarded = 0;
    for route in ROUTES.iter().filter(|route| {
        ["/api/jobs", "/api/admin", "/api/sync", "/api/messages"]
            .iter()
            .any(|head| route.path.starts_with(head))
    }) {
        let uri = route.path.replace("{id}", ID);
        for secret in [None, Some("wrong")] {
            let mut request = if route.method == "GET" {
                TestRequest::get()
            } else {
                TestRequest::post()
            }
            .uri(&uri);
            if let Some(secret) = secret {
                request = request
                    .insert_header((ADMIN_HEADER, secret))
                    .insert_header((JOBS_HEADER, secret));
            }
            let (status, text, headers) = answer!(app, request);
            assert_eq!(status, 401, "{uri}");
            assert_eq!(
                headers.get("content-type").unwrap(),
                "application/problem+json",
                "{uri}"
            );
            assert_eq!(json_of(&text)["error"], "Unauthorized", "{uri}");
        }
        guarded += 1;
    }
    assert_eq!(guarded, 20);
}

#[actix_web::test]
async fn unknown_paths_and_methods_have_their_answers() {
    let away = Away::new(&[]);
    let app = app!(away);
    let (status, text, _) = answer!(app, TestRequest::get().uri("/nowhere"));
    assert_eq!((status, json_of(&text)["code"].as_str()), (404, Some("not_found")));
    let (status, text, _) = answer!(app, TestRequest::post().uri("/api/webhooks/fax"));
    assert_eq!((status, text.as_str()), (404, "Not found"));
    let (status, text, headers) = answer!(app, TestRequest::delete().uri("/api/admin/events"));
    assert_eq!(
        (status, json_of(&text)["error"].as_str()),
        (405, Some("Method not allowed"))
    );
    assert_eq!(headers.get("allow").unwrap(), "GET, HEAD");
}

#[actix_web::test]
async fn admin_parameters_are_checked_before_the_database_is_asked() {
    let away = Away::new(&[]);
    let app = app!(away);
    for query in [
        "limit=abc",
        "limit=0",
        "limit=501",
        "status=odd",
        "source=odd",
        "cursor=odd",
        "since=odd",
        "until=odd",
        "limit=1&limit=2",
    ] {
        let (status, text, _) = answer!(app, admin(TestRequest::get(), &format!("/api/admin/events?{query}")));
        assert_eq!(
            (status, json_of(&text)["code"].as_str()),
            (400, Some("bad_request")),
            "{query}"
        );
    }
    for action in ["replay", "quarantine", "release", "mark-done"] {
        let (status, text, _) = answer!(
            app,
            admin(TestRequest::post(), &format!("/api/admin/events/4711/{action}"))
        );
        assert_eq!(status, 400, "{action}: {text}");
    }
    assert_eq!(
        answer!(app, admin(TestRequest::get(), "/api/admin/texting/events?limit=x")).0,
        400
    );
}

#[actix_web::test]
async fn an_outage_is_503_with_no_word_of_sql() {
    let away = Away::new(&[]);
    let app = app!(away);
    let (status, text, headers) = answer!(app, admin(TestRequest::get(), "/api/admin/events"));
    assert_eq!(
        (status, json_of(&text)["code"].as_str()),
        (503, Some("database_unavailable"))
    );
    assert!(headers.contains_key("retry-after"));
    let jobs = TestRequest::post()
        .uri("/api/jobs/run-once")
        .insert_header((JOBS_HEADER, "jobs-1"));
    assert_eq!(answer!(app, jobs).0, 503);
    let (status, text, _) = answer!(app, TestRequest::get().uri("/api/health"));
    assert_eq!((status, json_of(&text)["status"].as_str()), (503, Some("degraded")));
    assert_eq!(answer!(app, TestRequest::get().uri("/readyz")).0, 503);
    let (status, text, _) = answer!(app, TestRequest::get().uri("/livez"));
    assert_eq!((status, text.as_str()), (200, "ok"));
    assert_eq!(answer!(app, TestRequest::get().uri("/metrics")).0, 404);
    assert!(json_of(&answer!(app, TestRequest::get().uri("/openapi.json")).1)["paths"].is_object());
}

#[actix_web::test]
async fn a_message_is_accepted_or_refused_with_its_code() {
    let body = json!({"to": "+16195550111", "body": "hi"});
    let away = Away::new(&[]);
    let app = app!(away);
    let (status, text, _) = answer!(
        app,
        admin(TestRequest::post(), "/api/messages").set_payload(body.to_string())
    );
    assert_eq!(
        (status, json_of(&text)),
        (202, json!({"success": true, "messageId": "m-1"}))
    );
    let (status, _, _) = answer!(
        app,
        admin(TestRequest::post(), "/api/messages").set_payload("x".repeat(5000))
    );
    assert_eq!(status, 413);

    let blocked = Away::with_sender(&[], Err(SendError::Held(Refusal::OptedOut { causes: Vec::new() })));
    let app = app!(blocked);
    let (status, text, headers) = answer!(
        app,
        admin(TestRequest::post(), "/api/messages").set_payload(body.to_string())
    );
    assert_eq!((status, json_of(&text)["code"].as_str()), (409, Some("opted_out")));
    assert_eq!(headers.get("content-type").unwrap(), "application/problem+json");
    assert!(!text.contains("619"), "{text}");
}

#[actix_web::test]
async fn sync_routes_answer_in_the_seeds_words() {
    let away = Away::new(&[]);
    let app = app!(away);
    let pair = json!({"success": true, "alowareContactId": "7", "ghlContactId": "g7"});
    for (uri, status, wanted) in [
        ("/api/sync/contacts?alowareContactId=7", 200, pair.clone()),
        ("/api/sync/contacts?ghlContactId=g7", 200, pair.clone()),
        ("/api/sync/contacts?phone=%2B16195550111", 200, pair.clone()),
        ("/api/sync/contacts?phone=+16195550111", 200, pair),
        (
            "/api/sync/contacts",
            400,
            json!("alowareContactId query parameter is required"),
        ),
        (
            "/api/sync/contacts?alowareContactId=",
            400,
            json!("alowareContactId query parameter is required"),
        ),
        (
            "/api/sync/contacts?alowareContactId=..%2Fx",
            400,
            json!("alowareContactId is not an id"),
        ),
        (
            "/api/sync/contacts?alowareContactId=8",
            404,
            json!("Contact 8 not found in Aloware"),
        ),
        (
            "/api/sync/contacts?phone=6195550199",
            404,
            json!("Contact not found in Aloware"),
        ),
        ("/api/sync/contacts?phone=8585550100", 409, json!("skipped: own_number")),
        ("/api/sync/contacts?phone=x", 400, json!("phone is not a phone number")),
        ("/api/sync/lists", 400, json!("tagName query parameter is required")),
        (
            "/api/sync/lists?tagName=hot",
            200,
            json!({"success": true, "tagName": "hot", "callListId": "301", "added": 2}),
        ),
        (
            "/api/sync/lists?tagName=cold",
            404,
            json!("No list is configured for this tag"),
        ),
        (
            "/api/admin/mappings/repair",
            400,
            json!("phone or email parameter required"),
        ),
        (
            "/api/admin/mappings/repair?email=a%40b.c",
            404,
            json!("Could not find or create mapping"),
        ),
    ] {
        let (got, text, _) = answer!(app, admin(TestRequest::post(), uri));
        let said = json_of(&text);
        assert_eq!(got, status, "{uri}: {text}");
        assert_eq!(if status == 200 { &said } else { &said["error"] }, &wanted, "{uri}");
    }
    assert_eq!(
        away.desk
            .asked
            .lock()
            .unwrap()
            .iter()
            .filter(|who| matches!(who, Who::Phone(_)))
            .count(),
        4
    );
}
