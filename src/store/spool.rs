//! The refuge while PostgreSQL is away: accepted bodies go to an append-only,
//! fsynced, checksummed, bounded file and are replayed in order later.
//!
//! One record is `length (4 bytes, little endian) · SHA-256 of the rest (8
//! bytes) · JSON`. A torn tail fails its checksum and was never acknowledged.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use rustix::fs::FlockOperation;
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
    /// Opens or creates the spool in `dir`, which nobody else may use meanwhile,
    /// and cuts a torn tail off.
    ///
    /// # Errors
    /// When another daemon has it, or the file cannot be opened or written.
    pub fn open(dir: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let path = dir.join("spool");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            io::Error::new(
                io::ErrorKind::ResourceBusy,
                "another daemon uses this data directory; give each its own DF_DATA_DIR",
            )
        })?;
        let mut valid = 0;
        let mut reader = BufReader::new(&file);
        while let Some((_, length)) = next_record(&mut reader)? {
            valid += length;
        }
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
            bytes.extend(encode(record)?);
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

    /// What waits from byte `from` on, in order, about `max_bytes` of it, and the
    /// byte up to which it was read.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn read(&self, from: u64, max_bytes: usize) -> io::Result<(Vec<Record>, u64)> {
        let (path, upto) = (Arc::clone(&self.path), self.pending_bytes());
        tokio::task::spawn_blocking(move || {
            let mut file = File::open(&*path)?;
            file.seek(SeekFrom::Start(from))?;
            let mut reader = BufReader::new(file.take(upto.saturating_sub(from)));
            let (mut records, mut at) = (Vec::new(), from);
            while at - from < max_bytes as u64
                && let Some((record, length)) = next_record(&mut reader)?
            {
                records.push(record);
                at += length;
            }
            Ok((records, at))
        })
        .await
        .map_err(io::Error::other)?
    }

    /// Keeps a record that the database refuses in any form, in a file of its
    /// own beside the spool, for a person to look at.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn set_aside(&self, record: Record) -> io::Result<()> {
        let path = self.path.with_file_name("refused");
        tokio::task::spawn_blocking(move || {
            let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
            file.write_all(&encode(&record)?)?;
            file.sync_all()
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

fn encode(record: &Record) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(record).map_err(io::Error::other)?;
    let length = u32::try_from(json.len()).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(HEADER + json.len());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend(Sha256::digest(&json).iter().take(HEADER - 4));
    bytes.extend_from_slice(&json);
    Ok(bytes)
}

/// The next whole record and its length in bytes; `None` at the end, or where a
/// torn or damaged record begins.
fn next_record(reader: &mut impl Read) -> io::Result<Option<(Record, u64)>> {
    let mut header = Vec::with_capacity(HEADER);
    reader.take(HEADER as u64).read_to_end(&mut header)?;
    let (Some(length), Some(sum)) = (header.first_chunk::<4>(), header.get(4..HEADER)) else {
        return Ok(None);
    };
    let length = u64::from(u32::from_le_bytes(*length));
    let mut json = Vec::new();
    reader.take(length).read_to_end(&mut json)?;
    let whole = json.len() as u64 == length && Sha256::digest(&json).iter().take(HEADER - 4).eq(sum);
    if !whole {
        return Ok(None);
    }
    Ok(serde_json::from_slice(&json)
        .ok()
        .map(|record| (record, HEADER as u64 + length)))
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
        let (records, upto) = spool.read(0, usize::MAX).await.unwrap();
        assert_eq!(records, [record(1), record(2)]);
        spool.append(vec![record(3)]).await.unwrap();
        assert!(!spool.clear(upto).await.unwrap());
        let (records, upto) = spool.read(0, usize::MAX).await.unwrap();
        assert_eq!(records.len(), 3);
        assert!(spool.clear(upto).await.unwrap());
        assert!(spool.is_empty());
    }

    #[tokio::test]
    async fn a_torn_tail_is_cut_and_what_was_acknowledged_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool");
        Spool::open(dir.path())
            .unwrap()
            .append(vec![record(1), record(2)])
            .await
            .unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in 1..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let spool = Spool::open(dir.path()).unwrap();
            let (records, _) = spool.read(0, usize::MAX).await.unwrap();
            assert!(records.len() < 2, "cut at {cut}");
            spool.append(vec![record(9)]).await.unwrap();
            let (records, _) = spool.read(0, usize::MAX).await.unwrap();
            assert_eq!(records.last(), Some(&record(9)), "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn a_second_daemon_on_the_same_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let first = Spool::open(dir.path()).unwrap();
        let error = Spool::open(dir.path()).unwrap_err();
        assert!(error.to_string().contains("DF_DATA_DIR"), "{error}");
        drop(first);
        Spool::open(dir.path()).unwrap();
    }

    #[tokio::test]
    async fn a_long_spool_is_read_piece_by_piece() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        spool.append((0..50).map(record).collect()).await.unwrap();
        let (mut from, mut all) = (0, Vec::new());
        loop {
            let (records, upto) = spool.read(from, 300).await.unwrap();
            if records.is_empty() {
                break;
            }
            assert!(records.len() < 50);
            all.extend(records);
            from = upto;
        }
        assert_eq!(all, (0..50).map(record).collect::<Vec<_>>());
    }
}
