//! Where code is made of modules: checked, compiled, its settings frozen. In a process of its own where there is one, and kept for the
//! next start.

use crate::admit::{self, NotAdmitted};
use crate::cache::{Cache, Kept};
use crate::child::Child;
use crate::limits::Limits;
use crate::linked::Linked;
use crate::loaded::{Loaded, Snapshot};
use crate::prepare::{self, Job, Outcome};
use crate::runner::Runner;
use crate::settings::{self, SettingsRefused};
use crate::turns::Turns;
use bulkhead_core::policy::{Description, Digest, Policy};
use serde_json::Value;
use std::sync::Arc;

/// Makes code of modules.
pub(crate) struct Workshop {
    /// Without it, a module that breaks the compiler breaks this process.
    pub(crate) child: Option<Child>,
    pub(crate) cache: Option<Cache>,
    turns: Turns,
}

impl Workshop {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { child: None, cache: None, turns: Turns::new(u32::try_from(limits.admissions_at_once).unwrap_or(u32::MAX)) }
    }

    /// The module, ready to judge. From a millisecond to many seconds, by size.
    pub(crate) fn load(&self, runner: &Runner, digest: Digest, bytes: &[u8]) -> Result<Loaded, NotAdmitted> {
        // Before a process is started for it.
        admit::check_size(bytes, &runner.limits)?;
        let kept = self.kept(runner, digest, || match self.work(runner, Job::Admit, bytes) {
            Ok((Outcome::Said(description), code)) => Ok(Kept { description, code }),
            Ok((Outcome::NotAdmitted(why), _)) => Err(why),
            Ok(_) => Err(NotAdmitted::Unfinished("gave another answer than was asked for".into())),
            Err(why) => Err(NotAdmitted::Unfinished(why)),
        })?;
        let linked = open(runner, &kept.code)?;
        let source = (bytes.len() as u64 <= runner.limits.freeze_bytes_max).then(|| Arc::from(bytes));
        Ok(Loaded::new(linked, bytes.len() as u64, kept.description, source))
    }

    /// The module with these settings in memory; none where its form or size do not allow it.
    pub(crate) fn freeze(
        &self,
        runner: &Runner,
        digest: Digest,
        loaded: &Loaded,
        settings: &Value,
    ) -> Result<Option<Arc<Snapshot>>, SettingsRefused> {
        let there = loaded.frozen(settings);
        let Some(source) = loaded.source().filter(|_| there.is_none()) else { return Ok(there) };
        let text = settings::text(settings);
        let kept = self.kept(runner, settings::key(digest, &text), || {
            let (outcome, code) =
                self.work(runner, Job::Freeze(loaded.put(text)), source).map_err(|e| Some(SettingsRefused::unfinished(&e)))?;
            if let Outcome::NotFreezable(why) = outcome {
                tracing::debug!(module = %digest, %why, "settings of this module are read at every judgement");
                loaded.is_not_freezable();
                return Err(None);
            }
            Ok(Kept { description: loaded.described(outcome).map_err(Some)?, code })
        });
        let kept = match kept {
            Ok(kept) => kept,
            Err(None) => return Ok(None),
            Err(Some(refused)) => return Err(refused),
        };
        let linked = open(runner, &kept.code).map_err(|e| SettingsRefused::of_module(&e.to_string()))?;
        Ok(Some(loaded.keep_frozen(Snapshot::new(settings.clone(), linked, kept.description, kept.code.len() as u64))))
    }

    /// What the module says of itself with these settings, where it takes them. Nothing is kept.
    pub(crate) fn configure(&self, runner: &Runner, loaded: &Loaded, text: String) -> Result<Description, SettingsRefused> {
        let code = loaded.code().map_err(|e| SettingsRefused::of_module(&e.to_string()))?;
        let (outcome, _) = self.work(runner, Job::Configure(loaded.put(text)), &code).map_err(|e| SettingsRefused::unfinished(&e))?;
        loaded.described(outcome)
    }

    /// Forgets a module's code.
    pub(crate) fn forget(&self, runner: &Runner, digest: Digest) {
        if let Some(cache) = &self.cache {
            cache.forget(runner.engine(), digest);
        }
    }

    /// Forgets code that was not used for longest, beyond what the limit lets be kept.
    pub(crate) fn tidy(&self, runner: &Runner, in_force: &[&Policy]) {
        if let Some(cache) = &self.cache {
            let keys = in_force.iter().flat_map(|p| [p.module, settings::key(p.module, &settings::text(&p.settings))]);
            cache.trim(runner.engine(), &keys.collect(), runner.limits.cache_bytes_max);
        }
    }

    /// Found in the cache, or made and kept there.
    fn kept<E>(&self, runner: &Runner, key: Digest, make: impl FnOnce() -> Result<Kept, E>) -> Result<Kept, E> {
        if let Some(found) = self.cache.as_ref().and_then(|c| c.find(runner.engine(), key)) {
            return Ok(found);
        }
        let made = make()?;
        if let Some(cache) = &self.cache {
            cache.keep(runner.engine(), key, &made);
        }
        Ok(made)
    }

    /// In a process of its own, if there is one. The modules that came with this very program are no strangers, and a first start is
    /// several times as fast without a process for each.
    fn work(&self, runner: &Runner, job: Job, bytes: &[u8]) -> Result<(Outcome, Vec<u8>), String> {
        let is_ours = crate::built_ins().iter().any(|b| b.bytes == bytes);
        match &self.child {
            Some(child) if !is_ours => child.work(&self.turns, &runner.limits, job, bytes),
            _ => Ok(prepare::work(runner, &job, bytes)),
        }
    }
}

fn open(runner: &Runner, code: &[u8]) -> Result<Linked, NotAdmitted> {
    // SAFETY: the code comes from `Component::serialize`: in this process, in a child that is this very program and answers over a
    // pipe that nobody else has, or found by the cache, which vouches for it by a MAC over the very bytes.
    let component = unsafe { runner.open(code) }.map_err(|e| NotAdmitted::Invalid(format!("{e:#}")))?;
    Linked::new(&component)
}
