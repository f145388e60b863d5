//! What a verb in Postgres fails with, what callers hear of it, and what is worth another try.

use crate::StoreError;
pub(super) use crate::refusals::{conflict, expect_version};

/// The failure of one verb: the domain's, or the database's.
#[derive(Debug, thiserror::Error)]
pub(super) enum JobError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error("a stored value cannot be read")]
    Stored(#[from] serde_json::Error),
    #[error("the database did not answer within {0} s")]
    TooLong(u64),
    #[error("the connection was lost while the change was committed: it may have happened, or not")]
    Unknown(#[source] sqlx::Error),
}

/// What a verb answers within.
pub(super) type JobResult<T> = Result<T, JobError>;

/// A row that does not hold what this program writes.
pub(super) fn unreadable(column: &str, what: &str) -> JobError {
    let source = format!("{what} is not what is written there").into();
    JobError::Sql(sqlx::Error::ColumnDecode { index: column.to_owned(), source })
}

impl JobError {
    /// What the caller hears.
    pub(super) fn into_store_error(self) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Sql(error) => match code(&error).as_deref() {
                // disk_full
                Some("53100") => StoreError::Full(Box::new(error)),
                // foreign_key_violation: every reference but the one to the app is checked before it is written.
                Some("23503") => conflict("the app does not exist any more", Vec::new()),
                // character_not_in_repertoire: the one character that a text of Postgres cannot hold.
                Some("22021") => conflict("a text with the character U+0000 cannot be kept in Postgres", Vec::new()),
                _ if is_away(&error) => StoreError::Away(Box::new(error)),
                _ => StoreError::Backend(Box::new(error)),
            },
            error @ (Self::TooLong(_) | Self::Unknown(_)) => StoreError::Away(Box::new(error)),
            other => StoreError::Backend(Box::new(other)),
        }
    }

    /// Whether the verb did nothing, and another try may go better at once.
    pub(super) fn is_worth_another_try(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        match error {
            sqlx::Error::Io(_) => true,
            // serialization_failure, deadlock_detected; unique_violation: another one made the same thing at the same
            // time, which the next try sees; admin_shutdown, crash_shutdown: the server restarts.
            // foreign_key_violation of what others drop when nobody needs it any more, a source or the bytes of a file.
            error => match code(error).as_deref() {
                Some("40001" | "40P01" | "23505" | "57P01" | "57P02") => true,
                Some("23503") => error
                    .as_database_error()
                    .and_then(|error| error.constraint())
                    .is_some_and(|name| name.ends_with("_hash_fkey")),
                _ => false,
            },
        }
    }
}

/// Whether it is the server that is not there, is too busy, or is slower than anybody waits.
fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Tls(_) => true,
        // Classes: connection_exception, insufficient_resources, operator_intervention; and lock_not_available.
        error => code(error)
            .is_some_and(|code| ["08", "53", "57"].iter().any(|class| code.starts_with(class)) || code == "55P03"),
    }
}

/// The SQLSTATE, where it was the server that refused.
pub(super) fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned())
}
