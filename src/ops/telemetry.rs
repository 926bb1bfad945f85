//! Log lines: to standard error, as JSON or for people. Never a phone, e-mail,
//! name, token or body in them; that is up to who writes the line.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{LogFormat, Server};

/// Starts logging as the settings say. A second call changes nothing and
/// answers false.
pub fn init(settings: &Server) -> bool {
    let (filter, problem) = match EnvFilter::try_new(&settings.log) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new("info"), Some(error)),
    };
    let lines = fmt().with_env_filter(filter).with_writer(io::stderr);
    let begun = match settings.log_format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).try_init(),
        LogFormat::Pretty => lines.with_ansi(io::stderr().is_terminal()).try_init(),
    };
    if let Some(error) = problem {
        tracing::warn!(%error, "server.log is no filter; logging at info");
    }
    begun.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starting_twice_and_a_bad_filter_do_no_harm() {
        let server = |log: &str, log_format| Server {
            bind: ([127, 0, 0, 1], 0).into(),
            reuse_port: false,
            body_limit: 1,
            shutdown_grace: std::time::Duration::ZERO,
            log: log.to_owned(),
            log_format,
        };
        init(&server("off", LogFormat::Json));
        assert!(!init(&server("warn,=,,", LogFormat::Pretty)));
    }
}
