//! Which text is which message in each system.

use deadpool_postgres::GenericClient;

use super::StoreError;
use crate::domain::TextStatus;

/// What is known about one text. Unknown values leave stored ones alone.
#[derive(Clone, Debug, Default)]
pub struct Message<'a> {
    /// The texting vendor's id: the key.
    pub texting_id: Option<&'a str>,
    /// The GHL message or note id.
    pub ghl_id: Option<&'a str>,
    /// The vendor's conversation.
    pub conversation_id: Option<&'a str>,
    /// The GHL contact.
    pub ghl_contact_id: Option<&'a str>,
    /// The Aloware contact.
    pub aloware_contact_id: Option<&'a str>,
    /// E.164 sender.
    pub from: Option<&'a str>,
    /// E.164 recipient.
    pub to: Option<&'a str>,
    /// `inbound` or `outbound`.
    pub direction: Option<&'a str>,
}

const UPSERT: &str = "
INSERT INTO message_mappings (texting_message_id, ghl_message_id, conversation_id, ghl_contact_id, aloware_contact_id,
                              from_number, to_number, direction)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (texting_message_id) DO UPDATE
   SET ghl_message_id = coalesce(message_mappings.ghl_message_id, excluded.ghl_message_id),
       conversation_id = coalesce(message_mappings.conversation_id, excluded.conversation_id),
       ghl_contact_id = coalesce(message_mappings.ghl_contact_id, excluded.ghl_contact_id),
       aloware_contact_id = coalesce(message_mappings.aloware_contact_id, excluded.aloware_contact_id),
       from_number = coalesce(message_mappings.from_number, excluded.from_number),
       to_number = coalesce(message_mappings.to_number, excluded.to_number),
       direction = coalesce(message_mappings.direction, excluded.direction), updated_at = now()";

// Callbacks come late, repeated, and before the text they are about: only what ranks
// below the told status ($4) gives way to it.
const SET_STATUS: &str = "
INSERT INTO message_mappings (texting_message_id, delivery_status, error_code, direction)
VALUES ($1, $2, $3, 'outbound')
ON CONFLICT (texting_message_id) DO UPDATE
   SET delivery_status = excluded.delivery_status, error_code = excluded.error_code, updated_at = now()
 WHERE message_mappings.delivery_status IS NULL OR message_mappings.delivery_status = ANY ($4)
RETURNING true";

const FATE: &str = "
SELECT delivery_status, error_code, ghl_message_id,
       (SELECT correlation_id FROM outbound_messages WHERE vendor_id = $1 LIMIT 1)
  FROM message_mappings WHERE texting_message_id = $1";

/// How far a text is, and who else knows it.
#[derive(Clone, Debug)]
pub struct Fate {
    /// The highest status reported.
    pub status: Option<TextStatus>,
    /// The vendor's error code.
    pub error: Option<String>,
    /// The GHL message or note that shows it.
    pub ghl_id: Option<String>,
    /// Our reference of it, if we sent it.
    pub reference: Option<String>,
}

/// What is known of a text's fate.
///
/// # Errors
/// Any statement failure.
pub async fn fate<C: GenericClient>(client: &C, texting_id: &str) -> Result<Option<Fate>, StoreError> {
    let statement = client.prepare_cached(FATE).await?;
    let row = client.query_opt(&statement, &[&texting_id]).await?;
    Ok(row.map(|row| Fate {
        status: row.get::<_, Option<&str>>(0).and_then(TextStatus::parse),
        error: row.get(1),
        ghl_id: row.get(2),
        reference: row.get(3),
    }))
}

/// Stores or completes a message's row.
///
/// # Errors
/// Any statement failure.
pub async fn upsert<C: GenericClient>(client: &C, message: &Message<'_>) -> Result<(), StoreError> {
    let statement = client.prepare_cached(UPSERT).await?;
    client
        .execute(
            &statement,
            &[
                &message.texting_id,
                &message.ghl_id,
                &message.conversation_id,
                &message.ghl_contact_id,
                &message.aloware_contact_id,
                &message.from,
                &message.to,
                &message.direction,
            ],
        )
        .await?;
    Ok(())
}

/// Advances a message's delivery status, also of one that is told of later; what
/// does not rank above the known status changes nothing. Answers whether it did.
///
/// # Errors
/// Any statement failure.
pub async fn set_status<C: GenericClient>(
    client: &C,
    texting_id: &str,
    status: TextStatus,
    error_code: Option<&str>,
) -> Result<bool, StoreError> {
    let below = TextStatus::ALL.iter().filter(|known| known.rank() < status.rank());
    let below: Vec<&str> = below.map(|known| known.as_str()).collect();
    let statement = client.prepare_cached(SET_STATUS).await?;
    let row = client
        .query_opt(&statement, &[&texting_id, &status.as_str(), &error_code, &below])
        .await?;
    Ok(row.is_some())
}
