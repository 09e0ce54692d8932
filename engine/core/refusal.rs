//! Why a request is wrong: every fault at once, each naming its field, what was wrong and what would be right.

use serde::{Deserialize, Serialize};

/// One thing wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fault {
    /// Path of the field in the request, such as `subnets[0].cidr`; empty for the request as a whole.
    pub field: String,
    /// What was wrong, with the value.
    pub wrong: String,
    /// What would be right.
    pub right: String,
}

impl Fault {
    /// A fault of `field`.
    pub fn new(field: impl Into<String>, wrong: impl Into<String>, right: impl Into<String>) -> Self {
        Self { field: field.into(), wrong: wrong.into(), right: right.into() }
    }

    /// The same fault, its field below `parent`.
    #[must_use]
    pub fn below(mut self, parent: &str) -> Self {
        self.field = match (self.field.is_empty(), self.field.starts_with('[')) {
            (true, _) => parent.to_owned(),
            (false, true) => format!("{parent}{}", self.field),
            (false, false) => format!("{parent}.{}", self.field),
        };
        self
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "{}", self.wrong)?;
        if !self.right.is_empty() {
            write!(f, "; {}", self.right)?;
        }
        Ok(())
    }
}

/// The kind of a refusal, by which a door chooses its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalKind {
    /// The request is malformed or asks for something that cannot be (HTTP 422).
    Invalid,
    /// The caller may not ask this (HTTP 403); no policy was asked.
    Forbidden,
    /// What the request names is not there (HTTP 404).
    NotFound,
    /// The request contradicts what is on record or on the host (HTTP 409).
    Conflict,
}

/// A request that never reaches the policies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{}", .faults.iter().map(ToString::to_string).collect::<Vec<_>>().join(" · "))]
pub struct Refusal {
    /// What kind of refusal.
    pub kind: RefusalKind,
    /// All faults found; never empty.
    pub faults: Vec<Fault>,
}

impl Refusal {
    /// A refusal of `kind` with one fault.
    pub fn one(kind: RefusalKind, field: impl Into<String>, wrong: impl Into<String>, right: impl Into<String>) -> Self {
        Self { kind, faults: vec![Fault::new(field, wrong, right)] }
    }
    /// HTTP 404.
    pub fn not_found(field: impl Into<String>, wrong: impl Into<String>, right: impl Into<String>) -> Self {
        Self::one(RefusalKind::NotFound, field, wrong, right)
    }
    /// HTTP 409.
    pub fn conflict(field: impl Into<String>, wrong: impl Into<String>, right: impl Into<String>) -> Self {
        Self::one(RefusalKind::Conflict, field, wrong, right)
    }
    /// HTTP 422.
    pub fn invalid(field: impl Into<String>, wrong: impl Into<String>, right: impl Into<String>) -> Self {
        Self::one(RefusalKind::Invalid, field, wrong, right)
    }
    /// HTTP 403, before any policy.
    pub fn forbidden(field: impl Into<String>, wrong: impl Into<String>, right: impl Into<String>) -> Self {
        Self::one(RefusalKind::Forbidden, field, wrong, right)
    }
}

/// Collects faults; the worst kind seen decides the refusal's.
#[derive(Debug, Default)]
pub struct Faults {
    invalid: Vec<Fault>,
    conflict: Vec<Fault>,
}

impl Faults {
    /// Something malformed.
    pub fn invalid(&mut self, field: impl Into<String>, wrong: impl Into<String>, right: impl Into<String>) {
        self.invalid.push(Fault::new(field, wrong, right));
    }
    /// Something that contradicts the record or the host.
    pub fn conflict(&mut self, field: impl Into<String>, wrong: impl Into<String>, right: impl Into<String>) {
        self.conflict.push(Fault::new(field, wrong, right));
    }
    /// Keeps the value, or files the fault below `field`.
    pub fn keep<T>(&mut self, field: &str, result: Result<T, Fault>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(fault) => {
                self.invalid.push(fault.below(field));
                None
            }
        }
    }
    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.invalid.is_empty() && self.conflict.is_empty()
    }
    /// All faults as one refusal, or nothing.
    pub fn finish(self) -> Result<(), Refusal> {
        let kind = if self.invalid.is_empty() { RefusalKind::Conflict } else { RefusalKind::Invalid };
        let faults: Vec<Fault> = self.invalid.into_iter().chain(self.conflict).collect();
        if faults.is_empty() { Ok(()) } else { Err(Refusal { kind, faults }) }
    }
}
