//! `bulkhead completion` and `bulkhead man`: what a package or a shell's start-up file calls.

use crate::client::failed::{Failed, Result};
use clap::{Args, Command};
use clap_complete::env::Shells;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The variable by which a shell asks for completions.
pub const COMPLETE: &str = "COMPLETE";

/// Prints what makes a shell complete commands, options, and live names of networks, endpoints, parents, policies, labels and free addresses.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  source <(bulkhead completion bash)                                          (in ~/.bashrc)
  bulkhead completion fish > ~/.config/fish/completions/bulkhead.fish
  bulkhead completion zsh > \"${fpath[1]}/_bulkhead\"")]
pub struct Completion {
    /// The shell.
    #[arg(value_parser = ["bash", "zsh", "fish", "elvish", "powershell"])]
    shell: String,
}

/// Writes man pages, one for each command.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  bulkhead man /usr/local/share/man/man1
  bulkhead man . && man ./bulkhead-network-create.1")]
pub struct Man {
    /// Where to; the folder must be there.
    folder: PathBuf,
}

impl Completion {
    /// Runs the command.
    pub fn run(&self) -> ExitCode {
        let mut script = Vec::new();
        let shells = Shells::builtins();
        let written = match shells.completer(&self.shell) {
            Some(shell) => shell.write_registration(COMPLETE, "bulkhead", "bulkhead", "bulkhead", &mut script),
            None => Err(io::Error::other("no such shell")),
        };
        ended(written.and_then(|()| io::stdout().write_all(&script)).map_err(Failed::from))
    }
}

impl Man {
    /// Runs the command.
    pub fn run(&self, command: Command) -> ExitCode {
        let mut command = command.disable_help_subcommand(true);
        command.build();
        ended(pages(&command, &self.folder))
    }
}

fn ended(done: Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => failed.tell(),
    }
}

/// The page of a command, and those of the commands below it.
fn pages(command: &Command, folder: &Path) -> Result<()> {
    let name = command.get_bin_name().unwrap_or("bulkhead").replace(' ', "-");
    let path = folder.join(format!("{name}.1"));
    // The examples stand at the end, where pages have them.
    let after = [command.get_before_help(), command.get_after_help()].into_iter().flatten().map(|text| text.to_string());
    let page = command.clone().before_help(None::<&str>).after_help(after.collect::<Vec<_>>().join("\n\n"));
    let mut text = Vec::new();
    let written = clap_mangen::Man::new(page).render(&mut text).and_then(|()| std::fs::write(&path, text));
    written.map_err(|e| Failed::Other(format!("{} cannot be written: {e}; a folder that is there", path.display())))?;
    command.get_subcommands().filter(|c| !c.is_hide_set()).try_for_each(|below| pages(below, folder))
}
