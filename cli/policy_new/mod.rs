//! `bulkhead policy new`: a project for a policy, whole: the contract, an example to change, its test cases, and a script that builds it.
//!
//! The example is the repository's own, so it is built and tested with every change.

use clap::{Args, ValueEnum};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::{fs, io::Write as _};

/// Makes a project for a policy of your own, ready to build and test.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead policy new --lang rust my-policy && my-policy/build && bulkhead policy test my-policy
  bulkhead policy new --lang python my-policy")]
#[command(after_help = "\
It makes a folder of that name, and writes nothing anywhere else. What its script `build` needs:
  rust    rustup target add wasm32-unknown-unknown; on Debian also rustc-web cargo-web rust-web-src lld-19
  js      Node.js 18 or newer; it gets QuickJS from npm
  python  Python 3.10 or newer with venv; it gets componentize-py from PyPI
  c       clang and wasm-ld (Debian: clang lld)")]
pub struct New {
    /// The language.
    #[arg(short, long, value_enum)]
    lang: Language,
    /// Name of the policy and of its folder.
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Language {
    Rust,
    Js,
    Python,
    C,
}

/// A file of a project: its path, what is in it, whether it is a program.
type File = (&'static str, &'static str, bool);

/// What the example is called.
const EXAMPLE: &str = "endpoint-limit";
const IS_PROGRAM: bool = true;

macro_rules! policies {
    ($path:literal) => {
        include_str!(concat!("../../policies/", $path))
    };
}

const COMMON: &[File] = &[
    ("README.md", include_str!("README.md"), false),
    ("cases.yaml", policies!("examples/endpoint-limit/cases.yaml"), false),
    ("wit/policy.wit", policies!("wit/policy.wit"), false),
];
const RUST: &[File] = &[
    (".gitignore", "target/\npolicy.wasm\n", false),
    ("build", include_str!("rust-build"), IS_PROGRAM),
    ("Cargo.toml", include_str!("rust.toml"), false),
    (".cargo/config.toml", policies!(".cargo/config.toml"), false),
    ("lib.rs", policies!("examples/endpoint-limit/rust/lib.rs"), false),
    ("sdk/Cargo.toml", policies!("sdk/Cargo.toml"), false),
    ("sdk/bump.rs", policies!("sdk/bump.rs"), false),
    ("sdk/contract.rs", policies!("sdk/contract.rs"), false),
    ("sdk/json.rs", policies!("sdk/json.rs"), false),
    ("sdk/lib.rs", policies!("sdk/lib.rs"), false),
    ("sdk/opinion.rs", policies!("sdk/opinion.rs"), false),
    ("sdk/pattern.rs", policies!("sdk/pattern.rs"), false),
    ("sdk/ranges.rs", policies!("sdk/ranges.rs"), false),
    ("sdk/settings.rs", policies!("sdk/settings.rs"), false),
];
const JS: &[File] = &[
    (".gitignore", "node_modules/\npolicy.wasm\n", false),
    ("build", policies!("examples/endpoint-limit/js/build"), IS_PROGRAM),
    ("package.json", policies!("examples/endpoint-limit/js/package.json"), false),
    ("policy.js", policies!("examples/endpoint-limit/js/policy.js"), false),
];
const PYTHON: &[File] = &[
    (".gitignore", ".venv/\n__pycache__/\npolicy.wasm\n", false),
    ("app.py", policies!("examples/endpoint-limit/python/app.py"), false),
    ("build", policies!("examples/endpoint-limit/python/build"), IS_PROGRAM),
    ("requirements.txt", policies!("examples/endpoint-limit/python/requirements.txt"), false),
];
const C: &[File] = &[
    (".gitignore", "out/\npolicy.wasm\n", false),
    ("build", policies!("examples/endpoint-limit/c/build"), IS_PROGRAM),
    ("contract/policy.c", policies!("sdk-c/contract/policy.c"), false),
    ("contract/policy.h", policies!("sdk-c/contract/policy.h"), false),
    ("judge.c", policies!("examples/endpoint-limit/c/judge.c"), false),
    ("libc/libc.c", policies!("sdk-c/libc/libc.c"), false),
    ("libc/stdlib.h", policies!("sdk-c/libc/stdlib.h"), false),
    ("libc/string.h", policies!("sdk-c/libc/string.h"), false),
];
/// Tells which contract a module in C speaks.
const C_TYPE: &[u8] = include_bytes!("../../policies/sdk-c/contract/policy_component_type.o");

impl New {
    /// Runs it.
    pub fn run(&self) -> ExitCode {
        let folder = Path::new(&self.name);
        if let Err(error) = self.write(folder) {
            let what =
                if error.kind() == io::ErrorKind::AlreadyExists { "is there already; choose another name" } else { "cannot be made" };
            eprintln!("bulkhead: {}: {what}: {error}", folder.display());
            return ExitCode::FAILURE;
        }
        let name = &self.name;
        println!("Made {name}. Now:\n  {name}/build\n  bulkhead policy test {name}\n  bulkhead module upload {name}/policy.wasm");
        ExitCode::SUCCESS
    }

    fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir(folder)?;
        let own = match self.lang {
            Language::Rust => RUST,
            Language::Js => JS,
            Language::Python => PYTHON,
            Language::C => C,
        };
        for (path, text, is_program) in COMMON.iter().chain(own) {
            put(&folder.join(path), text.replace(EXAMPLE, &self.name).as_bytes(), *is_program)?;
        }
        match self.lang {
            Language::C => put(&folder.join("contract/policy_component_type.o"), C_TYPE, false),
            _ => Ok(()),
        }
    }
}

fn put(path: &Path, bytes: &[u8], is_program: bool) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mode = if is_program { 0o777 } else { 0o666 };
    fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?.write_all(bytes)
}

/// A name that all languages' tools take.
fn name(text: &str) -> Result<String, String> {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    let rest = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if first && rest && text.len() <= 63 { Ok(text.to_owned()) } else { Err("1 to 63 of a–z 0–9 -, beginning with a letter".into()) }
}
