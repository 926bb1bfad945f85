//! Vendor ids as types, so that one vendor's id cannot be passed for another's.

use std::fmt;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Takes the id as the vendor wrote it (surrounding blanks removed).
            /// Empty text is no id.
            pub fn new(raw: &str) -> Option<Self> {
                let trimmed = raw.trim();
                (!trimmed.is_empty()).then(|| Self(trimmed.to_owned()))
            }

            /// The id as the vendor wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// A GoHighLevel contact id, for example `nmFmQEsNgz6AVpgLVUJ0`.
    GhlContactId
}
text_id! {
    /// An Aloware contact id. Numeric on the wire, kept as text.
    AlowareContactId
}
