//! `bulkhead demo`: the documentation's walk-through and the tiers, on a small data centre of network namespaces.
//!
//! Run it by `scripts/demo`, which finds a kernel for it. It touches nothing but namespaces of its own.

mod relay;
mod story;
mod walk;

use bulkhead_lab::{Lab, Serve, Topology, Vlan};
use clap::Args;
use std::error::Error;
use std::process::ExitCode;

/// Shows what Bulkhead does, on a kernel with ipvlan, and leaves a live service to play with.
#[derive(Debug, Args)]
#[command(after_help = "Run it by scripts/demo, which finds a kernel with ipvlan for it.")]
pub struct Demo {
    /// End after the walk-through; the status tells whether all went as shown.
    #[arg(long)]
    exit: bool,
    /// Port of the live service, on the loopback of this machine.
    #[arg(long, default_value_t = 8420)]
    port: u16,
    /// Further arguments for its daemon.
    #[arg(last = true, value_name = "SERVE ARGUMENT")]
    serve: Vec<String>,
}

/// Runs the demo.
pub fn run(demo: &Demo) -> ExitCode {
    match try_run(demo) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("bulkhead demo: {e}");
            let mut cause = e.source();
            while let Some(c) = cause {
                eprintln!("  because {c}");
                cause = c.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn try_run(demo: &Demo) -> Result<bool, Box<dyn Error>> {
    let folder = std::path::PathBuf::from(format!("/run/bulkhead-demo-{}", std::process::id()));
    std::fs::create_dir_all(&folder)
        .map_err(|e| format!("{} cannot be made ({e}); run scripts/demo, which finds a kernel for it", folder.display()))?;
    let vlan = |id: u16| Vlan { id, addresses: vec![format!("192.168.{id}.1/24")] };
    let lab = Lab::with(Topology {
        prefix: String::new(),
        host: vec!["192.168.1.250/24".into()],
        peer: vec!["192.168.1.1/24".into()],
        vlans: vec![vlan(30), vlan(40)],
    })?;
    let mut story = story::Story::new();
    let workloads = walk::before_the_daemon(&lab, &mut story)?;
    let serve = Serve::new(&folder)?.arg("--listen").arg(format!("127.0.0.1:{}", demo.port));
    let serve = demo.serve.iter().fold(serve, |serve, argument| serve.arg(argument));
    let daemon = serve.start(&lab.host)?;
    let went_well = walk::with_the_daemon(&lab, &workloads, &mut daemon.client(), &mut story)?;
    if !demo.exit {
        relay::start(&lab.host, demo.port)?;
        let token = std::fs::read_to_string(folder.join("token")).unwrap_or_default();
        story.live(demo.port, token.trim(), &daemon.socket());
        relay::until_told();
    }
    drop(daemon);
    let _ = std::fs::remove_dir_all(&folder);
    Ok(went_well)
}
