//! A component of the contract that is ready to be instantiated: what each call needs to know of it is looked up once.

use crate::admit::NotAdmitted;
use crate::bindings::PolicyIndices;
use crate::run::Bounds;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use wasmtime::component::{Component, ComponentExportIndex, Instance, InstancePre, Linker};
use wasmtime::{Engine, Store};

/// A component with its imports, which are types only, and its exports.
pub(crate) struct Linked {
    pub(crate) instance: InstancePre<Bounds>,
    /// All that the contract demands.
    exports: PolicyIndices,
    /// Whether its exports were found to have the contract's types.
    checked: AtomicBool,
    pub(crate) describe: ComponentExportIndex,
    pub(crate) configure: ComponentExportIndex,
    pub(crate) evaluate: ComponentExportIndex,
}

impl Linked {
    /// Names are checked here, types with the first instance.
    pub(crate) fn new(component: &Component) -> Result<Self, NotAdmitted> {
        let wrong = |e: wasmtime::Error| NotAdmitted::WrongTypes(format!("{e:#}"));
        let engine = component.engine();
        let mut linker = Linker::<Bounds>::new(engine);
        // Types need no definition, but the interface that they are in must be there.
        for (name, _) in component.component_type().imports(engine) {
            linker.instance(name).map_err(wrong)?;
        }
        let instance = linker.instantiate_pre(component).map_err(wrong)?;
        let exports = PolicyIndices::new(&instance).map_err(wrong)?;
        let interface = component.get_export_index(None, crate::admit::interface());
        let function = |name: &str| {
            let missing = || NotAdmitted::WrongTypes(format!("it has no function {name}"));
            component.get_export_index(Some(interface.as_ref().ok_or_else(missing)?), name).ok_or_else(missing)
        };
        let (describe, configure, evaluate) = (function("describe")?, function("configure")?, function("evaluate")?);
        Ok(Self { instance, exports, checked: AtomicBool::new(false), describe, configure, evaluate })
    }

    /// Whether all its exports have the contract's types; looked at once, as every instance of a component has the same. It would be a
    /// tenth of a judgement.
    pub(crate) fn check_types(&self, store: &mut Store<Bounds>, instance: &Instance) -> wasmtime::Result<()> {
        if !self.checked.load(Relaxed) {
            self.exports.load(store, instance)?;
            self.checked.store(true, Relaxed);
        }
        Ok(())
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.component().engine()
    }

    pub(crate) fn component(&self) -> &Component {
        self.instance.component()
    }
}
