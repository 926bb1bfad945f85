//! Each dialect by examples of its own: what a request comes to, in one line.

use serde_json::{Value, json};

use super::{Delivery, Request, event_name, request};
use crate::domain::{Phone, PhoneHint, TextingVendor};

pub(super) fn own() -> Vec<Phone> {
    Phone::from_e164("+18585550123").into_iter().collect()
}

/// `type id from>to [body] code signal`, one line for each event.
pub(super) fn told(vendor: TextingVendor, payload: Value) -> Vec<String> {
    let line = |event: &Value| {
        let delivery = Delivery::read(event, &PhoneHint::region("US"));
        let side = |phone: &Option<Phone>| phone.as_ref().map_or("-".to_owned(), |phone| phone.as_str().to_owned());
        let mut line = format!(
            "{} {} {}>{}",
            event_name(event),
            delivery.message_id.as_deref().unwrap_or("-"),
            side(&delivery.from),
            side(&delivery.to)
        );
        for more in [
            delivery.body,
            delivery.error_code,
            delivery.signal.map(|s| s.to_string()),
        ] {
            line.extend(more.map(|more| format!(" {more}")));
        }
        line
    };
    match request(vendor, payload, &own()) {
        Request::Nothing => Vec::new(),
        Request::AsSent(event) => vec![line(&event)],
        Request::Events(events) => events.iter().map(line).collect(),
    }
}

fn telnyx(kind: &str, payload: Value) -> Value {
    json!({"data": {"id": "ev-1", "event_type": kind, "occurred_at": "2026-11-02T17:20:00.5+00:00", "payload": payload}})
}

#[test]
fn telnyx_tells_of_each_recipient_and_of_its_own_stop() {
    let side = |number: &str| json!({"phone_number": number});
    let vendor = TextingVendor::Telnyx;
    let group = json!({"id": "m1", "direction": "inbound", "from": side("+16195550111"), "text": "Stop", "autoresponse_type": "STOP",
        "to": [side("+16195550112"), side("+18585550123")]});
    let wanted = ["message.received m1 +16195550111>+18585550123 Stop stop"];
    assert_eq!(told(vendor, telnyx("message.received", group)), wanted);
    let rich = json!({"id": "m2", "type": "RCS", "from": side("+16195550111"), "to": [{"agent_id": "agent-7"}], "body": {"text": "hi"}});
    assert_eq!(
        told(vendor, telnyx("message.received", rich)),
        ["message.received m2 +16195550111>- hi"]
    );
    let chat = json!({"id": "m3", "from": side("+18585550123"), "to": "+16195550111", "text": "hello"});
    assert_eq!(
        told(vendor, telnyx("message.sent", chat)),
        ["message.sent m3 +18585550123>+16195550111 hello"]
    );
    let finalized = json!({"id": "m4", "from": side("+18585550123"), "text": "Reply STOP to opt out",
        "errors": [{"code": "40008"}, {"code": 40300}],
        "to": [{"phone_number": "+16195550111", "status": "delivered"}, {"phone_number": "+16195550112", "status": "sending_failed"}]});
    let wanted = [
        "message.delivered m4 +18585550123>+16195550111",
        "message.failed m4#2 +18585550123>+16195550112 40300 stop",
    ];
    assert_eq!(told(vendor, telnyx("message.finalized", finalized)), wanted);
    let brand = telnyx("10dlc.campaign.update", json!({"campaignId": "C1"}));
    assert_eq!(told(vendor, brand), ["10dlc.campaign.update - ->-"]);
}

