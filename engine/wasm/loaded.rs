//! A module that is ready to judge, and what was frozen of it.

use crate::admit::{self, NotAdmitted};
use crate::linked::Linked;
use crate::prepare::{Outcome, Put};
use crate::settings::{SettingsRefused, same_text};
use bulkhead_core::policy::{Description, Digest, Policy};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

/// A module, compiled.
pub(crate) struct Loaded {
    pub(crate) linked: Linked,
    /// Bytes as uploaded.
    pub(crate) size: u64,
    pub(crate) description: Arc<Description>,
    /// The bytes, where it is small enough to be frozen.
    source: Option<Arc<[u8]>>,
    freezable: AtomicBool,
    frozen: RwLock<Vec<Arc<Snapshot>>>,
}

/// A module with settings in its memory.
pub(crate) struct Snapshot {
    settings: Value,
    pub(crate) linked: Linked,
    pub(crate) description: Arc<Description>,
    /// Of its code, with the image of its memory.
    bytes: u64,
    /// When it was used last: the more, the later.
    used: AtomicU64,
}

/// Counts uses.
static USES: AtomicU64 = AtomicU64::new(0);

impl Snapshot {
    pub(crate) fn new(settings: Value, linked: Linked, description: Description, bytes: u64) -> Self {
        Self { settings, linked, description: Arc::new(description), bytes, used: AtomicU64::new(0) }
    }

    fn touch(&self) {
        self.used.store(USES.fetch_add(1, Relaxed), Relaxed);
    }
}

impl Loaded {
    pub(crate) fn new(linked: Linked, size: u64, description: Description, source: Option<Arc<[u8]>>) -> Self {
        let (description, freezable) = (Arc::new(description), AtomicBool::new(source.is_some()));
        Self { linked, size, description, source, freezable, frozen: RwLock::default() }
    }

    /// Its bytes, if it may be frozen.
    pub(crate) fn source(&self) -> Option<&[u8]> {
        self.source.as_deref().filter(|_| self.freezable.load(Relaxed))
    }

    /// Its form forbids it: nobody tries again.
    pub(crate) fn is_not_freezable(&self) {
        self.freezable.store(false, Relaxed);
    }

    /// Its compiled code.
    pub(crate) fn code(&self) -> Result<Vec<u8>, NotAdmitted> {
        admit::code(self.linked.component())
    }

    /// With these settings in memory, if it was frozen with them.
    pub(crate) fn frozen(&self, settings: &Value) -> Option<Arc<Snapshot>> {
        let all = self.frozen.read().unwrap_or_else(PoisonError::into_inner);
        let found = all.iter().find(|f| same_text(&f.settings, settings))?;
        found.touch();
        Some(Arc::clone(found))
    }

    /// Keeps what was frozen, or gives what somebody else has frozen meanwhile.
    pub(crate) fn keep_frozen(&self, made: Snapshot) -> Arc<Snapshot> {
        let mut all = self.frozen.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = all.iter().find(|f| same_text(&f.settings, &made.settings)) {
            return Arc::clone(there);
        }
        let made = Arc::new(made);
        made.touch();
        all.push(Arc::clone(&made));
        made
    }

    /// Settings to put to it.
    pub(crate) fn put(&self, settings: String) -> Put {
        Put { settings, schema: self.description.settings_schema.clone() }
    }

    /// What it says of itself with settings: the same as without, but for what settings may decide.
    pub(crate) fn described(&self, outcome: Outcome) -> Result<Description, SettingsRefused> {
        let said = match outcome {
            Outcome::Said(said) => said,
            Outcome::SettingsRefused(refused) => return Err(refused),
            Outcome::NotFreezable(why) => return Err(SettingsRefused::of_module(&why)),
            Outcome::NotAdmitted(why) => return Err(SettingsRefused::of_module(&why.to_string())),
        };
        let Description { name, version, rules, settings_schema, .. } = &*self.description;
        if (&said.name, &said.version, &said.rules, &said.settings_schema) == (name, version, rules, settings_schema) {
            return Ok(said);
        }
        Err(SettingsRefused::of_module("it gives itself another name, version, schema or other rules with them"))
    }

    /// Forgets what is frozen and was not used for longest, until all together have at most so many bytes; what policies in force
    /// need stays, and so does what came last: a policy is just being made of it.
    pub(crate) fn drop_unused(all: &[(Digest, Arc<Self>)], in_force: &[&Policy], bytes_max: u64) {
        let mut found: Vec<(Arc<Snapshot>, Digest, &Arc<Self>)> = Vec::new();
        for (digest, loaded) in all {
            found.extend(loaded.frozen.read().unwrap_or_else(PoisonError::into_inner).iter().map(|f| (Arc::clone(f), *digest, loaded)));
        }
        let mut bytes: u64 = found.iter().map(|(f, ..)| f.bytes).sum();
        found.sort_by_key(|(f, ..)| f.used.load(Relaxed));
        found.pop();
        for (unused, digest, loaded) in found {
            if bytes <= bytes_max {
                break;
            }
            if in_force.iter().any(|p| p.module == digest && same_text(&p.settings, &unused.settings)) {
                continue;
            }
            bytes -= unused.bytes;
            loaded.frozen.write().unwrap_or_else(PoisonError::into_inner).retain(|f| !Arc::ptr_eq(f, &unused));
        }
    }
}
