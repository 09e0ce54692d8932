//! How a command fails: what is said on stderr, and the exit code.
//!
//! 0 ok, 1 failure, 2 usage (also a request that is wrong), 3 denied (by a policy, or not yours to ask), 4 not found, 5 conflict,
//! 6 unavailable (the daemon is away, or cannot take it now).

use super::terminal::{Paint, harmless, painted, say};
use bulkhead_web::problem::ProblemBody;
use std::io;
use std::process::ExitCode;

/// What a command comes to.
pub type Result<T> = std::result::Result<T, Failed>;

/// Why a command did not do as asked.
#[derive(Debug)]
pub enum Failed {
    /// The daemon said so.
    Problem(Box<ProblemBody>),
    /// A dry run or a rehearsal says that it would be denied; all is told already.
    WouldBeDenied,
    /// What was looked at is not as it should be; all is told already.
    NotAsItShouldBe,
    /// Something about a command's own words: what was wrong, and what would be right.
    Usage(String),
    /// There is no such thing, though the daemon did not have to say so.
    NotFound(String),
    /// It contradicts what is there.
    Conflict(String),
    /// Nobody answers.
    Unavailable(String),
    /// Anything else.
    Other(String),
    /// Whoever read our output has gone, and wants no more.
    NobodyReads,
}

impl Failed {
    /// What answers is not our daemon, or not one that we understand.
    pub fn foreign(what: &str) -> Self {
        Self::Other(format!("{what}: is it really a Bulkhead daemon that listens there (--host, BULKHEAD_HOST)?"))
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::NobodyReads => 0,
            Self::Other(_) | Self::NotAsItShouldBe => 1,
            Self::Usage(_) => 2,
            Self::WouldBeDenied => 3,
            Self::NotFound(_) => 4,
            Self::Conflict(_) => 5,
            Self::Unavailable(_) => 6,
            Self::Problem(problem) => match problem.status {
                413 | 415 | 422 => 2,
                401 | 403 => 3,
                404 => 4,
                409 | 412 => 5,
                503 | 504 => 6,
                _ => 1,
            },
        }
    }

    /// Says it on stderr.
    pub fn tell(&self) -> ExitCode {
        let red = |text: &str| painted(&io::stderr(), Paint::Red, text);
        match self {
            Self::NobodyReads | Self::WouldBeDenied | Self::NotAsItShouldBe => {}
            Self::Usage(what) | Self::NotFound(what) | Self::Conflict(what) | Self::Unavailable(what) | Self::Other(what) => {
                say(&format!("{} {what}", red("bulkhead:")));
            }
            Self::Problem(problem) => {
                let listed = !problem.violations.is_empty() || !problem.faults.is_empty();
                let headline = if listed { &problem.title } else { &problem.detail };
                let decision = problem.decision.map(|d| format!(" (decision {d})")).unwrap_or_default();
                say(&format!("{} {}{decision}", red("bulkhead:"), harmless(headline)));
                say(&details(problem));
            }
        }
        ExitCode::from(self.code())
    }
}

/// Each violation and fault on a line: rule · field · what was wrong · what would be right.
pub fn details(problem: &ProblemBody) -> String {
    let mut lines = String::new();
    let mut line = |parts: &[&str]| {
        let parts: Vec<String> = parts.iter().filter(|p| !p.is_empty()).map(|p| harmless(p)).collect();
        lines += &format!("  {}\n", parts.join(" · "));
    };
    for v in &problem.violations {
        let rule = format!("{}/{}", v.policy, v.rule);
        line(&[&rule, v.field.as_deref().unwrap_or_default(), &v.message, v.remedy.as_deref().unwrap_or_default()]);
        if let Some(help) = &v.help {
            let ask = help.contact.as_ref().map(|c| format!("ask {c}")).unwrap_or_default();
            line(&["  help", help.message.as_deref().unwrap_or_default(), &ask, help.url.as_deref().unwrap_or_default()]);
        }
    }
    for f in &problem.faults {
        line(&[&f.field, &f.wrong, &f.right]);
    }
    if let Some(left) = &problem.left {
        line(&["left behind", left]);
    }
    if problem.goes_on == Some(true) {
        line(&["it is on record, and is tried again"]);
    }
    lines
}

impl From<io::Error> for Failed {
    /// Of writing to stdout.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::NobodyReads,
            _ => Self::Other(format!("the output cannot be written: {error}")),
        }
    }
}
