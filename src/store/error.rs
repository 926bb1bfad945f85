//! Failures of the store, told apart by what the caller will do.

use tokio_postgres::error::SqlState;

/// A statement did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection could be had: PostgreSQL is away or the pool is exhausted.
    #[error("database unavailable")]
    Pool(#[from] deadpool_postgres::PoolError),
    /// The statement that this was part of failed for want of the database.
    #[error("database unavailable")]
    Unavailable,
    /// The database said nothing for too long: half a connection, a frozen server.
    #[error("database did not answer in time")]
    Silent,
    /// PostgreSQL refused or lost the statement.
    #[error("database statement failed ({})", sql_state(.0))]
    Statement(#[from] tokio_postgres::Error),
    /// The lane was taken over meanwhile: results of this run change nothing.
    #[error("lease lost")]
    LeaseLost,
    /// A stored value is not of its closed set.
    #[error("unexpected value in column {0}")]
    Corrupt(&'static str),
}

impl StoreError {
    /// Whether the same statement can succeed when tried again: connection
    /// loss, serialisation failures, deadlocks, rows that others hold, shutdown.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Pool(_) | Self::Unavailable | Self::Silent => true,
            Self::Statement(error) => is_retryable(error),
            Self::LeaseLost | Self::Corrupt(_) => false,
        }
    }

    /// Whether somebody held a row of it for too long: what shares the statement
    /// with that row could be done without it.
    pub fn is_blocked(&self) -> bool {
        matches!(self, Self::Statement(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE))
    }
}

fn is_retryable(error: &tokio_postgres::Error) -> bool {
    if error.is_closed() {
        return true;
    }
    match error.code() {
        None => true,
        Some(code) => {
            *code == SqlState::T_R_SERIALIZATION_FAILURE
                || *code == SqlState::T_R_DEADLOCK_DETECTED
                || *code == SqlState::LOCK_NOT_AVAILABLE
                || code.code().starts_with("57P")
                || code.code().starts_with("08")
                || code.code().starts_with("53")
        }
    }
}

/// The five-character SQLSTATE; the server's message may quote data and is never shown.
fn sql_state(error: &tokio_postgres::Error) -> String {
    error
        .code()
        .map_or_else(|| "connection".to_owned(), |code| code.code().to_owned())
}
