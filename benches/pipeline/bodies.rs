//! Deliveries as bytes on the wire, made once and patched in place: the load
//! generator shares two cores with what it measures.

use base64::Engine as _;
use serde_json::json;

/// User and password of Aloware's webhook.
pub(crate) const USER: &str = "aloware";
/// With a colon, as an operator may choose it.
pub(crate) const PASS: &str = "pass:with:colons";
/// Our own line.
pub(crate) const OUR_NUMBER: &str = "+18585550100";

const PHONE: &str = "+10000000000";
const NUMBER: u64 = 8_888_888_888;
const CONTACT: u64 = 9_999_999_999;

/// Area codes; with exchange 555 each has ten thousand numbers nobody answers.
const AREAS: [u64; 100] = [
    201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 224, 225, 228, 229, 231, 234,
    239, 240, 248, 251, 252, 253, 254, 256, 260, 262, 267, 269, 270, 276, 281, 301, 302, 303, 304, 305, 307, 308, 309,
    310, 312, 313, 314, 315, 316, 317, 318, 319, 320, 321, 323, 325, 330, 331, 334, 336, 337, 339, 347, 351, 352, 360,
    361, 386, 401, 402, 404, 405, 406, 407, 408, 409, 410, 412, 413, 414, 415, 417, 419, 423, 424, 425, 430, 432, 434,
    435, 440, 443, 456, 458, 469, 470, 475,
];

/// The phone of person `n`; a million people have one each.
pub(crate) fn phone(n: u64) -> String {
    let areas = AREAS.len() as u64;
    format!("+1{}555{:04}", AREAS[(n % areas) as usize], n / areas % 10_000)
}

/// The Aloware contact id of person `n`.
pub(crate) fn contact_id(n: u64) -> u64 {
    1_000_000_000 + n
}

/// One kind of delivery, to be patched with a number and a person.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    numbers: Vec<usize>,
    phones: Vec<usize>,
    contacts: Vec<usize>,
    /// Length of the JSON body.
    pub(crate) body_length: usize,
}

impl Template {
    fn new(body: &str) -> Self {
        let credentials = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASS}"));
        let head = format!(
            "POST /api/webhooks/aloware HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: GuzzleHttp/7\r\n\
             Authorization: Basic {credentials}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let text = format!("{head}{body}");
        let places = |token: &str| text.match_indices(token).map(|(at, _)| at).collect();
        Self {
            numbers: places(&NUMBER.to_string()),
            phones: places(PHONE),
            contacts: places(&CONTACT.to_string()),
            body_length: body.len(),
            bytes: text.into_bytes(),
        }
    }

    /// Makes `buffer` the request of delivery `n` about `person`.
    pub(crate) fn write(&self, n: u64, person: u64, buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.extend_from_slice(&self.bytes);
        let mut put = |places: &[usize], text: &str| {
            for at in places {
                buffer[*at..*at + text.len()].copy_from_slice(text.as_bytes());
            }
        };
        put(&self.numbers, &format!("{:010}", number(n)));
        put(&self.phones, &phone(person));
        put(&self.contacts, &contact_id(person).to_string());
    }

    /// The JSON body of delivery `n` about `person`.
    pub(crate) fn body(&self, n: u64, person: u64) -> String {
        let mut buffer = Vec::new();
        self.write(n, person, &mut buffer);
        String::from_utf8(buffer.split_off(self.bytes.len() - self.body_length)).unwrap()
    }
}

/// The number of delivery `n`, as its body spells it.
pub(crate) fn number(n: u64) -> u64 {
    2_000_000_000 + n
}

/// A contact event of about 2 KB: stored, logged, and nobody is called.
pub(crate) fn contact_event() -> Template {
    let body = json!({
        "event": "Contact-Created",
        "body": {
            "id": CONTACT, "company_id": 4711, "user_id": 4001, "name": "Wanda Tester", "first_name": "Wanda",
            "last_name": "Tester", "email": format!("wanda.{NUMBER}@example.com"), "phone_number": PHONE,
            "company_name": "Tester & Daughters Solar", "address": "1200 Imaginary Avenue, Suite 400",
            "website": "https://tester.example.com/about-us", "cnam_city": "San Diego", "cnam_state": "CA",
            "cnam_country": "US", "cnam_zipcode": "92101", "cnam_source": "lrn", "timezone": "America/Los_Angeles",
            "date_of_birth": null, "notes": "Asked for a call after six. Has two roofs, one of them flat; wants to know \
                whether the flat one can carry panels at all. Neighbour has had ours for three years and recommended us.",
            "lead_source": "Web form spring campaign", "lead_source_id": 318, "intake_source": "api",
            "initial_campaign_id": 9021, "campaign_ids": [9021, 9022, 9107], "disposition_status_id": 12,
            "disposition_status": {"id": 12, "name": "New Lead", "color": "#3aa757", "is_external": false},
            "sequence_id": null, "workflow_id": null, "custom_link": null,
            "integration_data": {"gohighlevel": {"link": format!("https://app.gohighlevel.com/v2/location/sandbox/contacts/detail/c{NUMBER}")}},
            "is_dnc": false, "is_blocked": false, "is_opted_out": false, "lrn_type": "wireless", "text_authorized": 1,
            "text_authorized_at": "2026-11-02 16:00:00", "tags": [
                {"id": 31, "name": "solar", "color": "#fbbc05"}, {"id": 32, "name": "homeowner", "color": "#4285f4"},
                {"id": 58, "name": "spring-2026", "color": "#34a853"}],
            "inbound_call_count": 0, "outbound_call_count": 3, "inbound_sms_count": 1, "outbound_sms_count": 2,
            "nb_communications": 6, "unread_count": 0, "unread_missed_call_count": 0, "unread_voicemail_count": 0,
            "last_engagement_at": "2026-11-02 17:05:31", "last_engagement_text": "Outbound call, 2 minutes 5 seconds",
            "csf1": format!("ref-{NUMBER}"), "csf2": null, "uuid_v4": "5f3c1f0a-6f0e-4c57-9a52-1d0a7be0c001",
            "created_at": "2026-11-02 15:58:02", "updated_at": "2026-11-02 17:05:31"
        }
    });
    Template::new(&body.to_string())
}

/// A finished call: one note and one set of tags on the person's contact.
pub(crate) fn call_event() -> Template {
    let body = json!({
        "event": "OutboundPhoneCall-DispositionCompleted",
        "body": {
            "id": NUMBER, "contact_id": CONTACT, "type": 1, "direction": 2, "lead_number": PHONE,
            "incoming_number": OUR_NUMBER, "destination_number": "client:agent4001", "duration": 125,
            "talk_time": 118, "wait_time": 7, "hold_time": 0, "disposition_status": "completed",
            "call_disposition": "Interested", "campaign_id": 9021, "ring_group_id": 77, "user_id": 4001,
            "resolution": "Live answer", "has_recording": true, "is_billable": true, "csat_score": 0,
            "created_at": "2026-11-02 17:03:20", "updated_at": "2026-11-02 17:05:31",
            "user": {"id": 4001, "name": "Andy Agent", "email": "andy.agent@example.com", "extension": 4001},
            "contact": {
                "id": CONTACT, "name": "Wanda Tester", "first_name": "Wanda", "last_name": "Tester",
                "email": "wanda@example.com", "phone_number": PHONE, "is_dnc": false, "is_opted_out": false,
                "text_authorized": 0, "lrn_type": "wireless", "intake_source": "api", "initial_campaign_id": 9021
            }
        }
    });
    Template::new(&body.to_string())
}
