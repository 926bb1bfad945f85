//! What each vendor's refusals mean.

use serde_json::json;

use super::*;

fn ghl(status: u16, body: Value) -> VendorError {
    refusal(Source::Ghl, status, Some(&body), None)
}

fn texting(status: u16, body: Value) -> VendorError {
    refusal(Source::Texting, status, Some(&body), None)
}

#[test]
fn a_duplicate_carries_the_existing_contact() {
    let body = json!({"statusCode": 400, "message": "This location does not allow duplicated contacts.",
        "meta": {"contactId": "abc", "contactName": "Ada", "matchingField": "phone"}});
    let wanted = VendorError::Duplicate {
        id: Some("abc".into()),
        matching_field: Some("phone".into()),
    };
    assert_eq!(ghl(400, body), wanted);
}

#[test]
fn a_contact_is_missing_only_when_the_vendor_says_so() {
    assert_eq!(
        ghl(400, json!({"message": "Contact with id x9 not found"})),
        VendorError::NotFound
    );
    assert_eq!(ghl(404, json!({"message": "Not found"})), VendorError::NotFound);
    let aloware = refusal(
        Source::Aloware,
        404,
        Some(&json!({"error": "Contact not found."})),
        None,
    );
    assert_eq!(aloware, VendorError::NotFound);
    let no_path = VendorError::Rejected {
        status: 404,
        code: Some("no such path".into()),
    };
    assert_eq!(ghl(404, json!({"message": "Cannot GET /contact/x"})), no_path);
    assert_eq!(refusal(Source::Ghl, 404, None, None), no_path);
    let other = VendorError::Rejected {
        status: 400,
        code: None,
    };
    assert_eq!(ghl(400, json!({"message": "Tag not found"})), other);
    assert_eq!(ghl(400, json!({"message": "Bad Request"})), other);
}

#[test]
fn a_token_that_reaches_too_little_is_told_from_one_that_is_wrong() {
    for message in [
        "The token is not authorized for this scope.",
        "Token's user type mismatch!",
    ] {
        assert_eq!(ghl(401, json!({"message": message})), VendorError::OutOfScope);
        assert_eq!(texting(401, json!({"message": message})), VendorError::Unauthorized);
    }
    for message in [
        "Invalid token: access token is invalid",
        "version header was not found.",
    ] {
        assert_eq!(ghl(401, json!({"message": message})), VendorError::Unauthorized);
    }
    assert_eq!(refusal(Source::Ghl, 401, None, None), VendorError::Unauthorized);
}

#[test]
fn a_422_names_properties_and_never_values() {
    let body = json!({"message": ["property notes should not exist", "type must be a valid enum value",
        "each value in tags must be a string", "+16195550111 should be shorter", "Ada Example is odd"]});
    let wanted = VendorError::Unprocessable {
        fields: vec!["notes".into(), "type".into(), "tags".into()],
    };
    assert_eq!(ghl(422, body), wanted);
    let aloware = refusal(
        Source::Aloware,
        422,
        Some(&json!({"errors": {"line_id": ["no"]}})),
        None,
    );
    assert_eq!(
        aloware,
        VendorError::Unprocessable {
            fields: vec!["line_id".into()]
        }
    );
}

#[test]
fn opted_out_is_read_from_a_typed_code_only() {
    for body in [
        json!({"errors": [{"code": "40300", "title": "Blocked due to STOP message"}]}),
        json!({"code": 21610, "message": "unsubscribed", "status": 400}),
        json!({"error": {"code": "4775"}}),
        json!({"error_code": "200"}),
    ] {
        assert!(
            matches!(texting(400, body.clone()), VendorError::OptedOut { .. }),
            "{body}"
        );
    }
    for body in [
        json!({"code": 200}),
        json!({"message": "21610 opted out"}),
        json!({"code": 40_001}),
    ] {
        assert!(
            matches!(texting(400, body.clone()), VendorError::Rejected { .. }),
            "{body}"
        );
    }
    assert!(matches!(
        texting(403, json!({"code": "40300"})),
        VendorError::OptedOut { .. }
    ));
}

#[test]
fn a_code_that_could_be_a_phone_number_is_not_repeated() {
    let wanted = VendorError::Rejected {
        status: 400,
        code: None,
    };
    assert_eq!(texting(400, json!({"code": "16195550111"})), wanted);
}

#[test]
fn a_server_error_may_have_been_applied_and_a_429_was_not() {
    assert!(ghl(503, Value::Null).maybe_applied());
    let wait = Some(Duration::from_secs(7));
    let limited = refusal(Source::Ghl, 429, None, wait);
    assert_eq!(limited, VendorError::RateLimited { retry_after: wait });
    assert!(!limited.maybe_applied());
}
