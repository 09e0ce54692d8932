//! `componentize CORE.wasm COMPONENT.wasm`: makes a component of a core module with wit-bindgen's metadata in it.
//! The daemon does the same to what is uploaded; the built-ins are checked in as components, so that any Wasm tool reads them.

use std::{env, error::Error, fs, process::ExitCode};

fn main() -> ExitCode {
    let paths: Vec<String> = env::args().skip(1).collect();
    let [core, component] = paths.as_slice() else {
        eprintln!("usage: componentize CORE.wasm COMPONENT.wasm");
        return ExitCode::from(2);
    };
    match run(core, component) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("componentize: {core}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(core: &str, component: &str) -> Result<(), Box<dyn Error>> {
    let module = fs::read(core)?;
    // `{:#}` shows the chain of causes of an anyhow error on one line.
    let encoder = wit_component::ComponentEncoder::default().module(&module).map_err(|e| format!("{e:#}"))?;
    let bytes = encoder.validate(true).encode().map_err(|e| format!("{e:#}"))?;
    Ok(fs::write(component, bytes)?)
}
