//! What the process finds around itself: the file, the environment, its user.
//!
//! The only code that looks at the real ones; conversions are in `assemble`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::sections::{Database, Settings};
use super::{Effective, Problems, describe, keys, parse, parse_database};

const USUAL_FILE: &str = "df-middleware.toml";
const PORT: u16 = 8080;

/// The defaults that depend on where the process runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// `server.bind`.
    pub bind: SocketAddr,
    /// `database.data_dir`; `None` when no folder can be guessed, which makes
    /// that setting required.
    pub data_dir: Option<PathBuf>,
}

impl Defaults {
    /// The defaults for a process with this environment, running as root or not.
    pub fn new(env: &BTreeMap<String, String>, is_root: bool) -> Self {
        let get = |name: &str| {
            env.get(name)
                .map(|value| value.trim())
                .filter(|value| !value.is_empty())
        };
        let contained = get("DF_CONTAINER") == Some("1");
        let ip = if contained {
            Ipv4Addr::UNSPECIFIED
        } else {
            Ipv4Addr::LOCALHOST
        };
        let absolute = |name| get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let data_home = || absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")));
        let parent = if is_root {
            Some(PathBuf::from("/var/lib"))
        } else {
            data_home()
        };
        Self {
            bind: SocketAddr::from((ip, PORT)),
            data_dir: parent.map(|parent| parent.join("df-middleware")),
        }
    }
}

/// Where settings come from. Commands that add settings of their own (`dev`)
/// push them to `env` before asking for [`Surroundings::settings`].
#[derive(Clone)]
pub struct Surroundings {
    /// Text of the configuration file, when there is one.
    pub file: Option<String>,
    /// Name and value of every environment variable; the last of a name counts.
    pub env: Vec<(String, String)>,
    /// Defaults of this place.
    pub defaults: Defaults,
}

impl Surroundings {
    /// Reads the real environment and the file at `cli_path`, else at
    /// `DF_CONFIG`, else `./df-middleware.toml` when there is one.
    ///
    /// # Errors
    /// When the file cannot be read, or a variable of ours is not UTF-8.
    pub fn gather(cli_path: Option<&Path>) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let mut env = BTreeMap::new();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else {
                continue;
            };
            match value.into_string() {
                Ok(value) => drop(env.insert(name, value)),
                Err(_) if is_ours(&name) => problems.add(format!("{name}: the value is not UTF-8")),
                Err(_) => {}
            }
        }
        let named = env
            .get("DF_CONFIG")
            .map(|path| path.trim())
            .filter(|path| !path.is_empty());
        let named = cli_path.or(named.map(Path::new));
        let file = file(named).unwrap_or_else(|problem| {
            problems.add(problem);
            None
        });
        let defaults = Defaults::new(&env, rustix::process::geteuid().is_root());
        if problems.is_empty() {
            Ok(Self {
                file,
                env: env.into_iter().collect(),
                defaults,
            })
        } else {
            Err(problems)
        }
    }

    /// The settings.
    ///
    /// # Errors
    /// Every problem found, in one report.
    pub fn settings(self) -> Result<Settings, Problems> {
        parse(self.file.as_deref(), self.env, read_file, &self.defaults)
    }

    /// Only `[database]`; nothing else is required.
    ///
    /// # Errors
    /// Every problem found, in one report.
    pub fn database(self) -> Result<Database, Problems> {
        parse_database(self.file.as_deref(), self.env, read_file, &self.defaults)
    }

    /// Every key with its value and origin, secrets masked.
    pub fn effective(self) -> Effective {
        describe(self.file.as_deref(), self.env, read_file, &self.defaults)
    }
}

fn is_ours(variable: &str) -> bool {
    keys::is_variable(variable) || keys::NOT_SETTINGS.contains(&variable)
}

fn read_file(path: &Path) -> io::Result<String> {
    fs::read_to_string(path)
}

/// The text of the file named, or of the usual one, which may be missing.
fn file(named: Option<&Path>) -> Result<Option<String>, String> {
    let path = named.unwrap_or(Path::new(USUAL_FILE));
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: cannot be read: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn defaults(env: &[(&str, &str)], is_root: bool) -> Defaults {
        let env = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Defaults::new(&env, is_root)
    }

    fn data_dir(env: &[(&str, &str)], is_root: bool) -> Option<String> {
        Some(defaults(env, is_root).data_dir?.display().to_string())
    }

    #[test]
    fn only_a_container_listens_on_every_address() {
        assert_eq!(defaults(&[], false).bind.to_string(), "127.0.0.1:8080");
        assert_eq!(
            defaults(&[("DF_CONTAINER", "0")], false).bind.to_string(),
            "127.0.0.1:8080"
        );
        assert_eq!(
            defaults(&[("DF_CONTAINER", "1")], false).bind.to_string(),
            "0.0.0.0:8080"
        );
    }

    #[test]
    fn the_data_folder_follows_the_user() {
        let home = ("HOME", "/home/ann");
        assert_eq!(data_dir(&[home], true).as_deref(), Some("/var/lib/df-middleware"));
        assert_eq!(
            data_dir(&[home], false).as_deref(),
            Some("/home/ann/.local/share/df-middleware")
        );
        assert_eq!(
            data_dir(&[home, ("XDG_DATA_HOME", "/data")], false).as_deref(),
            Some("/data/df-middleware")
        );
        let relative = data_dir(&[home, ("XDG_DATA_HOME", "data")], false);
        assert_eq!(
            relative.as_deref(),
            Some("/home/ann/.local/share/df-middleware"),
            "XDG ignores relative paths"
        );
        assert_eq!(data_dir(&[], false), None);
    }

    #[test]
    fn a_file_that_was_named_must_exist() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = folder.path().join("missing.toml");
        let why = file(Some(&missing)).expect_err("no such file");
        assert!(why.contains("missing.toml: cannot be read"), "{why}");
        let report = Surroundings::gather(Some(&missing))
            .map(drop)
            .expect_err("no such file");
        assert_eq!(report.len(), 1);
    }

    #[test]
    fn the_file_named_on_the_command_line_is_read() {
        let mut written = tempfile::NamedTempFile::new().expect("a file");
        written.write_all(b"[server]\nlog = \"debug\"\n").expect("written");
        let found = Surroundings::gather(Some(written.path())).expect("readable");
        assert_eq!(found.file.as_deref(), Some("[server]\nlog = \"debug\"\n"));
    }
}
