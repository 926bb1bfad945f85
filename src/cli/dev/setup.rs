//! The settings of `dev`: the operator's for listener, log and folders; our own
//! for vendors, secrets and rules, so that no real account is ever touched.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use anyhow::Context;

use crate::config::{Settings, Surroundings};
use crate::sandbox::{self, Sandbox};

/// The number our texts come from.
pub(super) const OUR_NUMBER: &str = "+18585550100";
/// The GHL tag of the story, and the Aloware list it stands for.
pub(super) const LISTED_TAG: (&str, i64) = ("hot lead", 301);

/// Variables that are not the operator's here.
const OURS: [&str; 8] = [
    "DATABASE_URL",
    "X_DF_JOBS_SECRET",
    "DF_ADMIN_SECRET",
    "DF_RECORDING_LINKS",
    "DF_DEFAULT_REGION",
    "CONTACT_SOURCE_OF_TRUTH",
    "ALERT_WEBHOOK_URL",
    "DF_HTTP_TIMEOUT",
];
/// Beginnings of such variables.
const OUR_PREFIXES: [&str; 5] = ["GHL_", "ALOWARE_", "TEXTING_", "VERITY_", "JOBS_"];
/// Sections of the file that do not count here, nor does `database.url`.
const OUR_SECTIONS: [&str; 7] = ["ghl", "aloware", "texting", "sync", "jobs", "admin", "alerts"];

/// Generated at each start, printed at the end so that they can be used by hand.
#[derive(Clone)]
pub(super) struct Secrets {
    pub(super) aloware_user: String,
    pub(super) aloware_pass: String,
    pub(super) ghl: String,
    pub(super) texting: String,
    pub(super) jobs: String,
    pub(super) admin: String,
}

/// All that is decided before anything runs.
pub(super) struct Plan {
    pub(super) settings: Settings,
    pub(super) secrets: Secrets,
    /// Names of what the operator set and what does not count here.
    pub(super) ignored: Vec<String>,
    /// Whether the operator named an address to listen on.
    pub(super) bind_given: bool,
    /// Whether the operator wants no colour.
    pub(super) no_color: bool,
}

impl Secrets {
    fn generate() -> Self {
        let secret = || hex::encode(rand::random::<[u8; 16]>());
        Self {
            aloware_user: "aloware".to_owned(),
            // A colon, because real ones may have one too.
            aloware_pass: format!("dev:{}", secret()),
            ghl: secret(),
            texting: secret(),
            jobs: secret(),
            admin: secret(),
        }
    }
}

impl Plan {
    /// Lays the settings of `dev` over what the process finds around itself.
    ///
    /// # Errors
    /// Every problem of the settings that do count, in one report.
    pub(super) fn make(mut around: Surroundings, sandbox: &Sandbox) -> anyhow::Result<Self> {
        let secrets = Secrets::generate();
        let value = |around: &Surroundings, name: &str| {
            let found = around.env.iter().find(|(known, _)| known == name);
            found.is_some_and(|(_, value)| !value.trim().is_empty())
        };
        let (bind_given, no_color) = (value(&around, "DF_BIND"), value(&around, "NO_COLOR"));
        let mut ignored = Vec::new();
        around.env.retain(|(name, value)| {
            let ours = is_ours(name);
            if ours && !value.trim().is_empty() {
                ignored.push(name.clone());
            }
            !ours
        });
        around.file = around
            .file
            .as_deref()
            .map(|text| without_our_sections(text, &mut ignored));
        for (name, text) in [
            ("DF_LOG", "warn"),
            ("DF_LOG_FORMAT", "pretty"),
            ("DF_DATABASE_POOL_SIZE", "8"),
        ] {
            if !value(&around, name) {
                around.env.push((name.to_owned(), text.to_owned()));
            }
        }
        let ours = ours(sandbox, &secrets);
        around
            .env
            .extend(ours.into_iter().map(|(name, text)| (name.to_owned(), text)));
        let mut settings = around.settings()?;
        settings.database.data_dir = settings.database.data_dir.join("dev");
        Ok(Self {
            settings,
            secrets,
            ignored,
            bind_given,
            no_color,
        })
    }

    /// The listener: where the settings say; on a free port for `--once`, and
    /// when that place is taken and nobody asked for it.
    pub(super) fn listen(&self, once: bool) -> anyhow::Result<TcpListener> {
        let wanted = self.settings.server.bind;
        let free = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        let bind =
            |address: SocketAddr| TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"));
        if once && !self.bind_given {
            return bind(free);
        }
        match TcpListener::bind(wanted) {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && !self.bind_given => bind(free),
            other => other.with_context(|| format!("cannot listen on {wanted}")),
        }
    }

