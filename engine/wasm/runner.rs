//! Where modules run: two pools of slots, and turns to take in them.
//!
//! Most policies, from Rust or C, join a core module or three and have one memory: they get small slots, which are many. What
//! JavaScript and Python tools make joins dozens of modules with several memories, and gets large ones, which are few, as each memory
//! reserves 4 GiB of address space. Code is the same for both.

use crate::engine::{self, NotStarted, Shape};
use crate::limits::Limits;
use crate::linked::Linked;
use crate::run::{Broke, Run};
use crate::time::{Allowance, Ticker};
use crate::turns::Turns;
use wasmtime::Engine;
use wasmtime::component::Component;

/// Slots of one shape.
struct Slots {
    engine: Engine,
    turns: Turns,
}

impl Slots {
    fn new(limits: &Limits, shape: Shape) -> Result<Self, NotStarted> {
        let engine = engine::new(limits, &shape)?;
        Ok(Self { engine, turns: Turns::new(shape.at_once) })
    }
}

/// Runs modules.
pub(crate) struct Runner {
    pub(crate) limits: Limits,
    small: Slots,
    large: Slots,
    ticker: Ticker,
}

impl Runner {
    /// Reserves the slots' address space, and starts the thread that watches the time.
    pub(crate) fn new(limits: Limits) -> Result<Self, NotStarted> {
        let small = Slots::new(&limits, Shape::small(&limits))?;
        let large = Slots::new(&limits, Shape::large(&limits))?;
        let ticker = Ticker::start(vec![small.engine.clone(), large.engine.clone()], &limits)?;
        Ok(Self { limits, small, large, ticker })
    }

    /// What compiles: whatever runs at all runs in its slots.
    pub(crate) fn engine(&self) -> &Engine {
        &self.large.engine
    }

    /// Compiled code, made ready to run in the smallest slots that it fits.
    ///
    /// # Safety
    /// The bytes are what [`Component::serialize`] gave, unchanged: they are run as native code.
    pub(crate) unsafe fn open(&self, code: &[u8]) -> wasmtime::Result<Component> {
        // SAFETY: as this function demands. Another version or CPU is refused by wasmtime itself.
        let small = unsafe { Component::deserialize(&self.small.engine, code) };
        // SAFETY: the same.
        small.or_else(|_| unsafe { Component::deserialize(&self.large.engine, code) })
    }

    /// Whether it needs a large slot.
    pub(crate) fn is_large(&self, linked: &Linked) -> bool {
        !Engine::same(linked.engine(), &self.small.engine)
    }

    /// A fresh instance does `work`, when its turn has come.
    pub(crate) fn call<R>(&self, linked: &Linked, time: Allowance, work: impl FnOnce(Run<'_>) -> Result<R, Broke>) -> Result<R, Broke> {
        let slots = if self.is_large(linked) { &self.large } else { &self.small };
        let (_turn, _call) = (slots.turns.take(), self.ticker.during_a_call());
        work(Run::start(linked, &self.limits, time)?)
    }

    /// Time for `describe` or `configure` where no request waits.
    pub(crate) fn unhurried(&self) -> Allowance {
        Allowance::of("an admission", self.limits.deadline_admission_ms)
    }
}
