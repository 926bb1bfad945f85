//! How our own writes look when they come back, as fingerprints. One spelling
//! for the side that records and the side that recognises.

use crate::domain::Dnd;

/// A tag we added to a GHL contact. GHL lower-cases tags, so this does too.
pub fn tag_added(tag: &str) -> String {
    format!("tag+:{}", tag.trim().to_lowercase())
}

/// A tag we removed from a GHL contact.
pub fn tag_removed(tag: &str) -> String {
    format!("tag-:{}", tag.trim().to_lowercase())
}

/// The text channel's do-not-disturb as we set it.
pub fn text_dnd(blocked: bool) -> String {
    format!("dnd:sms:{}", if blocked { "active" } else { "inactive" })
}

/// Aloware's do-not-call flag as we set it.
pub fn do_not_call(on: bool) -> String {
    format!("dnc:{}", if on { "on" } else { "off" })
}

/// The same for the run of the delivery: the registry and the run each ask once.
pub fn do_not_call_run() -> String {
    "dnc:on:run".to_owned()
}

/// The message we leave in GHL's channels when a STOP blocks it. While it
/// stands there, the block is ours and not a person's.
pub const OPTED_OUT_MARK: &str = "Opted out by text";

/// Whether nothing but our own block, as the mark tells, stands there.
pub fn is_own_mark(dnd: &Dnd) -> bool {
    dnd.all != Some(true) && dnd.text_message.as_deref() == Some(OPTED_OUT_MARK)
}

/// What a delivered do-not-disturb state says about the text channel.
pub fn text_dnd_of(dnd: &Dnd) -> String {
    text_dnd(dnd.channel_blocked("SMS"))
}

/// A change of a tag set: what was added and what was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagDelta {
    /// New tags, lower case.
    pub added: Vec<String>,
    /// Gone tags, lower case.
    pub removed: Vec<String>,
}

impl TagDelta {
    /// What turned `before` into `after`, ignoring case.
    pub fn between(before: &[String], after: &[String]) -> Self {
        let fold = |tags: &[String]| -> Vec<String> { tags.iter().map(|tag| tag.trim().to_lowercase()).collect() };
        let (before, after) = (fold(before), fold(after));
        Self {
            added: after.iter().filter(|tag| !before.contains(tag)).cloned().collect(),
            removed: before.iter().filter(|tag| !after.contains(tag)).cloned().collect(),
        }
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }

    /// How this change is spelled in the ledger.
    pub fn fingerprints(&self) -> Vec<String> {
        let added = self.added.iter().map(|tag| tag_added(tag));
        added.chain(self.removed.iter().map(|tag| tag_removed(tag))).collect()
    }

    /// The part of the change that `live` echoes do not explain.
    #[must_use]
    pub fn without_echoes(self, live: &[String]) -> Self {
        let foreign = |print: String| !live.contains(&print);
        Self {
            added: self.added.into_iter().filter(|tag| foreign(tag_added(tag))).collect(),
            removed: self
                .removed
                .into_iter()
                .filter(|tag| foreign(tag_removed(tag)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(list: &[&str]) -> Vec<String> {
        list.iter().map(|tag| (*tag).to_owned()).collect()
    }

    #[test]
    fn only_the_part_we_did_not_write_is_left() {
        let delta = TagDelta::between(&tags(&["old", "Kept"]), &tags(&["kept", "dnc", "hot lead"]));
        assert_eq!(delta.added, tags(&["dnc", "hot lead"]));
        assert_eq!(delta.removed, tags(&["old"]));
        let left = delta.without_echoes(&[tag_added("DNC"), tag_removed("old")]);
        assert_eq!(
            left,
            TagDelta {
                added: tags(&["hot lead"]),
                removed: vec![]
            }
        );
        assert!(TagDelta::between(&tags(&["A"]), &tags(&["a "])).is_empty());
    }
}
