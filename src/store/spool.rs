//! The refuge while PostgreSQL is away: accepted bodies go to an append-only,
//! fsynced, checksummed, bounded file and are replayed in order later.
//!
//! A torn tail was never acknowledged and is cut off; a record that is damaged
//! in the middle costs itself and no other. One daemon at a time has the file.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::FlockOperation;

pub use super::spool_record::Record;
use super::spool_record::{Next, next};
use crate::domain::Source;

/// How often a daemon that waits for the file asks for it.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// Most records of one read: who takes turns with its reader waits no longer.
const MAX_RECORDS: usize = 1024;

/// The file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Spool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Locked while the file is changed.
    file: Mutex<File>,
    path: PathBuf,
    /// Most bytes the file may have.
    limit: u64,
    /// Whether we have the file; set once, under `file`.
    ours: AtomicBool,
    /// Bytes not yet drained, by us or by the daemon we wait for; written under `file`.
    pending: AtomicU64,
}

impl Spool {
    /// Opens or creates the spool in `dir`, which no other daemon may have, and
    /// cuts a torn tail off.
    ///
    /// # Errors
    /// When another daemon has it, or the file cannot be opened or written.
    pub fn open(dir: &Path, limit: u64) -> io::Result<Self> {
        let spool = Self::behind(dir, limit)?;
        if spool.take_over()? {
            return Ok(spool);
        }
        Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "another daemon uses this data directory; give each its own DF_DATA_DIR",
        ))
    }

    /// Opens or creates a spool that a daemon about to stop may still have.
    /// Until [`Spool::wait_turn`] is through it takes nothing, and while the
    /// other daemon has deliveries in it, it does not look empty.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn behind(dir: &Path, limit: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let path = dir.join("spool");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)?;
        // A file that no folder names after a power cut has kept nothing.
        sync_folder(dir)?;
        dir.parent().map_or(Ok(()), sync_folder)?;
        let pending = file.metadata()?.len();
        Ok(Self(Arc::new(Shared {
            file: Mutex::new(file),
            path,
            limit,
            ours: AtomicBool::new(false),
            pending: AtomicU64::new(pending),
        })))
    }

    /// Returns when the file is ours.
    pub async fn wait_turn(&self) {
        let mut told = false;
        loop {
            let spool = self.clone();
            match tokio::task::spawn_blocking(move || spool.take_over()).await {
                Ok(Ok(true)) => return,
                Ok(Ok(false)) if !told => {
                    tracing::info!("another daemon still has the spool; waiting for it to stop");
                    told = true;
                }
                Ok(Ok(false)) | Err(_) => {}
                Ok(Err(error)) => tracing::error!(%error, "spool cannot be taken over"),
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Takes the file unless another daemon has it; answers whether it is ours.
    fn take_over(&self) -> io::Result<bool> {
        let file = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_ours() {
            return Ok(true);
        }
        if rustix::fs::flock(&*file, FlockOperation::NonBlockingLockExclusive).is_err() {
            self.0.pending.store(file.metadata()?.len(), Ordering::Release);
            return Ok(false);
        }
        let valid = whole_bytes(&file)?;
        file.set_len(valid)?;
        file.sync_all()?;
        self.0.pending.store(valid, Ordering::Release);
        self.0.ours.store(true, Ordering::Release);
        Ok(true)
    }

    /// Whether this daemon has the file: no other one lives on this folder.
    pub fn is_ours(&self) -> bool {
        self.0.ours.load(Ordering::Acquire)
    }

    /// Whether nothing waits to be drained.
    pub fn is_empty(&self) -> bool {
        self.pending_bytes() == 0
    }

    /// Bytes waiting to be drained.
    pub fn pending_bytes(&self) -> u64 {
        self.0.pending.load(Ordering::Acquire)
    }

    /// Most bytes that `source` may fill. GHL and the texting vendor deliver
    /// again what is refused, Aloware never does: the last part is kept for it.
    fn bound(&self, source: Option<Source>) -> u64 {
        match source {
            Some(Source::Aloware) => self.0.limit,
            Some(Source::Texting) => self.0.limit / 10 * 9,
            Some(Source::Ghl) | None => self.0.limit / 10 * 8,
        }
    }

    /// Appends records and syncs them to disk before it returns; answers for
    /// each whether it is kept or found no room.
    ///
    /// # Errors
    /// When the file is not ours or the disk refuses; nothing is kept then.
    pub async fn append(&self, records: Vec<Record>) -> io::Result<Vec<bool>> {
        let spool = self.clone();
        tokio::task::spawn_blocking(move || spool.append_blocking(&records))
            .await
            .map_err(io::Error::other)?
    }

    fn append_blocking(&self, records: &[Record]) -> io::Result<Vec<bool>> {
        if !self.take_over()? {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "another daemon still has the spool",
            ));
        }
        let mut file = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        let start = self.pending_bytes();
        let (mut bytes, mut kept) = (Vec::new(), Vec::with_capacity(records.len()));
        for record in records {
            let encoded = record.encode()?;
            let end = start + (bytes.len() + encoded.len()) as u64;
            let fits = end <= self.bound(record.source());
            if fits {
                bytes.extend(encoded);
            }
            kept.push(fits);
        }
        let written = file
            .seek(SeekFrom::Start(start))
            .and_then(|_| file.write_all(&bytes))
            .and_then(|()| file.sync_data());
        if let Err(error) = written {
            // Nothing of this call may be found later: it was not acknowledged.
            file.set_len(start)?;
            return Err(error);
        }
        self.0.pending.store(start + bytes.len() as u64, Ordering::Release);
        Ok(kept)
    }

    /// What waits from byte `from` on, in order, about `max_bytes` of it, and the
    /// byte up to which it was read. Nothing while the file is not ours.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn read(&self, from: u64, max_bytes: usize) -> io::Result<(Vec<Record>, u64)> {
        let spool = self.clone();
        tokio::task::spawn_blocking(move || spool.read_blocking(from, max_bytes as u64))
            .await
            .map_err(io::Error::other)?
    }

    fn read_blocking(&self, from: u64, max_bytes: u64) -> io::Result<(Vec<Record>, u64)> {
        let (mut records, mut at) = (Vec::new(), from);
        if !self.is_ours() {
            return Ok((records, at));
        }
        let mut file = File::open(&self.0.path)?;
        file.seek(SeekFrom::Start(from))?;
        let mut reader = BufReader::new(file.take(self.pending_bytes().saturating_sub(from)));
        while records.is_empty() || (at - from < max_bytes && records.len() < MAX_RECORDS) {
            match next(&mut reader)? {
                Next::Whole(record, bytes) => {
                    records.push(record);
                    at += bytes;
                }
                Next::Damaged(bytes) => {
                    tracing::error!(bytes, "a delivery in the spool is damaged and lost");
                    at += bytes;
                }
                Next::End => break,
            }
        }
        Ok((records, at))
    }

    /// Keeps a record that the database refuses in any form, in a file of its
    /// own beside the spool, for a person to look at. It is as bounded, but not
    /// for one that was acknowledged: that must be kept.
    ///
    /// # Errors
    /// When the file is full or cannot be written.
    pub async fn set_aside(&self, record: Record, acknowledged: bool) -> io::Result<()> {
        let spool = self.clone();
        tokio::task::spawn_blocking(move || {
            let (path, limit) = (spool.0.path.with_file_name("refused"), spool.0.limit);
            // One at a time: what is cut off below must be one's own.
            let _turn = spool.0.file.lock().unwrap_or_else(PoisonError::into_inner);
            let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
            let (bytes, before) = (record.encode()?, file.metadata()?.len());
            if !acknowledged && before + bytes.len() as u64 > limit {
                return Err(io::Error::new(io::ErrorKind::StorageFull, "too much is set aside"));
            }
            let written = file.write_all(&bytes).and_then(|()| file.sync_all());
            if written.is_err() {
                file.set_len(before)?;
            }
            written.and_then(|()| path.parent().map_or(Ok(()), sync_folder))
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
            let file = spool.0.file.lock().unwrap_or_else(PoisonError::into_inner);
            if !spool.is_ours() || spool.pending_bytes() != upto {
                return Ok(false);
            }
            file.set_len(0)?;
            file.sync_all()?;
            spool.0.pending.store(0, Ordering::Release);
            Ok(true)
        })
        .await
        .map_err(io::Error::other)?
    }
}

/// The bytes up to the end of the last whole record.
fn whole_bytes(file: &File) -> io::Result<u64> {
    let mut reader = BufReader::new(file);
    reader.seek(SeekFrom::Start(0))?;
    let (mut at, mut valid) = (0, 0);
    loop {
        match next(&mut reader)? {
            Next::Whole(_, bytes) => {
                at += bytes;
                valid = at;
            }
            Next::Damaged(bytes) => at += bytes,
            Next::End => return Ok(valid),
        }
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
