//! The vendors' official files, read where they are and never copied, with the
//! corrections that issues and live behaviour made to them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use df_middleware::sandbox::{Call, Vendor};
use serde_json::{Value, json};

use super::openapi::{Checked, Document};

/// The files of both vendors.
pub struct Contracts {
    ghl: Vec<Document>,
    aloware: Document,
}

static CONTRACTS: LazyLock<Option<Contracts>> = LazyLock::new(|| folder().map(|folder| Contracts::read(&folder)));

/// `shared/contracts` beside the repository, or beside the folder it is in.
pub fn folder() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .map(|above| above.join("shared/contracts"))
        .find(|folder| folder.is_dir())
}

/// The contracts, or `None` where they are not at hand.
pub fn contracts() -> Option<&'static Contracts> {
    CONTRACTS.as_ref()
}

/// What is wrong with these calls by the official files; nothing where the
/// files are not at hand.
pub fn violations(calls: &[Call]) -> Vec<String> {
    let Some(contracts) = contracts() else {
        return Vec::new();
    };
    let checked = calls.iter().filter_map(|call| contracts.check(call));
    checked
        .filter(|checked| !checked.wrong.is_empty())
        .map(|checked| format!("{}: {}", checked.operation, checked.wrong.join("; ")))
        .collect()
}

impl Contracts {
    fn read(folder: &Path) -> Self {
        let file = |path: &str| -> Value { serde_json::from_slice(&fs::read(folder.join(path)).unwrap()).unwrap() };
        let common = file("ghl/common-schemas.json");
        let ghl = ["contacts", "conversations", "locations"].map(|name| {
            let mut root = file(&format!("ghl/openapi-{name}.json"));
            correct(&mut root);
            Document::new(root, common.clone())
        });
        Self {
            ghl: ghl.into(),
            aloware: Document::new(file("aloware/endpoints.json"), Value::Null),
        }
    }

    /// The call held against its operation. `None` for the texting vendor, who
    /// has no file, and for a call without an operation, which `unmatched` tells.
    pub fn check(&self, call: &Call) -> Option<Checked> {
        match call.vendor {
            Vendor::Ghl => self.ghl.iter().find_map(|document| document.check(call)),
            Vendor::Aloware => self.aloware.check(call),
            Vendor::Texting => None,
        }
    }
}

/// Where GHL's files are known to be wrong (vendors/ghl.md has the sources).
fn correct(root: &mut Value) {
    let schemas = &mut root["components"]["schemas"];
    if schemas.get("ProcessMessageBodyDto").is_some() {
        // 3.1: either a contact or a conversation, and the provider only where
        // the location's SMS provider is not the default one.
        schemas["ProcessMessageBodyDto"]["required"] = json!(["type"]);
        // 3.2: since June 2026 a contact will do here, too (I#234, staff).
        let entry = &mut schemas["ProcessOutboundMessageBodyDto"];
        entry["properties"]["contactId"] = json!({"type": "string"});
        entry["required"] = json!(["type", "conversationProviderId"]);
        // I#54: live answers nest one level deeper.
        let page = schemas["GetMessagesByConversationResponseDto"].take();
        schemas["GetMessagesByConversationResponseDto"] =
            json!({"type": "object", "properties": {"messages": page}, "required": ["messages"]});
    }
    if schemas.get("GetContectByIdSchema").is_some() {
        // 2: `value` is a string, number, array or object.
        schemas["CustomFieldSchema"]["properties"]["value"] = json!({});
        // 2: sent live, not in the file.
        let contact = &mut schemas["GetContectByIdSchema"]["properties"];
        contact["inboundDndSettings"] = json!({"$ref": "#/components/schemas/InboundDndSettingsSchema"});
        // 2.2: objects, one for each contact.
        schemas["UpdateTagsResponseDTO"]["properties"]["responses"]["items"] = json!({"type": "object"});
        // 2: the file has no answer for the search for a duplicate.
        let found = json!({"allOf": [{"$ref": "#/components/schemas/GetContectByIdSchema"}], "nullable": true});
        root["paths"]["/contacts/search/duplicate"]["get"]["responses"]["200"]["content"]["application/json"] =
            json!({"schema": {"type": "object", "properties": {"contact": found}, "required": ["contact"]}});
    }
}
