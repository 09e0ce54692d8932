//! What the writer, the doors and the sweep share: the published state, and who is asked and told.

use crate::breaks::{Breaks, Watchful};
use bulkhead_core::event::Event;
use bulkhead_core::kernel::Kernel;
use bulkhead_core::policy::Judge;
use bulkhead_core::settings::Settings;
use bulkhead_core::state::State;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::broadcast;

/// What all threads share.
pub(crate) struct Shared {
    pub(crate) published: RwLock<Arc<State>>,
    pub(crate) kernel: Arc<dyn Kernel>,
    pub(crate) judge: Arc<dyn Judge + Send + Sync>,
    pub(crate) breaks: Breaks,
    pub(crate) settings: Settings,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) stopping: AtomicBool,
}

impl Shared {
    /// Who judges requests: not those policies that were given up.
    pub(crate) fn watchful(&self) -> Watchful<'_> {
        Watchful { judge: &*self.judge, breaks: &self.breaks }
    }
    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.published.read().unwrap_or_else(PoisonError::into_inner))
    }
    pub(crate) fn publish(&self, state: Arc<State>) {
        *self.published.write().unwrap_or_else(PoisonError::into_inner) = state;
    }
}
