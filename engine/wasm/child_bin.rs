//! The process in which modules are checked and compiled, and nothing else.

fn main() -> std::process::ExitCode {
    bulkhead_wasm::child_main()
}
