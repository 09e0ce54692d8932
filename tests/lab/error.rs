//! What keeps the lab from doing its work. Never what it finds out: an unanswered ping is an answer.

use std::{io, process::ExitStatus};

/// Display says what was tried; `source()` is the system's word.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("{what}")]
    System {
        /// What was tried.
        what: String,
        /// Why it did not work.
        #[source]
        source: io::Error,
    },
    /// A program ended badly.
    #[error("`{command}` in {namespace}: {status}: {said}")]
    Command {
        /// The command line, or the batch.
        command: String,
        /// Where it ran.
        namespace: String,
        /// How it ended.
        status: ExitStatus,
        /// Its standard error.
        said: String,
    },
    /// The other side did not do as expected.
    #[error("{0}")]
    Unexpected(String),
}

/// The lab's result.
pub type Result<T> = std::result::Result<T, Error>;

/// Says what was tried.
pub(crate) trait Tried<T> {
    fn tried(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<io::Error>> Tried<T> for std::result::Result<T, E> {
    fn tried(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| {
            let source = source.into();
            Error::System { what: format!("{}: {source}", what()), source }
        })
    }
}