#[test]
fn twilio_tells_texts_from_statuses_in_any_case_of_names() {
    let vendor = TextingVendor::Twilio;
    let inbound = json!({"MessageSid": "SM1", "SmsStatus": "received", "From": "whatsapp:+16195550111", "To": "+18585550123",
        "Body": "Stop ", "OptOutType": "STOP", "NumMedia": "1", "MediaUrl0": "https://media.test/a"});
    let wanted = ["message.received SM1 +16195550111>+18585550123 Stop stop"];
    assert_eq!(told(vendor, inbound), wanted);
    let status = |word: &str, code: &str| json!({"messageSid": "SM2", "messageStatus": word, "SmsStatus": word, "from": "+18585550123", "to": "+16195550111", "ErrorCode": code});
    let line = "SM2 +18585550123>+16195550111";
    for (word, code, wanted) in [
        ("sent", "", format!("message.sent {line}")),
        ("undelivered", "30003", format!("message.undelivered {line} 30003")),
        ("failed", "21610", format!("message.failed {line} 21610 stop")),
        ("canceled", "", format!("message.canceled {line}")),
        ("teleported", "", format!("message.teleported {line}")),
    ] {
        assert_eq!(told(vendor, status(word, code)), [wanted]);
    }
}

#[test]
fn bandwidth_s_list_is_read_event_by_event_and_what_one_of_them_is_loses_no_other() {
    let event = |kind: &str, to: &str, direction: &str, more: Value| {
        let (from, all) = if direction == "in" {
            ("+16195550111", json!(["+18585550123"]))
        } else {
            ("+18585550123", json!(["+16195550111", "+16195550112"]))
        };
        let mut event = json!({"type": kind, "time": "2026-11-02T17:20:00Z", "to": to, "message":
            {"id": "b1", "from": from, "to": all, "owner": "+18585550123", "direction": direction, "text": "quit"}});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let batch = json!([
        event("message-received", "18585550123", "in", json!({})),
        {"odd": true},
        event("message-failed", "+16195550112", "out", json!({"errorCode": 4775})),
        event("message-failed", "+16195550111", "out", json!({"errorCode": 4432})),
        event("suggestion-response", "+18585550123", "in", json!({})),
    ]);
    let wanted = [
        "message.received b1 +16195550111>+18585550123 quit",
        "unreadable - ->-",
        "message.failed b1 +18585550123>+16195550112 4775 stop",
        "message.failed b1 +18585550123>+16195550111 4432",
        "suggestion-response b1 +16195550111>+18585550123 quit",
    ];
    assert_eq!(told(TextingVendor::Bandwidth, batch), wanted);
}

#[test]
fn plivo_s_numbers_are_international_and_its_words_are_in_either_field() {
    let vendor = TextingVendor::Plivo;
    let inbound = |more: Value| {
        let mut form = json!({"MessageUUID": "p1", "From": "442071838750", "To": "18585550123"});
        form.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        told(vendor, form)
    };
    let line = "message.received p1 +442071838750>+18585550123";
    assert_eq!(
        inbound(json!({"Text": "hi", "MessageIntent": ""})),
        [format!("{line} hi")]
    );
    assert_eq!(
        inbound(json!({"Body": "pic", "Media1": "https://media.test/a"})),
        [format!("{line} pic")]
    );
    for (intent, signal) in [("optout", "stop"), ("optin", "start"), ("help", "help")] {
        assert_eq!(
            inbound(json!({"Text": "x", "MessageIntent": intent})),
            [format!("{line} x {signal}")]
        );
    }
    let status = |word: &str, code: &str| {
        told(
            vendor,
            json!({"MessageUUID": "p2", "From": "18585550123", "To": "16195550111", "status": word, "ErrorCode": code}),
        )
    };
    assert_eq!(
        status("delivered", "000"),
        ["message.delivered p2 +18585550123>+16195550111"]
    );
    assert_eq!(
        status("failed", "200"),
        ["message.failed p2 +18585550123>+16195550111 200 stop"]
    );
}

#[test]
fn sinch_s_batch_is_told_recipient_by_recipient() {
    let vendor = TextingVendor::Sinch;
    let media = json!({"type": "mo_media", "id": "s1", "from": "16195550111", "to": "18585550123",
        "body": {"subject": "", "message": "see", "media": [{"url": "https://media.test/a"}]}});
    assert_eq!(
        told(vendor, media),
        ["message.received s1 +16195550111>+18585550123 see"]
    );
    let batch = json!({"type": "delivery_report_sms", "batch_id": "b1", "total_message_count": 3, "statuses": [
        {"code": 0, "status": "Delivered", "count": 1, "recipients": ["16195550111"]},
        {"code": 401, "status": "Dispatched", "count": 1},
        {"code": 408, "status": "Deleted", "count": 1, "recipients": ["16195550112"]}]});
    let wanted = [
        "message.delivered b1:16195550111 ->+16195550111",
        "message.rejected b1:16195550112 ->+16195550112 408 stop",
    ];
    assert_eq!(told(vendor, batch), wanted);
    let single = json!({"type": "delivery_report_sms", "batch_id": "b2", "total_message_count": 1,
        "statuses": [{"code": 407, "status": "Expired", "count": 1}]});
    assert_eq!(told(vendor, single), ["message.expired b2 ->- 407"]);
    let binary = json!({"type": "mo_binary", "id": "s2", "from": "16195550111", "to": "18585550123", "body": "U1RPUA==", "udh": "06"});
    assert_eq!(told(vendor, binary), ["mo_binary s2 +16195550111>+18585550123"]);
}

#[test]
fn vonage_s_report_names_the_recipient_where_a_text_names_the_sender() {
    let vendor = TextingVendor::Vonage;
    let text = json!({"msisdn": "16195550111", "to": "18585550123", "messageId": "v1", "text": "hi", "type": "text"});
    assert_eq!(told(vendor, text), ["message.received v1 +16195550111>+18585550123 hi"]);
    let report = |ours: &str, code: &str| json!({"msisdn": "16195550111", "to": ours, "messageId": "v2", "status": "failed", "scts": "2611021720", "err-code": code});
    let line = |ours: &str| format!("message.failed v2 {ours}>+16195550111 9");
    assert_eq!(
        told(vendor, report("18885550123", "9")),
        [line("+18885550123") + " stop"]
    );
    assert_eq!(
        told(vendor, report("18585550123", "9")),
        [line("+18585550123")],
        "only of a toll-free number"
    );
    let chat = json!({"message_uuid": "u1", "from": "16195550111", "to": "18585550123", "channel": "sms", "text": "stop", "message_type": "text"});
    assert_eq!(
        told(vendor, chat),
        ["message.received u1 +16195550111>+18585550123 stop"]
    );
    let moved = json!({"message_uuid": "u2", "from": "18585550123", "to": "16195550111", "status": "undeliverable"});
    assert_eq!(
        told(vendor, moved),
        ["message.undelivered u2 +18585550123>+16195550111"]
    );
}

#[test]
fn messagebird_s_twins_are_read_once_and_its_status_has_one_side() {
    let vendor = TextingVendor::MessageBird;
    let inbound = json!({"id": "mb1", "sender": "16195550111", "receiver": "18585550123", "message": "hey",
        "createdDatetime": "20261102172000", "mediaURLs": ["https://media.test/a", "https://media.test/b"]});
    assert_eq!(
        told(vendor, inbound.clone()),
        ["message.received mb1 +16195550111>+18585550123 hey"]
    );
    let Request::Events(events) = request(vendor, inbound, &[]) else {
        panic!("not read")
    };
    let delivery = Delivery::read(&events[0], &PhoneHint::International);
    assert_eq!(delivery.media.len(), 2);
    assert_eq!(delivery.occurred_at.unwrap().to_rfc3339(), "2026-11-02T17:20:00+00:00");
    let status =
        json!({"id": "mb2", "recipient": "16195550111", "status": "delivery_failed", "statusErrorCode": "103"});
    assert_eq!(
        told(vendor, status),
        ["message.undelivered mb2 ->+16195550111 103 stop"]
    );
}

#[test]
fn infobip_s_keyword_is_not_cut_off_and_only_one_state_is_delivered() {
    let vendor = TextingVendor::Infobip;
    let inbound = json!({"results": [{"messageId": 7, "from": "16195550111", "to": "18585550123", "text": "STOP texting me",
        "cleanText": "texting me", "keyword": "STOP", "receivedAt": "2026-11-02T17:20:00.220+0000"}], "messageCount": 1});
    assert_eq!(
        told(vendor, inbound),
        ["message.received 7 +16195550111>+18585550123 STOP texting me"]
    );
    let report = |group: u8, id: u8| {
        json!({"results": [{"messageId": "i1", "to": "16195550111", "sender": "18585550123",
        "status": {"groupId": group, "id": id}, "error": {"id": 27}}]})
    };
    let line = "i1 +18585550123>+16195550111";
    for (group, id, wanted) in [
        (3, 5, format!("message.delivered {line}")),
        (3, 2, format!("message.sent {line}")),
        (1, 26, format!("message.sending {line}")),
        (5, 6, format!("message.rejected {line} 27")),
        (9, 1, format!("message.report {line}")),
    ] {
        assert_eq!(told(vendor, report(group, id)), [wanted], "{group}/{id}");
    }
    assert!(told(vendor, json!({"results": []})).is_empty());
}

#[test]
fn simpletexting_s_ten_digits_are_american_and_its_unsubscription_is_a_stop() {
    let vendor = TextingVendor::SimpleTexting;
    let report = |kind: &str| {
        json!({"reportItemId": "r1", "type": kind, "values": {"messageId": "st1", "text": "hi",
        "accountPhone": "8585550123", "contactPhone": "6195550111"}})
    };
    assert_eq!(
        told(vendor, report("INCOMING_MESSAGE")),
        ["message.received st1 +16195550111>+18585550123 hi"]
    );
    assert_eq!(
        told(vendor, report("OUTGOING_MESSAGE")),
        ["message.sent st1 +18585550123>+16195550111 hi"]
    );
    assert_eq!(
        told(vendor, report("NON_DELIVERED_REPORT")),
        ["message.undelivered st1 +18585550123>+16195550111"]
    );
    assert_eq!(told(vendor, report("SURPRISE")), ["SURPRISE st1 ->-"]);
    let gone = json!({"type": "UNSUBSCRIBE_REPORT", "values": {"contactId": "c1", "phone": "6195550111"}});
    assert_eq!(told(vendor, gone), ["optout.stop - +16195550111>- stop"]);
}

#[test]
fn textmagic_s_replies_are_read_in_both_its_shapes() {
    let vendor = TextingVendor::Textmagic;
    let reply = json!({"id": 88, "sender": "6598765432", "receiver": "18585550123", "messageTime": "2026-11-02T17:20:00+0000", "text": "Stop"});
    assert_eq!(
        told(vendor, reply),
        ["message.received 88 +6598765432>+18585550123 Stop"]
    );
    let form = json!({"message_id": "89", "timestamp": "1793640000", "from": "16195550111", "text": "hi"});
    assert_eq!(told(vendor, form), ["message.received 89 +16195550111>- hi"]);
    let report = json!({"message_id": "90", "timestamp": "1793640000", "status": "d", "credits_cost": "1"});
    assert_eq!(told(vendor, report), ["message.d 90 ->-"]);
    assert_eq!(told(vendor, json!({"text": "from nobody"})), ["unreadable - ->-"]);
}

#[test]
fn clicksend_s_sender_is_never_our_own_number() {
    let vendor = TextingVendor::ClickSend;
    let reply = |from: &str, sms: &str| {
        json!({"from": from, "sms": sms, "to": "+18585550123", "body": "STOP", "message": "STOP",
        "message_id": "c1", "original_body": "Your call is tomorrow", "timestamp": "1793640000"})
    };
    let wanted = ["message.received c1 +16195550111>+18585550123 STOP"];
    for (from, sms) in [
        ("16195550111", "18585550123"),
        ("18585550123", "16195550111"),
        ("", "16195550111"),
    ] {
        assert_eq!(told(vendor, reply(from, sms)), wanted, "{from} {sms}");
    }
    let report = json!({"message_id": "c2", "status": "Delivered", "to": "+16195550111"});
    assert_eq!(told(vendor, report), ["message.delivered c2 ->+16195550111"]);
}
