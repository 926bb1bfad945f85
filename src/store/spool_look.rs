//! The spool as somebody sees it who has not got it: a person who asks what is
//! wrong. Changes nothing.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::fs::FlockOperation;

/// What is in the folder of a spool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Bytes of deliveries that are not in PostgreSQL yet.
    pub waiting: u64,
    /// Bytes that PostgreSQL refused in any form.
    pub refused: u64,
    /// Whether a daemon has it.
    pub held: bool,
}

/// Looks at the spool in `dir`; where there is none, nothing waits.
///
/// # Errors
/// When there is one and it cannot be read.
pub fn look(dir: &Path) -> io::Result<Look> {
    let refused = missing_is(0, fs::metadata(dir.join("refused")).map(|file| file.len()))?;
    let Some(file) = missing_is(None, File::open(dir.join("spool")).map(Some))? else {
        return Ok(Look {
            refused,
            ..Look::default()
        });
    };
    // Let go at once; a daemon that starts at this moment asks again for a second.
    let held = rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared).is_err();
    Ok(Look {
        waiting: file.metadata()?.len(),
        refused,
        held,
    })
}

fn missing_is<T>(nothing: T, outcome: io::Result<T>) -> io::Result<T> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(nothing),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::Source;
    use crate::store::spool::{Record, Spool};

    #[tokio::test]
    async fn a_look_tells_what_waits_and_who_has_it_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(look(dir.path()).unwrap(), Look::default());
        assert!(!dir.path().join("spool").exists());
        let spool = Spool::open(dir.path(), 1 << 20).unwrap();
        let record = Record::new(Source::Ghl, DateTime::UNIX_EPOCH, "{}".to_owned());
        spool.append(vec![record.clone()]).await.unwrap();
        spool.set_aside(record, false).await.unwrap();
        let seen = look(dir.path()).unwrap();
        assert_eq!((seen.waiting, seen.held), (spool.pending_bytes(), true));
        assert!(seen.refused > 0);
        drop(spool);
        assert!(!look(dir.path()).unwrap().held);
        assert_eq!(Spool::open(dir.path(), 1 << 20).unwrap().pending_bytes(), seen.waiting);
    }
}
