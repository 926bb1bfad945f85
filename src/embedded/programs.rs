//! Finds `initdb` and `postgres` on this machine. Nothing is downloaded.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::EmbeddedError;

/// The oldest major version that will do.
const OLDEST: u32 = 14;

/// Where packages put versioned programs: parent folder, how the versioned
/// name begins, and what follows it.
const USUAL: [(&str, &str, &str); 7] = [
    ("usr/lib/postgresql", "", "bin"),
    ("usr", "pgsql-", "bin"),
    ("usr/libexec", "postgresql", ""),
    ("opt/homebrew/opt", "postgresql", "bin"),
    ("usr/local/opt", "postgresql", "bin"),
    ("home/linuxbrew/.linuxbrew/opt", "postgresql", "bin"),
    ("Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// Server programs that fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Programs {
    /// The folder of both.
    pub(super) bin: PathBuf,
    /// Major version.
    pub(super) major: u32,
    /// Full version, for the log.
    pub(super) version: String,
}

/// Where to look.
#[derive(Debug)]
pub(super) struct Search<'a> {
    /// The setting `database.postgres_bin_dir`; nothing else is tried when set.
    pub(super) setting: Option<&'a Path>,
    /// The value of `PATH`.
    pub(super) path: Option<&'a OsStr>,
    /// `/`, except in tests.
    pub(super) root: &'a Path,
    /// An existing data directory and the major version that made it.
    pub(super) existing: Option<(&'a Path, u32)>,
}

/// The first programs that fit, in the order setting, `PATH`, `pg_config`,
/// usual folders (highest version first).
pub(super) fn find(search: &Search<'_>) -> Result<Programs, EmbeddedError> {
    if let Some(dir) = search.setting {
        let not_there = |reason| EmbeddedError::NotInSetting {
            dir: dir.into(),
            reason,
        };
        let programs = inspect(dir).map_err(not_there)?;
        return match unfit(&programs, search.existing) {
            None => Ok(programs),
            Some(reason) => Err(not_there(reason)),
        };
    }
    let mut passed_over: Vec<String> = Vec::new();
    for dir in folders(search) {
        let Ok(programs) = inspect(&dir) else {
            continue;
        };
        if unfit(&programs, search.existing).is_none() {
            return Ok(programs);
        }
        let found = format!("{} in {}", programs.version, dir.display());
        if !passed_over.contains(&found) {
            passed_over.push(found);
        }
    }
    let found = match passed_over.as_slice() {
        [] => "none".into(),
        some => some.join(", "),
    };
    Err(match search.existing {
        Some((data, wanted)) => EmbeddedError::OtherVersion {
            data: data.into(),
            wanted,
            found,
        },
        None => EmbeddedError::NoPrograms { oldest: OLDEST, found },
    })
}

/// Why these programs will not do.
fn unfit(programs: &Programs, existing: Option<(&Path, u32)>) -> Option<String> {
    match existing {
        Some((data, wanted)) if wanted != programs.major => Some(format!(
            "they are version {}, but the data in {} was made by PostgreSQL {wanted}",
            programs.version,
            data.display()
        )),
        None if programs.major < OLDEST => Some(format!("they are version {}, older than {OLDEST}", programs.version)),
        _ => None,
    }
}

/// Every folder worth a look, best first. Lazy: `pg_config` is only asked when
/// `PATH` had nothing.
fn folders<'a>(search: &'a Search<'_>) -> impl Iterator<Item = PathBuf> + 'a {
    let on_path = || search.path.into_iter().flat_map(std::env::split_paths);
    on_path()
        .filter(|dir| dir.is_absolute())
        .chain(on_path().find_map(|dir| configured_bin(&dir)))
        .chain(
            USUAL
                .iter()
                .flat_map(|(parent, prefix, rest)| versioned(&search.root.join(parent), prefix, rest)),
        )
}

/// What `pg_config --bindir` says, if `dir` has a `pg_config`.
fn configured_bin(dir: &Path) -> Option<PathBuf> {
    let program = dir.join("pg_config");
    if !is_program(&program) {
        return None;
    }
    let answer = Command::new(program).arg("--bindir").output().ok()?;
    let said = String::from_utf8(answer.stdout).ok()?;
    let said = Path::new(said.trim());
    said.is_absolute().then(|| said.to_owned())
}

/// `parent/<prefix><version>/<rest>`, highest version first.
fn versioned(parent: &Path, prefix: &str, rest: &str) -> Vec<PathBuf> {
    let names = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.file_name());
    let mut found: Vec<(u32, OsString)> = names
        .filter_map(|name| {
            let version = name.to_str()?.strip_prefix(prefix)?.trim_start_matches('@');
            let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
            Some((digits.parse().unwrap_or(0), name))
        })
        .collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    found
        .into_iter()
        .map(|(_, name)| parent.join(name).join(rest))
        .collect()
}

