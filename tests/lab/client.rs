//! HTTP/1.1 over a unix socket: enough for the daemon's API, and one connection for many requests.

use crate::error::{Error, Result, Tried};
use serde_json::Value;
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

/// Longer than anything the daemon does for one request.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// Such as 201.
    pub status: u16,
    /// Names in lower case, in the order received.
    pub headers: Vec<(String, String)>,
    /// The body as it came.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body, parsed.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Error::Unexpected(format!("the answer ({}) is not JSON: {error}: {}", self.status, self.text())))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A client with one kept-alive connection, made when first needed.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    headers: Vec<(String, String)>,
    connection: Option<BufReader<UnixStream>>,
}

impl Client {
    /// For the socket at `path`. Connects at the first request.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned(), headers: Vec::new(), connection: None }
    }

    /// Sends this header with every request.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// GET.
    pub fn get(&mut self, target: &str) -> Result<Response> {
        self.send("GET", target, &[], &[])
    }

    /// DELETE.
    pub fn delete(&mut self, target: &str) -> Result<Response> {
        self.send("DELETE", target, &[], &[])
    }

    /// POST of JSON.
    pub fn post(&mut self, target: &str, body: &Value) -> Result<Response> {
        self.send("POST", target, &[("content-type", "application/json")], body.to_string().as_bytes())
    }

    /// Any request. Never sent twice: when a kept connection turns out to be closed, that is an error, and the next request opens a new one.
    pub fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Response> {
        let path = self.path.display().to_string();
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let headers: Vec<_> = own.chain(headers.iter().copied()).collect();
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.path).tried(|| format!("connect to {path}"))?,
        };
        let response = exchange(&mut connection, method, target, &headers, body).tried(|| format!("{method} {target} at {path}"))?;
        if response.header("connection") != Some("close") {
            self.connection = Some(connection);
        }
        Ok(response)
    }
}

fn connect(path: &Path) -> io::Result<BufReader<UnixStream>> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(BufReader::new(stream))
}

fn exchange(
    connection: &mut BufReader<UnixStream>,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Response> {
    let mut request = format!("{method} {target} HTTP/1.1\r\ncontent-length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request += "host: localhost\r\n";
    }
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += "\r\n";
    // One write: head and body in two would wait for each other's acknowledgement on TCP, and cost a system call here.
    let mut bytes = request.into_bytes();
    bytes.extend_from_slice(body);
    connection.get_mut().write_all(&bytes)?;

    let (mut status, mut headers) = head(connection)?;
    while (100..200).contains(&status) {
        (status, headers) = head(connection)?;
    }
    let mut response = Response { status, headers, body: Vec::new() };
    if response.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        loop {
            let line = line(connection)?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| bad(format!("chunk size {size:?}")))?;
            read_more(connection, size, &mut response.body)?;
            if size == 0 {
                while !self::line(connection)?.is_empty() {}
                break;
            }
            self::line(connection)?;
        }
    } else if let Some(length) = response.header("content-length") {
        let length = length.parse().map_err(|_| bad(format!("content-length {length:?}")))?;
        read_more(connection, length, &mut response.body)?;
    } else if method != "HEAD" && !matches!(status, 204 | 304) {
        connection.read_to_end(&mut response.body)?;
        response.headers.push(("connection".into(), "close".into()));
    }
    Ok(response)
}

fn head(connection: &mut BufReader<UnixStream>) -> io::Result<(u16, Vec<(String, String)>)> {
    let first = line(connection)?;
    let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| bad(format!("status line {first:?}")))?;
    let mut headers = Vec::new();
    loop {
        let line = line(connection)?;
        if line.is_empty() {
            return Ok((status, headers));
        }
        let (name, value) = line.split_once(':').ok_or_else(|| bad(format!("header {line:?}")))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn line(connection: &mut BufReader<UnixStream>) -> io::Result<String> {
    let mut line = String::new();
    if connection.read_line(&mut line)? == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed before the answer was complete"));
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn read_more(connection: &mut BufReader<UnixStream>, length: usize, body: &mut Vec<u8>) -> io::Result<()> {
    let start = body.len();
    body.resize(start + length, 0);
    connection.read_exact(&mut body[start..])
}

fn bad(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP/1.1: {what}"))
}
