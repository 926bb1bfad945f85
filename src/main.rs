//! The thin entry: `df-middleware` is [`df_middleware::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    df_middleware::cli::run()
}
