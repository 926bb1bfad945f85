//! `dev`: filled by the story.

use std::path::Path;
use std::process::ExitCode;

pub(super) async fn dev(_config: Option<&Path>, _once: bool) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
