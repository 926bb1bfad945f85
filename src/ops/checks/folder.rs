//! The data folder: writable, with room, and what the spool in it says.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD};

use super::wording::size;
use super::{Finding, PATIENCE, Subject};
use crate::config::Database;
use crate::store::spool_look::{self, Look};

/// With less room than this the next outage of PostgreSQL loses deliveries.
const NO_ROOM: u64 = 64 << 20;

/// Looks at the folder. A dead network drive would hold a look up for ever.
pub(super) async fn look(database: &Database) -> Vec<Finding> {
    let (dir, limit) = (database.data_dir.clone(), database.spool_limit);
    let looking = tokio::task::spawn_blocking(move || of(&dir, limit));
    match tokio::time::timeout(PATIENCE, looking).await {
        Ok(Ok(found)) => found,
        Ok(Err(_)) | Err(_) => vec![Finding::problem(
            Subject::Folder,
            "the disk of database.data_dir does not answer",
        )],
    }
}

fn of(dir: &Path, spool_limit: u64) -> Vec<Finding> {
    let shown = dir.display();
    let place = nearest(dir);
    let mut found = Vec::new();
    let allowed = rustix::fs::accessat(CWD, &place, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS);
    found.push(match allowed {
        Err(error) => Finding::problem(
            Subject::Folder,
            format!("{shown} cannot be written by this user ({error}): the daemon will not start; see DF_DATA_DIR"),
        ),
        Ok(()) if place != dir => Finding::ok(Subject::Folder, format!("{shown} will be made at the first start")),
        Ok(()) => Finding::ok(Subject::Folder, format!("{shown} can be written")),
    });
    if let Ok(disk) = rustix::fs::statvfs(&place) {
        found.push(room(disk.f_bavail.saturating_mul(disk.f_frsize), spool_limit));
    }
    found.extend(match spool_look::look(&dir.join("spool")) {
        Ok(look) => spool(look),
        Err(error) => vec![Finding::problem(Subject::Folder, cannot_read(dir, &error))],
    });
    found
}

/// The folder itself, or the one in which it would be made.
fn nearest(dir: &Path) -> PathBuf {
    let there = dir.ancestors().find(|folder| folder.is_dir());
    there.unwrap_or(Path::new("/")).to_owned()
}

fn room(free: u64, spool_limit: u64) -> Finding {
    let said = format!("{} free", size(free));
    if free < NO_ROOM {
        Finding::problem(
            Subject::Folder,
            format!("only {said}: deliveries cannot be kept while PostgreSQL is away; make room"),
        )
    } else if free < spool_limit {
        Finding::warning(
            Subject::Folder,
            format!(
                "{said}, less than database.spool_limit ({}): a long outage of PostgreSQL would fill the disk",
                size(spool_limit)
            ),
        )
    } else {
        Finding::ok(Subject::Folder, said)
    }
}

fn spool(look: Look) -> Vec<Finding> {
    let holder = if look.held {
        "a running daemon has it"
    } else {
        "no daemon has it"
    };
    let mut found = vec![match look.waiting {
        0 => Finding::ok(Subject::Folder, format!("the spool is empty; {holder}")),
        bytes => Finding::warning(
            Subject::Folder,
            format!(
                "the spool holds {} of deliveries that are not in PostgreSQL yet; {holder}{}",
                size(bytes),
                if look.held {
                    ": it stores them once PostgreSQL answers"
                } else {
                    ": start it"
                }
            ),
        ),
    }];
    if look.refused > 0 {
        found.push(Finding::warning(
            Subject::Folder,
            format!(
                "{} of deliveries were refused by PostgreSQL in any form; they are kept in spool/refused for a person \
                 to look at, who removes the file afterwards",
                size(look.refused)
            ),
        ));
    }
    found
}

fn cannot_read(dir: &Path, error: &io::Error) -> String {
    format!(
        "the spool in {} cannot be read by this user ({}); ask as the daemon's user",
        dir.display(),
        error.kind()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::checks::Level;

    #[test]
    fn a_folder_that_is_not_there_is_judged_by_where_it_would_be_and_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        let found = of(&inner, 1);
        assert!(found.iter().all(|found| found.level == Level::Ok), "{found:?}");
        assert!(found[0].text.ends_with("will be made at the first start"), "{found:?}");
        assert!(!inner.exists());
    }

    #[test]
    fn little_room_warns_and_none_is_a_problem() {
        assert_eq!(room(NO_ROOM - 1, 0).level, Level::Problem);
        assert_eq!(room(NO_ROOM, NO_ROOM + 1).level, Level::Warning);
        assert_eq!(room(NO_ROOM, NO_ROOM).level, Level::Ok);
    }

    #[test]
    fn what_waits_in_the_spool_and_what_was_refused_is_said() {
        let look = |waiting, refused, held| Look { waiting, refused, held };
        let said = |look| spool(look).iter().map(|found| found.level).collect::<Vec<_>>();
        assert_eq!(said(look(0, 0, true)), [Level::Ok]);
        assert_eq!(said(look(10, 0, false)), [Level::Warning]);
        assert_eq!(said(look(0, 10, true)), [Level::Ok, Level::Warning]);
        assert!(
            spool(look(10, 0, false))[0]
                .text
                .ends_with("no daemon has it: start it")
        );
    }
}
