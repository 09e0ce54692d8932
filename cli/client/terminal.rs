//! What terminals can show, and what they must never be sent.

use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};

/// Columns of stdout, where it is a terminal; COLUMNS wins.
pub fn width() -> Option<usize> {
    columns_of(io::stdout())
}

/// Columns of stderr, where it is a terminal.
pub fn error_width() -> Option<usize> {
    columns_of(io::stderr())
}

fn columns_of(stream: impl IsTerminal + AsFd) -> Option<usize> {
    if !stream.is_terminal() {
        return None;
    }
    let told = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let seen = || window(stream.as_fd().as_raw_fd());
    told.or_else(seen).filter(|columns| *columns > 0)
}

fn window(terminal: RawFd) -> Option<usize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one `struct winsize` to its argument, which is one and outlives the call; it keeps nothing of it
    // (ioctl_tty(2)).
    let done = unsafe { libc::ioctl(terminal, libc::TIOCGWINSZ, &raw mut size) };
    (done == 0).then_some(usize::from(size.ws_col))
}

/// A way to make text stand out.
#[derive(Debug, Clone, Copy)]
pub enum Paint {
    /// What is wrong.
    Red,
    /// What comes.
    Green,
    /// Headings.
    Bold,
}

/// Whether `to` is a terminal that wants colours (<https://no-color.org>).
pub fn wants_colour(to: &impl IsTerminal) -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    to.is_terminal() && !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// `text` in colour, where `to` wants it.
pub fn painted(to: &impl IsTerminal, paint: Paint, text: &str) -> String {
    if !wants_colour(to) {
        return text.to_owned();
    }
    let code = match paint {
        Paint::Red => 31,
        Paint::Green => 32,
        Paint::Bold => 1,
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// Text of somebody else's, such as a workload's name: without what a terminal would obey, or turn round.
pub fn harmless(text: &str) -> String {
    let is_harmful = |c: char| c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(is_harmful) {
        return text.to_owned();
    }
    text.chars().map(|c| if is_harmful(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// Says something on stderr, wrapped where it is a terminal. A closed stderr is nobody's loss.
pub fn say(text: &str) {
    let mut stderr = io::stderr().lock();
    let width = error_width().unwrap_or(usize::MAX);
    for line in text.lines() {
        for part in wrapped(line, width) {
            let _ = writeln!(stderr, "{part}");
        }
    }
}

/// A line in parts of at most `width`, broken at spaces; what continues stands two further in than its beginning. Counts
/// escape sequences as nothing.
pub fn wrapped(line: &str, width: usize) -> Vec<String> {
    let indent = line.len() - line.trim_start().len();
    let further = " ".repeat(indent + 2);
    let mut parts = vec![" ".repeat(indent)];
    let mut used = indent;
    let mut is_first = true;
    for word in line.split_whitespace() {
        let long = visible(word);
        let Some(part) = parts.last_mut() else { break };
        if is_first || used + 1 + long <= width {
            if !is_first {
                part.push(' ');
                used += 1;
            }
            part.push_str(word);
            used += long;
        } else {
            parts.push(further.clone() + word);
            used = further.len() + long;
        }
        is_first = false;
    }
    parts
}

/// How many columns a text takes, escape sequences aside.
fn visible(text: &str) -> usize {
    let mut count = 0;
    let mut in_escape = false;
    for c in text.chars() {
        match c {
            '\x1b' => in_escape = true,
            'm' if in_escape => in_escape = false,
            _ if in_escape => {}
            _ => count += 1,
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_fits() {
        let parts = wrapped("  tier-isolation/shared · labels.tier · would share a segment with cards", 30);
        assert_eq!(parts, ["  tier-isolation/shared ·", "    labels.tier · would share", "    a segment with cards"]);
        assert!(parts.iter().all(|p| p.chars().count() <= 30));
        assert_eq!(wrapped("a-word-that-is-longer-than-the-line", 10), ["a-word-that-is-longer-than-the-line"]);
        assert_eq!(visible("\x1b[31mred\x1b[0m"), 3);
    }

    #[test]
    fn a_name_is_no_command_to_the_terminal() {
        assert_eq!(harmless("ok ä"), "ok ä");
        assert_eq!(harmless("a\x1b]0;x\x07\u{202e}b"), "a\\u{1b}]0;x\\u{7}\\u{202e}b");
    }
}
