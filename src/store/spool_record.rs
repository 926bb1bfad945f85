//! How the spool writes one accepted body, and how it reads it back. Knows the
//! bytes, not the file.
//!
//! A record is `length (4 bytes, little endian) · SHA-256 of the rest (8
//! bytes) · JSON`. A torn tail ends early or fails its checksum.

use std::io::{self, Read};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::Source;

const HEADER: usize = 12;

/// One accepted body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    source: String,
    /// When it arrived; dedupe windows and event times depend on it.
    pub received_at: DateTime<Utc>,
    /// The body, valid JSON text.
    pub body: String,
}

impl Record {
    /// A body of `source` that arrived at `received_at`.
    pub fn new(source: Source, received_at: DateTime<Utc>, body: String) -> Self {
        Self {
            source: source.as_str().to_owned(),
            received_at,
            body,
        }
    }

    /// Whose webhook it came through.
    pub fn source(&self) -> Option<Source> {
        Source::parse(&self.source)
    }

    /// Its bytes in the file.
    pub(super) fn encode(&self) -> io::Result<Vec<u8>> {
        let json = serde_json::to_vec(self).map_err(io::Error::other)?;
        let length = u32::try_from(json.len()).map_err(io::Error::other)?;
        let mut bytes = Vec::with_capacity(HEADER + json.len());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend(checksum(&json));
        bytes.extend_from_slice(&json);
        Ok(bytes)
    }
}

/// What stands next in the file.
#[derive(Debug)]
pub(super) enum Next {
    /// A whole record, and its length in bytes.
    Whole(Record, u64),
    /// As many bytes as a record's header promises, but they fail its checksum.
    Damaged(u64),
    /// Nothing, or the beginning of a record.
    End,
}

/// Reads what stands next.
pub(super) fn next(reader: &mut impl Read) -> io::Result<Next> {
    let mut header = Vec::with_capacity(HEADER);
    reader.take(HEADER as u64).read_to_end(&mut header)?;
    let (Some(length), Some(sum)) = (header.first_chunk::<4>(), header.get(4..HEADER)) else {
        return Ok(Next::End);
    };
    let length = u64::from(u32::from_le_bytes(*length));
    let mut json = Vec::new();
    reader.take(length).read_to_end(&mut json)?;
    // No record is empty: zeros are what a lost write leaves behind.
    if length == 0 || json.len() as u64 != length {
        return Ok(Next::End);
    }
    let bytes = HEADER as u64 + length;
    let record = checksum(&json)
        .eq(sum.iter().copied())
        .then(|| serde_json::from_slice(&json));
    Ok(match record {
        Some(Ok(record)) => Next::Whole(record, bytes),
        Some(Err(_)) | None => Next::Damaged(bytes),
    })
}

fn checksum(json: &[u8]) -> impl Iterator<Item = u8> {
    Sha256::digest(json).into_iter().take(HEADER - 4)
}
