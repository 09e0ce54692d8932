//! Why the kernel did not do as asked. Display says what was tried, `source()` is the cause, never both.

use rustix::io::Errno;
use std::error::Error;
use std::io;

/// Something that was asked of the kernel and did not happen.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The kernel answered with an error.
    #[error("{tried}: refused by the kernel{}", said(.text))]
    Refused {
        /// What was tried, as `ip` or `tc` would be told.
        tried: String,
        /// The kernel's own words (NLMSGERR_ATTR_MSG), where it has any.
        text: Option<String>,
        /// Its error number.
        #[source]
        errno: Errno,
    },
    /// The namespace of the plan is not there any more.
    #[error("network namespace {0} is gone")]
    NamespaceGone(String),
    /// A namespace could not be entered or examined.
    #[error("network namespace {named}: {tried}")]
    Namespace {
        /// How it was named.
        named: String,
        /// What was tried.
        tried: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A file of /proc or /sys, or a socket, did not work.
    #[error("{tried}")]
    Io {
        /// What was tried.
        tried: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// What is there is not what the record says, and is left alone.
    #[error("{tried}: {found}")]
    NotOurs {
        /// What was tried.
        tried: String,
        /// What is there instead.
        found: String,
    },
}

impl KernelError {
    /// The whole story in one line: what was tried, and every cause below it.
    pub fn why(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }

    pub(crate) fn io(tried: impl Into<String>, source: impl Into<io::Error>) -> Self {
        KernelError::Io { tried: tried.into(), source: source.into() }
    }

    /// The kernel's error number, where it answered with one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            KernelError::Refused { errno, .. } => Some(*errno),
            KernelError::Namespace { source, .. } | KernelError::Io { source, .. } => Errno::from_io_error(source),
            KernelError::NamespaceGone(_) | KernelError::NotOurs { .. } => None,
        }
    }
}

fn said(text: &Option<String>) -> String {
    text.as_ref().map(|t| format!(" (“{}”)", t.trim_end())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_story_names_step_kernel_text_and_error() {
        let error = KernelError::Refused {
            tried: "ip -n /run/netns/a addr add 10.0.0.2/24 dev eth0".into(),
            text: Some("Address already assigned to an ipvlan device.".into()),
            errno: Errno::ADDRINUSE,
        };
        assert_eq!(
            error.why(),
            "ip -n /run/netns/a addr add 10.0.0.2/24 dev eth0: refused by the kernel \
             (“Address already assigned to an ipvlan device.”): Address already in use (os error 98)"
        );
    }
}
