//! Who ran on this data folder before. The spool's lock proves that it is dead,
//! so its lanes need not wait until it was unseen for long enough.

use std::path::{Path, PathBuf};
use std::{fs, io};

use uuid::Uuid;

/// The file that holds the session of the daemon on this folder.
#[derive(Debug)]
pub(super) struct Predecessor {
    file: PathBuf,
}

impl Predecessor {
    /// To be asked only while the folder's lock is held.
    pub(super) fn on(data_dir: &Path) -> Self {
        Self {
            file: data_dir.join("session"),
        }
    }

    /// Its session; `None` when nobody ran here, or the file does not say.
    pub(super) fn session(&self) -> Option<Uuid> {
        fs::read_to_string(&self.file).ok()?.parse().ok()
    }

    /// From now on that is this one.
    pub(super) fn replace(&self, session: Uuid) -> io::Result<()> {
        fs::write(&self.file, session.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_by_its_session_and_a_file_that_says_nothing_is_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let predecessor = Predecessor::on(dir.path());
        assert_eq!(predecessor.session(), None);
        let session = Uuid::new_v4();
        predecessor.replace(session).unwrap();
        assert_eq!(Predecessor::on(dir.path()).session(), Some(session));
        fs::write(dir.path().join("session"), "torn").unwrap();
        assert_eq!(predecessor.session(), None);
    }
}
