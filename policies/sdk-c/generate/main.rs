//! `sdk-c WIT FOLDER`: writes what wit-bindgen makes of the contract for C: declarations, their code, and the object file that tells
//! which contract the module speaks. It is checked in, so that a policy in C needs clang and wasm-ld, and no Rust.

use std::{env, error::Error, fs, path::Path, process::ExitCode};
use wit_bindgen_core::Files;

fn main() -> ExitCode {
    let paths: Vec<String> = env::args().skip(1).collect();
    let [wit, folder] = paths.as_slice() else {
        eprintln!("usage: sdk-c WIT FOLDER");
        return ExitCode::from(2);
    };
    match generate(Path::new(wit), Path::new(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sdk-c: {wit}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn generate(wit: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
    // `{:#}` shows the chain of causes of an anyhow error on one line.
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_path(wit).map_err(|e| format!("{e:#}"))?;
    let world = resolve.select_world(&[package], Some("policy")).map_err(|e| format!("{e:#}"))?;
    let mut files = Files::default();
    wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut files).map_err(|e| format!("{e:#}"))?;
    fs::create_dir_all(folder)?;
    for (name, bytes) in files.iter() {
        fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}
