//! Help: what a command does, then examples, then its options; on narrow terminals, too.

use crate::client::terminal::{error_width, wants_colour, width, wrapped};
use clap::Command;
use clap::error::{Error, ErrorKind};
use std::io::{self, Write};
use std::process::ExitCode;

/// Narrower than this, an option's description stands below it.
const NARROW: usize = 80;

/// Puts examples first, in a command and all below it.
pub fn examples_first(command: Command) -> Command {
    let is_narrow = width().or_else(error_width).is_some_and(|w| w < NARROW);
    let command = if is_narrow { command.next_line_help(true) } else { command };
    let command = match command.get_before_help() {
        Some(_) => command.help_template("{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}"),
        None => command,
    };
    command.mut_subcommands(examples_first)
}

/// Prints help, or what is wrong with a command line, as wide as the terminal is; the status is that of a usage error, or 0.
pub fn tell(error: &Error) -> ExitCode {
    let is_help = !error.use_stderr();
    let (columns, coloured) = if is_help { (width(), wants_colour(&io::stdout())) } else { (error_width(), wants_colour(&io::stderr())) };
    let rendered = error.render();
    let text = if coloured { rendered.ansi().to_string() } else { rendered.to_string() };
    let lines = text.lines().flat_map(|line| wrapped_help(line, columns));
    let text = lines.fold(String::new(), |text, line| text + &line + "\n");
    let written = if is_help { io::stdout().write_all(text.as_bytes()) } else { io::stderr().write_all(text.as_bytes()) };
    // Whoever reads no more needs no more.
    drop(written);
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(2),
    }
}

fn wrapped_help(line: &str, columns: Option<usize>) -> Vec<String> {
    match columns {
        Some(columns) if line.len() > columns => wrapped(line, columns),
        _ => vec![line.to_owned()],
    }
}