    /// What an earlier `dev` accepted and did not store is not of this story.
    pub(super) fn clear_spool(&self) -> anyhow::Result<()> {
        let spool: &Path = &self.settings.database.data_dir.join("spool");
        match std::fs::remove_dir_all(spool) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot empty {}", spool.display()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

fn is_ours(name: &str) -> bool {
    let base = name.strip_suffix("_FILE").unwrap_or(name);
    OURS.contains(&base) || OUR_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The operator's file without what does not count here. A file that is no
/// TOML stays as it is: reading the settings reports it.
fn without_our_sections(text: &str, ignored: &mut Vec<String>) -> String {
    let Ok(mut sections) = text.parse::<toml::Table>() else {
        return text.to_owned();
    };
    for section in OUR_SECTIONS {
        if sections
            .remove(section)
            .is_some_and(|found| found.as_table().is_some_and(|keys| !keys.is_empty()))
        {
            ignored.push(format!("[{section}]"));
        }
    }
    for (section, key) in [("database", "url"), ("http", "timeout")] {
        let keys = sections.get_mut(section).and_then(toml::Value::as_table_mut);
        if keys.is_some_and(|keys| keys.remove(key).is_some()) {
            ignored.push(format!("{section}.{key}"));
        }
    }
    sections.to_string()
}

fn ours(sandbox: &Sandbox, secrets: &Secrets) -> Vec<(&'static str, String)> {
    vec![
        ("GHL_BASE_URL", sandbox.ghl.url()),
        ("GHL_API_KEY", sandbox::ghl::TOKEN.to_owned()),
        ("GHL_LOCATION_ID", sandbox::ghl::LOCATION.to_owned()),
        ("GHL_WEBHOOK_SECRET", secrets.ghl.clone()),
        ("GHL_WEBHOOK_PUBLIC_KEYS", sandbox.ghl.public_key_base64()),
        ("ALOWARE_BASE_URL", sandbox.aloware.url()),
        ("ALOWARE_API_TOKEN", sandbox::aloware::TOKEN.to_owned()),
        ("ALOWARE_WEBHOOK_BASIC_USER", secrets.aloware_user.clone()),
        ("ALOWARE_WEBHOOK_BASIC_PASS", secrets.aloware_pass.clone()),
        ("ALOWARE_TAG_LISTS", format!("{}={}", LISTED_TAG.0, LISTED_TAG.1)),
        ("TEXTING_BASE_URL", sandbox.texting.url()),
        ("TEXTING_API_KEY", sandbox::texting::TOKEN.to_owned()),
        ("TEXTING_WEBHOOK_SECRET", secrets.texting.clone()),
        ("TEXTING_FROM_NUMBER", OUR_NUMBER.to_owned()),
        // The story runs at any time of day.
        ("TEXTING_QUIET_HOURS", "off".to_owned()),
        ("X_DF_JOBS_SECRET", secrets.jobs.clone()),
        ("DF_ADMIN_SECRET", secrets.admin.clone()),
        // The story's outage is to take seconds.
        ("JOBS_RETRY_DELAY", "100ms".to_owned()),
        ("JOBS_RETRY_MAX_DELAY", "500ms".to_owned()),
        ("JOBS_POLL_INTERVAL", "100ms".to_owned()),
        ("DF_HTTP_TIMEOUT", "5s".to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Defaults;

    fn around(file: Option<&str>, env: &[(&str, &str)]) -> Surroundings {
        let env: std::collections::BTreeMap<String, String> = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Surroundings {
            file: file.map(str::to_owned),
            defaults: Defaults::new(&env, false),
            env: env.into_iter().collect(),
        }
    }

    #[tokio::test]
    async fn real_accounts_and_databases_are_left_alone_and_the_listener_is_the_operators() {
        let sandbox = Sandbox::start().await.unwrap();
        let file = "[server]\nlog = \"info\"\n[ghl]\nbase_url = \"https://real.example\"\nconversation_provider_id = \"p1\"\n[database]\nurl = \"postgres://real\"";
        let env = [
            ("HOME", "/home/ann"),
            ("DF_BIND", "127.0.0.1:9999"),
            ("DF_LOG", "debug"),
            ("DATABASE_URL", "postgres://real.example/x"),
            ("GHL_API_KEY_FILE", "/run/secrets/ghl"),
            ("VERITY_BASE_URL", "https://real.example"),
            ("DF_ADMIN_SECRET", "real"),
            ("NO_COLOR", "1"),
        ];
        let plan = Plan::make(around(Some(file), &env), &sandbox).unwrap();
        let settings = &plan.settings;
        assert!(settings.database.url.is_none());
        assert_eq!(
            settings.database.data_dir,
            Path::new("/home/ann/.local/share/df-middleware/dev")
        );
        assert_eq!(
            (settings.server.bind.port(), settings.server.log.as_str()),
            (9999, "debug")
        );
        assert_eq!(settings.ghl.base_url.as_str().trim_end_matches('/'), sandbox.ghl.url());
        assert_eq!(settings.ghl.conversation_provider_id, None);
        assert!(plan.bind_given && plan.no_color);
        assert_eq!(
            plan.ignored,
            [
                "DATABASE_URL",
                "DF_ADMIN_SECRET",
                "GHL_API_KEY_FILE",
                "VERITY_BASE_URL",
                "[ghl]",
                "database.url"
            ]
        );
    }

    #[tokio::test]
    async fn secrets_differ_at_each_start_and_a_broken_file_is_reported() {
        let sandbox = Sandbox::start().await.unwrap();
        let plan = |file| Plan::make(around(file, &[("HOME", "/home/ann")]), &sandbox);
        let (first, second) = (plan(None).unwrap(), plan(None).unwrap());
        assert_ne!(first.secrets.admin, second.secrets.admin);
        assert_ne!(first.secrets.admin, first.secrets.jobs);
        assert_eq!(first.settings.server.log, "warn");
        assert!(plan(Some("[server")).is_err());
        assert!(plan(Some("[sever]\nlog = \"x\"")).is_err());
    }
}