/// Both programs are there and say which version they are, or why not.
fn inspect(dir: &Path) -> Result<Programs, String> {
    for name in ["initdb", "postgres"] {
        if !is_program(&dir.join(name)) {
            return Err(format!("no program {name}"));
        }
    }
    let said = Command::new(dir.join("postgres"))
        .arg("--version")
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| format!("postgres --version: {error}"))?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let (major, version) = parse_version(&said).ok_or_else(|| format!("postgres --version said {:?}", said.trim()))?;
    Ok(Programs {
        bin: dir.to_owned(),
        major,
        version,
    })
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn parse_version(said: &str) -> Option<(u32, String)> {
    let version = said.split_once("(PostgreSQL) ")?.1.split_whitespace().next()?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    Some((digits.parse().ok()?, version.to_owned()))
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(root: &Path, bin: &str, version: &str) -> PathBuf {
        let bin = root.join(bin);
        fs::create_dir_all(&bin).unwrap();
        for name in ["initdb", "postgres"] {
            let file = bin.join(name);
            fs::write(&file, format!("#!/bin/sh\necho 'x (PostgreSQL) {version}'\n")).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        bin
    }

    fn search(root: &Path) -> Search<'_> {
        Search {
            setting: None,
            path: None,
            root,
            existing: None,
        }
    }

    #[test]
    fn without_programs_the_message_says_what_to_install_or_set() {
        let root = tempfile::tempdir().unwrap();
        let text = find(&search(root.path())).unwrap_err().to_string();
        assert!(text.starts_with(
            "no DATABASE_URL is set, and the server programs of PostgreSQL 14 or newer were not found on this machine (found: none).\n\
             Install them:   Debian/Ubuntu  apt-get install postgresql "
        ));
        assert!(text.contains("\n                macOS          brew install postgresql@17"));
        assert!(text.ends_with("DATABASE_URL=postgres://user:password@host/database"));
    }

    #[test]
    fn too_old_programs_are_named_in_the_message() {
        let root = tempfile::tempdir().unwrap();
        install(root.path(), "usr/lib/postgresql/13/bin", "13.4");
        let text = find(&search(root.path())).unwrap_err().to_string();
        assert!(text.contains("(found: 13.4 in "), "{text}");
    }

    #[test]
    fn the_highest_version_wins_by_number_not_by_letter() {
        let root = tempfile::tempdir().unwrap();
        install(root.path(), "usr/lib/postgresql/9.6/bin", "9.6.24");
        install(root.path(), "usr/lib/postgresql/15/bin", "15.18");
        install(root.path(), "usr/lib/postgresql/17/bin", "17.2 (Debian 17.2-1)");
        let found = find(&search(root.path())).unwrap();
        assert_eq!((found.major, found.version.as_str()), (17, "17.2"));
    }

    #[test]
    fn existing_data_fixes_the_major_version() {
        let root = tempfile::tempdir().unwrap();
        install(root.path(), "usr/pgsql-17/bin", "17.2");
        let bin = install(root.path(), "usr/libexec/postgresql15", "15.1");
        let data = Path::new("/data");
        let fixed = |major| Search {
            existing: Some((data, major)),
            ..search(root.path())
        };
        assert_eq!(find(&fixed(15)).unwrap().bin.join(""), bin.join(""));
        let text = find(&fixed(16)).unwrap_err().to_string();
        assert!(
            text.contains("made by PostgreSQL 16") && text.contains("found: 17.2 in"),
            "{text}"
        );
    }

    #[test]
    fn path_comes_before_the_usual_folders_and_the_setting_before_all() {
        let root = tempfile::tempdir().unwrap();
        install(root.path(), "usr/lib/postgresql/17/bin", "17.2");
        let on_path = install(root.path(), "mine", "16.1");
        let set = install(root.path(), "set", "15.1");
        let by_path = Search {
            path: Some(on_path.as_os_str()),
            ..search(root.path())
        };
        assert_eq!(find(&by_path).unwrap().major, 16);
        let by_setting = Search {
            setting: Some(&set),
            ..by_path
        };
        assert_eq!(find(&by_setting).unwrap().major, 15);
    }

    #[test]
    fn pg_config_on_the_path_leads_to_the_programs() {
        let root = tempfile::tempdir().unwrap();
        let bin = install(root.path(), "somewhere", "16.1");
        let path = root.path().join("tools");
        fs::create_dir(&path).unwrap();
        let tool = path.join("pg_config");
        fs::write(&tool, format!("#!/bin/sh\necho {}\n", bin.display())).unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
        let by_path = Search {
            path: Some(path.as_os_str()),
            ..search(root.path())
        };
        assert_eq!(find(&by_path).unwrap().bin, bin);
    }

    #[test]
    fn a_setting_without_programs_is_an_error_even_if_others_exist() {
        let root = tempfile::tempdir().unwrap();
        install(root.path(), "usr/lib/postgresql/17/bin", "17.2");
        let empty = root.path().join("empty");
        let wrong = Search {
            setting: Some(&empty),
            ..search(root.path())
        };
        let text = find(&wrong).unwrap_err().to_string();
        assert!(
            text.contains("DF_POSTGRES_BIN_DIR is ") && text.contains("no program initdb"),
            "{text}"
        );
    }
}
