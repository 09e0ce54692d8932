//! The slow and the dangerous of a module: checks, compilation, its first words, its settings frozen into memory.
//!
//! All functions here are pure: they look at their arguments and nothing else, so that they can run in a child process.

use crate::admit::{self, NotAdmitted};
use crate::freeze::{self, Frozen};
use crate::linked::Linked;
use crate::run::Broke;
use crate::runner::Runner;
use crate::schema;
use crate::settings::SettingsRefused;
use bulkhead_core::policy::Description;
use serde::{Deserialize, Serialize};

/// What is to be done with the bytes that come along.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Job {
    /// Uploaded bytes: check, compile, ask what they judge.
    Admit,
    /// The same bytes: put the settings to them, freeze their memory then, compile that.
    Freeze(Put),
    /// Compiled code: put the settings to it.
    Configure(Put),
}

/// Settings that are put to a module.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Put {
    /// As the module reads them.
    pub settings: String,
    /// The module's JSON Schema of them; empty for none.
    pub schema: String,
}

impl Put {
    /// What the module says to them, and what its schema does.
    fn to<T>(&self, module: impl FnOnce(&str) -> Result<T, SettingsRefused>) -> Result<T, SettingsRefused> {
        SettingsRefused::also(module(&self.settings), schema::violations(&self.schema, &self.settings))
    }
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// What the module says of itself; its code comes along, where the job makes some.
    Said(Description),
    /// The module's form does not let its memory be frozen.
    NotFreezable(String),
    NotAdmitted(NotAdmitted),
    SettingsRefused(SettingsRefused),
}

/// Does a job. The second is compiled code; empty where the job makes none.
pub(crate) fn work(runner: &Runner, job: &Job, bytes: &[u8]) -> (Outcome, Vec<u8>) {
    let done = match job {
        Job::Admit => admit(runner, bytes).map_err(Outcome::NotAdmitted),
        Job::Freeze(put) => match put.to(|settings| frozen(runner, bytes, settings)) {
            Ok(Frozen::Yes(description, code)) => Ok((description, code)),
            Ok(Frozen::No(why)) => Err(Outcome::NotFreezable(why)),
            Err(refused) => Err(Outcome::SettingsRefused(refused)),
        },
        Job::Configure(put) => {
            let described = put.to(|settings| configure(runner, bytes, settings));
            described.map(|d| (d, Vec::new())).map_err(Outcome::SettingsRefused)
        }
    };
    done.map_or_else(|outcome| (outcome, Vec::new()), |(description, code)| (Outcome::Said(description), code))
}

fn admit(runner: &Runner, bytes: &[u8]) -> Result<(Description, Vec<u8>), NotAdmitted> {
    let component = admit::component(bytes, &runner.limits)?;
    let compiled = admit::compile(runner.engine(), &component)?;
    let linked = Linked::new(&compiled)?;
    let said = runner.call(&linked, runner.unhurried(), |mut run| run.describe());
    let said = said.map_err(|broke| match broke {
        Broke::Types(why) => NotAdmitted::WrongTypes(why),
        broke => NotAdmitted::Broke(broke.to_string()),
    })?;
    let description = admit::description(said).map_err(NotAdmitted::Description)?;
    Ok((description, admit::code(&compiled)?))
}

fn frozen(runner: &Runner, bytes: &[u8], settings: &str) -> Result<Frozen, SettingsRefused> {
    let again = |e: NotAdmitted| SettingsRefused::of_module(&format!("the module was admitted, and is not any more: {e}"));
    let component = admit::component(bytes, &runner.limits).map_err(again)?;
    freeze::freeze(runner, &component, settings)
}

fn configure(runner: &Runner, code: &[u8], settings: &str) -> Result<Description, SettingsRefused> {
    // SAFETY: this daemon's own compiler made the code: the judge hands on what it holds itself ([`crate::judge`]).
    let compiled = unsafe { runner.open(code) }.map_err(|e| SettingsRefused::of_module(&format!("its code cannot be opened: {e:#}")))?;
    let linked = Linked::new(&compiled).map_err(|e| SettingsRefused::of_module(&e.to_string()))?;
    let said = runner.call(&linked, runner.unhurried(), |mut run| {
        Ok(match run.configure(settings)? {
            Ok(()) => Ok(run.describe()?),
            Err(violations) => Err(SettingsRefused { violations }),
        })
    });
    SettingsRefused::unless_described(said)
}
