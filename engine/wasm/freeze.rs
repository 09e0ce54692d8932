//! `configure`, frozen into memory: a component whose memory is as `configure` left it, so that no judgement runs it again.
//!
//! wasmtime-wizer instruments a component, so that its state can be read, and writes that state into it afterwards. It takes only
//! components whose modules stand side by side, as Rust's and C's do. Where it does not, `configure` runs before `evaluate` in the
//! same fresh instance, with the same result: also the same fuel, as only `evaluate` is counted.

use crate::admit::{self, NotAdmitted};
use crate::linked::Linked;
use crate::run::{Broke, Run};
use crate::runner::Runner;
use crate::settings::SettingsRefused;
use bulkhead_core::policy::Description;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use wasmtime::component::{Lift, WasmList};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

/// A component with its settings in memory.
pub(crate) enum Frozen {
    /// What it says of itself with these settings, and its code.
    Yes(Description, Vec<u8>),
    /// Why its form does not allow it.
    No(String),
}

/// Puts the settings to the module, and freezes what comes of it.
pub(crate) fn freeze(runner: &Runner, component: &[u8], settings: &str) -> Result<Frozen, SettingsRefused> {
    let wizer = Wizer::new();
    // Other people's code on a stranger's bytes: where it panics, the module is as little to be frozen as where it refuses.
    let instrumented = catch_unwind(AssertUnwindSafe(|| wizer.instrument_component(component)));
    let (context, instrumented) = match instrumented {
        Ok(Ok(instrumented)) => instrumented,
        Ok(Err(why)) => return Ok(Frozen::No(format!("{why:#}"))),
        Err(_) => return Ok(Frozen::No("its form is unknown to the freezer".into())),
    };
    let compile = |bytes: &[u8]| admit::compile(runner.engine(), bytes);
    let linked = match compile(&instrumented).and_then(|compiled| Linked::new(&compiled)) {
        Ok(linked) => linked,
        // The state of some modules cannot be read from outside within our limits.
        Err(why) => return Ok(Frozen::No(why.to_string())),
    };
    let mut snapshot = Err("nothing was frozen".to_owned());
    let said = runner.call(&linked, runner.unhurried(), |mut run| {
        if let Err(violations) = run.configure(settings)? {
            return Ok(Err(SettingsRefused { violations }));
        }
        snapshot = at_once(wizer.snapshot_component(&context, &mut Seen(&mut run)));
        Ok(Ok(run.describe()?))
    });
    let description = SettingsRefused::unless_described(said)?;
    let code = snapshot.and_then(|frozen| compile(&frozen).and_then(|c| admit::code(&c)).map_err(|e: NotAdmitted| e.to_string()));
    Ok(match code {
        Ok(code) => Frozen::Yes(description, code),
        Err(why) => Frozen::No(why),
    })
}

/// Nothing in it waits: the instance is at hand.
fn at_once(work: impl Future<Output = wasmtime::Result<Vec<u8>>>) -> Result<Vec<u8>, String> {
    let polled = catch_unwind(AssertUnwindSafe(|| pin!(work).poll(&mut Context::from_waker(Waker::noop()))));
    match polled {
        Ok(Poll::Ready(done)) => done.map_err(|e| format!("{e:#}")),
        Ok(Poll::Pending) => Err("the freezer waits for something".into()),
        Err(_) => Err("its state cannot be read".into()),
    }
}

/// An instrumented instance, whose state can be read.
struct Seen<'a, 'b>(&'a mut Run<'b>);

impl Seen<'_, '_> {
    /// The interface has no way to fail: what cannot be read panics, and is caught where it is asked for.
    fn read<R: Lift + 'static, T>(&mut self, instance: &str, func: &str, then: impl FnOnce(&Run<'_>, R) -> T) -> T {
        let read: Result<R, Broke> = self.0.read(instance, func);
        let value = read.unwrap_or_else(|why| panic!("the state of a module cannot be read: {why}"));
        then(self.0, value)
    }
}

impl ComponentInstanceState for Seen<'_, '_> {
    async fn call_func_ret_list_u8(&mut self, instance: &str, func: &str, contents: impl FnOnce(&[u8]) + Send) {
        self.read(instance, func, |run, list: WasmList<u8>| contents(list.as_le_slice(run.store())));
    }
    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.read(instance, func, |_, value| value)
    }
    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.read(instance, func, |_, value| value)
    }
    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.read(instance, func, |_, value: f32| value.to_bits())
    }
    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.read(instance, func, |_, value: f64| value.to_bits())
    }
}
