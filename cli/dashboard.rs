//! `bulkhead dashboard`: prints a URL that is good for one log-in.
//!
//! It is printed, not opened: a browser would be handed it on a command line, which every user of the machine may read.

use clap::Args;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Prints a URL of the dashboard, good for one log-in within 60 seconds.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bulkhead dashboard
  bulkhead dashboard --address 127.0.0.1:8420 --token-file /var/lib/bulkhead/token

The session acts as whoever asked: your user by the socket, an admin by the token. It ends by logging out, after 30 minutes without
a request, after 12 hours, and when the daemon stops.")]
pub struct Dashboard {
    /// Unix socket of the daemon.
    #[arg(long, value_name = "PATH", default_value = "/run/bulkhead/bulkhead.sock")]
    socket: PathBuf,
    /// Ask on TCP instead; needs the token.
    #[arg(long, value_name = "ADDRESS:PORT", requires = "token_file")]
    address: Option<SocketAddr>,
    /// File with the daemon's token.
    #[arg(long, value_name = "FILE", requires = "address")]
    token_file: Option<PathBuf>,
}

/// How long the daemon may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than any answer to this request has.
const ANSWER_MAX: u64 = 64 << 10;

/// Runs the command.
pub fn run(options: &Dashboard) -> ExitCode {
    let told = ask(options).and_then(|answer| url(&answer));
    match told {
        Ok(url) => {
            // What is not a terminal gets the URL alone.
            let _ = writeln!(std::io::stdout(), "{url}");
            eprintln!("Good for one log-in within 60 s.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bulkhead dashboard: {error}");
            ExitCode::FAILURE
        }
    }
}

fn ask(options: &Dashboard) -> Result<Vec<u8>, String> {
    let (host, token) = match (options.address, &options.token_file) {
        (Some(address), Some(file)) => (address.to_string(), Some(token(file)?)),
        _ => ("localhost".to_owned(), None),
    };
    let authorization = token.map(|t| format!("Authorization: Bearer {t}\r\n")).unwrap_or_default();
    let head = format!("POST /v1/sessions/codes HTTP/1.1\r\nHost: {host}\r\n{authorization}Content-Length: 0\r\nConnection: close\r\n\r\n");
    let away = |what: &dyn std::fmt::Display, e: std::io::Error| format!("no daemon answers on {what} ({e}); is `bulkhead serve` running?");
    match options.address {
        Some(address) => TcpStream::connect_timeout(&address, PATIENCE)
            .and_then(|stream| stream.set_read_timeout(Some(PATIENCE)).map(|()| stream))
            .and_then(|stream| exchange(stream, &head))
            .map_err(|e| away(&address, e)),
        None => UnixStream::connect(&options.socket)
            .and_then(|stream| stream.set_read_timeout(Some(PATIENCE)).map(|()| stream))
            .and_then(|stream| exchange(stream, &head))
            .map_err(|e| away(&options.socket.display(), e)),
    }
}

fn token(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("the token's file {} cannot be read: {e}", file.display()))?;
    let token = text.trim();
    let is_one = token.len() == 64 && token.bytes().all(|b| b.is_ascii_hexdigit());
    if is_one { Ok(token.to_owned()) } else { Err(format!("{} has no token; the daemon writes one beside its database", file.display())) }
}

fn exchange(mut stream: impl Read + Write, head: &str) -> std::io::Result<Vec<u8>> {
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer)?;
    Ok(answer)
}

/// The URL that an answer has, or what it says went wrong.
fn url(answer: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(answer);
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    let value: Value =
        serde_json::from_str(body).map_err(|_| "what answers there is not a bulkhead daemon that has a dashboard".to_owned())?;
    let of = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    of("url").ok_or_else(|| of("detail").unwrap_or_else(|| "the daemon's answer has no URL; it is an older one".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let answer = |body: &str| url(format!("HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n\r\n{body}").as_bytes());
        assert_eq!(answer(r#"{"code":"1","url":"http://127.0.0.1:8420/ui/#code=1"}"#).unwrap(), "http://127.0.0.1:8420/ui/#code=1");
        assert_eq!(
            answer(r#"{"type":"/problems/conflict","detail":"the daemon does not listen on TCP"}"#).unwrap_err(),
            "the daemon does not listen on TCP"
        );
        for odd in ["", "<html>", "[1", "{}"] {
            assert!(answer(odd).is_err(), "{odd}");
        }
        assert!(url(b"SSH-2.0-OpenSSH_9.2\r\n").is_err());
    }
}
