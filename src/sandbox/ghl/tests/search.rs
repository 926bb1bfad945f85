//! The contact search: what it finds, how it pages, what it refuses.

use std::time::Duration;

use serde_json::{Value, json};

use super::{api, messages};
use crate::sandbox::Sandbox;
use crate::sandbox::ghl::LOCATION;
use crate::sandbox::tests::Reply;

async fn search(sandbox: &Sandbox, more: Value) -> Reply {
    let mut body = json!({"locationId": LOCATION, "pageLimit": 100});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    api(sandbox, "POST", "/contacts/search", Some(body)).await
}

fn ids(reply: &Reply) -> Vec<String> {
    assert_eq!(reply.status, 200, "{}", reply.body);
    let contacts = reply.body["contacts"].as_array().unwrap().iter();
    contacts
        .map(|contact| contact["id"].as_str().unwrap().to_owned())
        .collect()
}

fn seed(sandbox: &Sandbox, count: u32) {
    for day in 1..=count {
        sandbox.ghl.add_contact(json!({
            "id": format!("c{day}"), "name": "Jane Example", "tags": if day % 2 == 0 { vec!["even"] } else { vec![] },
            "phone": format!("+1619555010{day}"),
            "dateUpdated": format!("2026-11-0{day}T00:00:00.000Z"),
            "dndSettings": {"SMS": {"status": if day == 1 { "active" } else { "inactive" }}},
        }));
    }
}

#[tokio::test]
async fn a_range_of_date_updated_is_paged_by_cursor() {
    let sandbox = Sandbox::start().await.unwrap();
    seed(&sandbox, 5);
    let from = "2026-11-02T00:00:00.000Z";
    let mut more = json!({
        "filters": [{"field": "dateUpdated", "operator": "range", "value": {"gte": from}}],
        "sort": [{"field": "dateUpdated", "direction": "asc"}], "pageLimit": 2,
    });
    let first = search(&sandbox, more.clone()).await;
    assert_eq!(ids(&first), ["c2", "c3"]);
    assert_eq!(first.body["total"], 4);
    more["searchAfter"] = first.body["contacts"][1]["searchAfter"].clone();
    let second = search(&sandbox, more.clone()).await;
    assert_eq!(ids(&second), ["c4", "c5"]);
    more["searchAfter"] = second.body["contacts"][1]["searchAfter"].clone();
    assert!(ids(&search(&sandbox, more.clone()).await).is_empty());
    // The cursor's contact moved on meanwhile: nothing after it is lost.
    more["searchAfter"] = first.body["contacts"][1]["searchAfter"].clone();
    sandbox.ghl.edit_contact("c3", json!({"city": "Austin"}));
    assert_eq!(ids(&search(&sandbox, more).await), ["c4", "c5"]);
}

#[tokio::test]
async fn filters_are_joined_by_and_and_groups_nest() {
    let sandbox = Sandbox::start().await.unwrap();
    seed(&sandbox, 4);
    let eq = |field: &str, value: &str| json!({"field": field, "operator": "eq", "value": value});
    let hit = search(&sandbox, json!({"filters": [eq("phone", "+16195550103")]})).await;
    assert_eq!(ids(&hit), ["c3"]);
    let hit = search(&sandbox, json!({"filters": [eq("dndSettings.SMS.status", "active")]})).await;
    assert_eq!(ids(&hit), ["c1"]);
    let either = json!({"group": "OR", "filters": [eq("tags", "Even"), eq("id", "c1")]});
    let sort = json!([{"field": "dateUpdated", "direction": "asc"}]);
    let hit = search(&sandbox, json!({"filters": [either], "sort": sort})).await;
    assert_eq!(ids(&hit), ["c1", "c2", "c4"]);
    let hit = search(&sandbox, json!({"filters": [eq("id", "c1"), eq("tags", "even")]})).await;
    assert!(ids(&hit).is_empty());
}

#[tokio::test]
async fn names_are_lower_case_and_dnd_settings_are_left_out() {
    let sandbox = Sandbox::start().await.unwrap();
    seed(&sandbox, 1);
    let reply = search(&sandbox, json!({})).await;
    let contact = &reply.body["contacts"][0];
    assert_eq!(contact["firstNameLowerCase"], "jane");
    assert!(contact.get("firstName").is_none());
    assert!(contact.get("dndSettings").is_none());
}

#[tokio::test]
async fn what_the_index_does_not_know_is_an_error() {
    let sandbox = Sandbox::start().await.unwrap();
    seed(&sandbox, 1);
    let reply = api(
        &sandbox,
        "POST",
        "/contacts/search",
        Some(json!({"locationId": LOCATION})),
    )
    .await;
    assert_eq!(messages(&reply), ["pageLimit should not be empty"]);
    let field =
        |field: &str, operator: &str| json!({"filters": [{"field": field, "operator": operator, "value": "x"}]});
    let reply = search(&sandbox, field("favouriteColour", "eq")).await;
    assert_eq!(
        (reply.status, &reply.body["message"]),
        (400, &json!("Invalid field favouriteColour"))
    );
    assert_eq!(search(&sandbox, field("email", "like")).await.status, 400);
    assert_eq!(search(&sandbox, field("dateUpdated", "range")).await.status, 400);
    assert_eq!(search(&sandbox, json!({"pageLimit": 501})).await.status, 400);
    assert_eq!(search(&sandbox, json!({"page": 101})).await.status, 400);
    assert_eq!(
        search(&sandbox, json!({"page": 1, "searchAfter": [1, "c1"]}))
            .await
            .status,
        400
    );
    assert_eq!(search(&sandbox, json!({"query": "x".repeat(76)})).await.status, 400);
    assert_eq!(search(&sandbox, json!({"limit": 5})).await.status, 422);
    assert_eq!(search(&sandbox, json!({"locationId": "other"})).await.status, 403);
}

#[tokio::test]
async fn a_fresh_change_can_be_kept_from_the_index() {
    let sandbox = Sandbox::start().await.unwrap();
    seed(&sandbox, 2);
    sandbox.ghl.set_search_lag(Duration::from_secs(60));
    sandbox.ghl.edit_contact("c2", json!({"city": "Austin"}));
    assert_eq!(ids(&search(&sandbox, json!({})).await), ["c1"]);
}
