//! Which scope each endpoint asks for (vendors/ghl.md 2 to 5, Scopes.md), and
//! what a token without it is told.

use super::answers::unauthorized;
use super::routes::Endpoint;
use crate::sandbox::wire::Answer;

/// How far the accepted tokens reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// A token of the location with these scopes; `None` has all.
    Location(Option<Vec<String>>),
    /// A token of the agency.
    Agency,
}

impl Reach {
    /// Refuses what the token may not do, in the vendor's words.
    pub(super) fn admit(&self, endpoint: &Endpoint<'_>) -> Result<(), Answer> {
        match self {
            Self::Agency => Err(unauthorized("Token's user type mismatch!")),
            Self::Location(Some(scopes)) if !scopes.iter().any(|scope| scope == needed(endpoint)) => {
                Err(unauthorized("The token is not authorized for this scope."))
            }
            Self::Location(_) => Ok(()),
        }
    }
}

fn needed(endpoint: &Endpoint<'_>) -> &'static str {
    match endpoint {
        Endpoint::FindDuplicate
        | Endpoint::SearchContacts
        | Endpoint::GetContact(_)
        | Endpoint::ListNotes(_)
        | Endpoint::GetNote(..) => "contacts.readonly",
        Endpoint::CreateContact
        | Endpoint::UpsertContact
        | Endpoint::BulkTags(_)
        | Endpoint::UpdateContact(_)
        | Endpoint::DeleteContact(_)
        | Endpoint::AddTags(_)
        | Endpoint::RemoveTags(_)
        | Endpoint::CreateNote(_)
        | Endpoint::UpdateNote(..)
        | Endpoint::DeleteNote(..) => "contacts.write",
        Endpoint::SearchConversations => "conversations.readonly",
        Endpoint::GetMessage(_) | Endpoint::ListMessages(_) => "conversations/message.readonly",
        Endpoint::RecordInbound | Endpoint::RecordOutbound | Endpoint::MessageStatus(_) => {
            "conversations/message.write"
        }
        Endpoint::Users => "users.readonly",
        Endpoint::Location(_) => "locations.readonly",
        Endpoint::CustomFields(_) => "locations/customFields.readonly",
        Endpoint::LocationTags(_) => "locations/tags.readonly",
    }
}
