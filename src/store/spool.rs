//! The refuge while PostgreSQL is away: accepted bodies go to an append-only,
//! fsynced, checksummed, bounded file and are replayed in order later.
//!
//! One record is `length (4 bytes, little endian) · SHA-256 of the rest (8
//! bytes) · JSON`. A torn tail fails its checksum and was never acknowledged.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::Source;

/// Largest spool in bytes.
const LIMIT: u64 = 1 << 30;
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
}

/// Why a body could not be spooled.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The file has reached its bound for this source.
    #[error("spool is full")]
    Full,
    /// The disk refused.
    #[error("spool cannot be written")]
    Io(#[from] io::Error),
}

/// The file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Spool {
    file: Arc<Mutex<File>>,
    path: Arc<PathBuf>,
    /// Bytes of valid records not yet drained; written under the file's lock.
    pending: Arc<AtomicU64>,
}

impl Spool {
    /// Opens or creates the spool in `dir` and cuts a torn tail off.
    ///
    /// # Errors
    /// When the file cannot be opened or written.
    pub fn open(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let path = dir.join("spool");
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (_, valid) = parse(&bytes);
        file.set_len(valid)?;
        file.sync_all()?;
        File::open(dir)?.sync_all()?;
        Ok(Self {
            file: Arc::new(Mutex::new(file)),
            path: Arc::new(path),
            pending: Arc::new(AtomicU64::new(valid)),
        })
    }

    /// Whether nothing waits to be drained.
    pub fn is_empty(&self) -> bool {
        self.pending.load(Ordering::Acquire) == 0
    }

    /// Bytes waiting to be drained.
    pub fn pending_bytes(&self) -> u64 {
        self.pending.load(Ordering::Acquire)
    }

    /// Appends records and syncs them to disk before it returns. Aloware never
    /// redelivers, so the last part of the room is kept for it.
    ///
    /// # Errors
    /// [`SpoolError`]; none of the records is stored then.
    pub async fn append(&self, records: Vec<Record>) -> Result<(), SpoolError> {
        let spool = self.clone();
        tokio::task::spawn_blocking(move || spool.append_blocking(&records))
            .await
            .map_err(|_| SpoolError::Io(io::Error::other("spool task ended")))?
    }

    fn append_blocking(&self, records: &[Record]) -> Result<(), SpoolError> {
        let mut bytes = Vec::new();
        let mut bound = LIMIT;
        for record in records {
            bound = bound.min(match record.source() {
                Some(Source::Aloware) => LIMIT,
                Some(Source::Texting) => LIMIT / 10 * 9,
                Some(Source::Ghl) | None => LIMIT / 10 * 8,
            });
            let json = serde_json::to_vec(record).map_err(io::Error::other)?;
            let length = u32::try_from(json.len()).map_err(io::Error::other)?;
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend(Sha256::digest(&json).iter().take(8));
            bytes.extend_from_slice(&json);
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let start = self.pending.load(Ordering::Acquire);
        let end = start + bytes.len() as u64;
        if end > bound {
            return Err(SpoolError::Full);
        }
        let written = file
            .seek(SeekFrom::Start(start))
            .and_then(|_| file.write_all(&bytes))
            .and_then(|()| file.sync_data());
        if let Err(error) = written {
            // Nothing of this call may be found later: it was not acknowledged.
            file.set_len(start)?;
            return Err(error.into());
        }
        self.pending.store(end, Ordering::Release);
        Ok(())
    }

    /// Everything that waits, in order, and the byte up to which it was read.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn read(&self) -> io::Result<(Vec<Record>, u64)> {
        let (path, upto) = (Arc::clone(&self.path), self.pending_bytes());
        tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            File::open(&*path)?.take(upto).read_to_end(&mut bytes)?;
            Ok(parse(&bytes))
        })
        .await
        .map_err(io::Error::other)?
    }

    /// Empties the file if nothing was added since [`Spool::read`] answered `upto`.
    ///
    /// # Errors
    /// When the file cannot be cut.
    pub async fn clear(&self, upto: u64) -> io::Result<bool> {
        let spool = self.clone();
        tokio::task::spawn_blocking(move || {
            let file = spool.file.lock().unwrap_or_else(PoisonError::into_inner);
            if spool.pending_bytes() != upto {
                return Ok(false);
            }
            file.set_len(0)?;
            file.sync_all()?;
            spool.pending.store(0, Ordering::Release);
            Ok(true)
        })
        .await
        .map_err(io::Error::other)?
    }
}

/// The valid records from the start, and where they end.
fn parse(bytes: &[u8]) -> (Vec<Record>, u64) {
    let mut records = Vec::new();
    let mut at = 0usize;
    while let Some(header) = bytes.get(at..at + HEADER) {
        let (length, sum) = header.split_at(4);
        let length = length.iter().rev().fold(0usize, |n, byte| n << 8 | usize::from(*byte));
        let Some(json) = bytes.get(at + HEADER..at + HEADER + length) else {
            break;
        };
        if !Sha256::digest(json).iter().take(8).eq(sum) {
            break;
        }
        let Ok(record) = serde_json::from_slice(json) else {
            break;
        };
        records.push(record);
        at += HEADER + length;
    }
    (records, at as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(n: usize) -> Record {
        Record::new(Source::Aloware, DateTime::UNIX_EPOCH, format!("{{\"n\":{n}}}"))
    }

    #[tokio::test]
    async fn records_come_back_in_order_and_are_cleared_only_when_nothing_was_added() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        spool.append(vec![record(1), record(2)]).await.unwrap();
        let (records, upto) = spool.read().await.unwrap();
        assert_eq!(records, [record(1), record(2)]);
        spool.append(vec![record(3)]).await.unwrap();
        assert!(!spool.clear(upto).await.unwrap());
        let (records, upto) = spool.read().await.unwrap();
        assert_eq!(records.len(), 3);
        assert!(spool.clear(upto).await.unwrap());
        assert!(spool.is_empty());
    }

    #[tokio::test]
    async fn a_torn_tail_is_cut_and_what_was_acknowledged_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool");
        Spool::open(dir.path()).unwrap().append(vec![record(1), record(2)]).await.unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in 1..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let spool = Spool::open(dir.path()).unwrap();
            let (records, _) = spool.read().await.unwrap();
            assert!(records.len() < 2, "cut at {cut}");
            spool.append(vec![record(9)]).await.unwrap();
            let (records, _) = spool.read().await.unwrap();
            assert_eq!(records.last(), Some(&record(9)), "cut at {cut}");
        }
    }
}
