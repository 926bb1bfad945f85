//! The reader of the official files tells each kind of difference; a reader that
//! finds nothing would make every contract test green. Needs no file.

use std::collections::BTreeMap;

use chrono::Utc;
use df_middleware::sandbox::{Call, Vendor};
use serde_json::{Value, json};

use super::openapi::Document;

fn document() -> Document {
    let note = json!({"type": "object", "properties": {"id": {"type": "string"}, "pinned": {"type": "boolean"}}});
    Document::new(
        json!({
            "paths": {"/notes/{id}": {"post": {
                "parameters": [
                    {"name": "Version", "in": "header", "required": true, "schema": {"type": "string", "enum": ["1"]}},
                    {"name": "limit", "in": "query", "schema": {"type": "number"}}
                ],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/New"}}}},
                "responses": {
                    "201": {"content": {"application/json": {"schema": note}}},
                    "400": {"content": {"application/json": {"schema": {"$ref": "../other.json#/Refusal"}}}}
                }
            }}},
            "components": {"schemas": {"New": {
                "type": "object",
                "properties": {
                    "body": {"type": "string", "nullable": true},
                    "kind": {"type": "string", "enum": ["a", "b"]},
                    "tags": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "number"}]}}
                },
                "required": ["body"]
            }}}
        }),
        json!({"Refusal": {"type": "object", "properties": {"message": {"type": "string"}}}}),
    )
}

fn good() -> Call {
    let headers = [("version", "1"), ("content-type", "application/json")];
    Call {
        seq: 1,
        at: Utc::now(),
        vendor: Vendor::Ghl,
        method: "POST".to_owned(),
        path: "/notes/7".to_owned(),
        query: BTreeMap::from([("limit".to_owned(), "5".to_owned())]),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        body: json!({"body": null, "kind": "a", "tags": ["x", 1]}),
        matched: true,
        answer: Some(json!({"id": "n1", "pinned": true}).to_string().into()),
        status: Some(201),
        answered_at: None,
    }
}

fn wrong(change: impl FnOnce(&mut Call)) -> String {
    let mut call = good();
    change(&mut call);
    document().check(&call).unwrap().wrong.join("; ")
}

fn answered(status: u16, body: Value) -> String {
    wrong(|call| {
        call.status = Some(status);
        call.answer = Some(body.to_string().into());
    })
}

#[test]
fn a_call_as_the_file_says_has_nothing_wrong() {
    assert_eq!(wrong(|_| {}), "");
    assert_eq!(document().check(&good()).unwrap().operation, "POST /notes/{id}");
}

#[test]
fn a_path_or_method_of_its_own_has_no_operation() {
    for (method, path) in [
        ("POST", "/notes"),
        ("POST", "/notes/"),
        ("POST", "/notes/7/8"),
        ("GET", "/notes/7"),
    ] {
        let call = Call {
            method: method.to_owned(),
            path: path.to_owned(),
            ..good()
        };
        assert!(document().check(&call).is_none(), "{method} {path}");
    }
}

#[test]
fn every_difference_of_a_request_is_told() {
    let without = |name: &str| wrong(|call| drop(call.headers.remove(name)));
    assert_eq!(without("version"), "Version is missing");
    assert_eq!(without("content-type"), "the body is not declared as JSON");
    let version = |call: &mut Call| drop(call.headers.insert("version".to_owned(), "2".to_owned()));
    assert_eq!(wrong(version), "Version is not one of [\"1\"]");
    let query = |name: &'static str, value: &'static str| {
        wrong(|call| drop(call.query.insert(name.to_owned(), value.to_owned())))
    };
    assert_eq!(query("limit", "many"), "limit is no \"number\"");
    assert_eq!(query("page", "1"), "query page is not known");
    let body = |body: Value| wrong(|call| call.body = body);
    assert_eq!(body(json!({})), "body.body is missing");
    assert_eq!(body(json!({"body": 1})), "body.body is no \"string\"");
    assert_eq!(
        body(json!({"body": "", "kind": "c"})),
        "body.kind is not one of [\"a\",\"b\"]"
    );
    assert_eq!(
        body(json!({"body": "", "tags": [true]})),
        "body.tags[0] is none of its anyOf"
    );
    assert_eq!(body(json!({"body": "", "else": 1})), "body.else is not known");
    assert_eq!(body(json!([])), "body is no \"object\"");
}

#[test]
fn every_difference_of_an_answer_is_told() {
    assert_eq!(answered(200, json!({})), "200 is no documented answer");
    assert_eq!(answered(201, json!({"id": 1})), "answer 201.id is no \"string\"");
    assert_eq!(answered(201, json!({"more": 1})), "answer 201.more is not known");
    assert_eq!(answered(400, json!({"message": "no", "traceId": "t"})), "");
    assert_eq!(
        answered(400, json!({"message": ["no"]})),
        "answer 400.message is no \"string\""
    );
    let html = |call: &mut Call| call.answer = Some("<html>".into());
    assert_eq!(wrong(html), "answer 201 is no JSON");
    let a_fault_spoke = |call: &mut Call| call.answer = None;
    assert_eq!(wrong(a_fault_spoke), "");
}
