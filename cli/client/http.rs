//! The daemon over its unix socket, or over HTTP with a token. One connection, made when it is first needed, on this very thread.

use super::failed::{Failed, Result};
use super::target::Target;
use super::terminal::harmless;
use bulkhead_web::problem::ProblemBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::http::request::Builder;
use hyper::{Request, Response, StatusCode, body::Incoming, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Runtime;

/// Longer than the daemon takes for anything; then it hangs.
const ANSWER_WITHIN: Duration = Duration::from_secs(300);
/// Largest answer that is read: no page of the API comes near it.
const ANSWER_MAX: usize = 256 << 20;
/// How often a daemon that is away is tried while somebody waits for it.
const TRY_AGAIN: Duration = Duration::from_millis(100);

enum Door {
    Unix(PathBuf),
    Tcp { authority: String, base: String, token_file: PathBuf },
}

/// A client of one daemon.
pub struct Http {
    door: Door,
    patience: Duration,
    within: Duration,
    runtime: Runtime,
    sender: Option<SendRequest<Full<Bytes>>>,
    /// The tag of what was answered last.
    tag: Option<String>,
    /// The next request is a change only of what has this tag.
    only_if: Option<String>,
    token: Option<String>,
}

impl Http {
    /// For the daemon at `host`; waits `patience` for one that is not there yet. Connects at the first request.
    pub fn new(host: &str, token_file: &Path, patience: Duration) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(|e| Failed::Other(format!("the client cannot start: {e}")))?;
        Ok(Self {
            door: door(host, token_file)?,
            patience,
            within: ANSWER_WITHIN,
            runtime,
            sender: None,
            tag: None,
            only_if: None,
            token: None,
        })
    }

    /// Waits at least so long for a daemon that is away.
    pub fn wait_for(&mut self, patience: Duration) {
        self.patience = self.patience.max(patience);
    }

    /// Waits no longer than this for an answer.
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// Events after number `seq`, as they happen. They have this connection for themselves.
    pub fn events(mut self, seq: u64) -> Result<Events> {
        let target = Target::v1(&["events"]).query("after", seq.to_string());
        let response = self.ask("GET", &target, None, "text/event-stream")?;
        let of_type = response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        if !response.status().is_success() || !of_type.starts_with("text/event-stream") {
            let what = format!("{} sends no events while they happen: it is older than this command", self.door.text());
            return Err(Failed::Other(what));
        }
        Ok(Events { body: response.into_body(), buffer: Vec::new(), http: self })
    }

    /// Asks, and reads the JSON that is answered.
    pub fn send(&mut self, method: &str, target: &Target, body: Option<(&'static str, Vec<u8>)>) -> Result<Value> {
        let (is_json, bytes) = self.exchange(method, target, body)?;
        let value = is_json.then(|| serde_json::from_slice(&bytes).ok()).flatten();
        value.ok_or_else(|| Failed::foreign(&format!("{} answered {method} {target} with what is not JSON of ours", self.door.text())))
    }

    /// The next request changes only what was answered last, as it was then.
    pub fn only_if_unchanged(&mut self) {
        self.only_if = self.tag.take();
    }

    /// Asks for bytes.
    pub fn bytes(&mut self, target: &Target) -> Result<Vec<u8>> {
        Ok(self.exchange("GET", target, None)?.1)
    }

    /// An answer that is no failure: whether it is JSON, and its bytes.
    fn exchange(&mut self, method: &str, target: &Target, body: Option<(&'static str, Vec<u8>)>) -> Result<(bool, Vec<u8>)> {
        let has_body = body.is_some();
        let response = self.ask(method, target, body, "application/json")?;
        let status = response.status();
        self.tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let of_type = response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let (is_json, is_problem) = (of_type.starts_with("application/json"), of_type.starts_with("application/problem+json"));
        let read = self.runtime.block_on(Limited::new(response.into_body(), ANSWER_MAX).collect());
        let bytes = read.map_err(|e| Failed::Unavailable(format!("the answer of {} broke off: {e}", self.door.text())))?.to_bytes();
        if status.is_success() {
            return Ok((is_json, bytes.to_vec()));
        }
        let problem: Option<ProblemBody> = if is_problem { serde_json::from_slice(&bytes).ok() } else { None };
        let Some(problem) = problem else {
            return Err(Failed::foreign(&format!("{} answered {method} {target} with {status}, and no problem of ours", self.door.text())));
        };
        // What is not there comes with a fault that says so; a path that is not known, and a method, come without.
        let is_unknown = problem.faults.is_empty() && matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
        let is_health = target.as_str() == "/v1/health";
        if is_unknown && !is_health && (!has_body || problem.violations.is_empty()) {
            return Err(self.unknown(method, target));
        }
        Err(Failed::Problem(Box::new(problem)))
    }

    /// A daemon of another version than ours does not know what was asked.
    fn unknown(&mut self, method: &str, target: &Target) -> Failed {
        let ours = env!("CARGO_PKG_VERSION");
        let path = target.as_str().split('?').next().unwrap_or_default();
        match self.send("GET", &Target::v1(&["health"]), None) {
            Ok(health) => {
                let theirs = harmless(health["version"].as_str().unwrap_or("of unknown version"));
                Failed::Other(format!(
                    "the daemon ({theirs}) does not know {method} {path}; this command ({ours}) does: restart the daemon with the newer version"
                ))
            }
            Err(failed) => failed,
        }
    }

    /// Asks, and hands out the answer as soon as it begins. What changes nothing is asked again where a kept connection turns out closed.
    fn ask(
        &mut self,
        method: &str,
        target: &Target,
        body: Option<(&'static str, Vec<u8>)>,
        accept: &'static str,
    ) -> Result<Response<Incoming>> {
        let of_type = body.as_ref().map(|(of_type, _)| *of_type);
        let bytes = Bytes::from(body.map(|(_, bytes)| bytes).unwrap_or_default());
        loop {
            let request = self.request(method, target, of_type, accept)?.body(Full::new(bytes.clone()));
            let request = request.map_err(|e| Failed::Usage(format!("{method} {target} cannot be asked: {e}")))?;
            let (kept, mut sender) = match self.sender.take().filter(|s| !s.is_closed()) {
                Some(sender) => (true, sender),
                None => (false, self.connect()?),
            };
            match self.runtime.block_on(answered(&mut sender, request, self.within)) {
                Ok(Some(response)) => {
                    self.sender = Some(sender);
                    return Ok(response);
                }
                Ok(None) => {
                    let within = self.within.as_secs();
                    return Err(Failed::Unavailable(format!("{} did not answer within {within} s", self.door.text())));
                }
                Err(e) if e.is_parse() => return Err(Failed::foreign(&format!("{} does not speak HTTP", self.door.text()))),
                Err(_) if kept && method == "GET" => {}
                Err(e) => {
                    return Err(Failed::Unavailable(format!(
                        "{} went away before it answered ({e}); whether it was done is on record: `bulkhead decision list`",
                        self.door.text()
                    )));
                }
            }
        }
    }

    /// The head of a request.
    fn request(&mut self, method: &str, target: &Target, of_type: Option<&'static str>, accept: &'static str) -> Result<Builder> {
        let agent = concat!("bulkhead/", env!("CARGO_PKG_VERSION"));
        let request = Request::builder().method(method).header(header::USER_AGENT, agent).header(header::ACCEPT, accept);
        let request = match self.only_if.take_if(|_| method != "GET") {
            Some(tag) => request.header(header::IF_MATCH, tag),
            None => request,
        };
        let request = match of_type {
            Some(of_type) => request.header(header::CONTENT_TYPE, of_type),
            None => request,
        };
        Ok(match &self.door {
            Door::Unix(_) => request.uri(target.as_str()).header(header::HOST, "localhost"),
            Door::Tcp { authority, base, token_file } => {
                if self.token.is_none() {
                    self.token = Some(token(token_file)?);
                }
                let token = self.token.as_deref().unwrap_or_default();
                let request = request.uri(format!("{base}{target}")).header(header::HOST, authority);
                request.header(header::AUTHORIZATION, format!("Bearer {token}"))
            }
        })
    }

    fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let end = Instant::now() + self.patience;
        loop {
            match self.runtime.block_on(self.try_connect()) {
                Ok(sender) => return Ok(sender),
                Err(e) if Instant::now() < end && !matches!(e.kind(), io::ErrorKind::PermissionDenied) => {
                    std::thread::sleep(TRY_AGAIN);
                }
                Err(e) => return Err(Failed::Unavailable(self.door.why_not(&e))),
            }
        }
    }

    async fn try_connect(&self) -> io::Result<SendRequest<Full<Bytes>>> {
        match &self.door {
            Door::Unix(path) => shake_hands(UnixStream::connect(path).await?).await,
            Door::Tcp { authority, .. } => {
                let stream = TcpStream::connect(authority).await?;
                stream.set_nodelay(true)?;
                shake_hands(stream).await
            }
        }
    }
}

/// The answer to a request; none within the time is none. Whoever looks at a terminal is told meanwhile that something is under way.
async fn answered(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
    within: Duration,
) -> hyper::Result<Option<Response<Incoming>>> {
    sender.ready().await?;
    let answer = sender.send_request(request);
    tokio::pin!(answer);
    let start = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.tick().await;
    let mut told = false;
    let answered = loop {
        tokio::select! {
            answered = &mut answer => break Some(answered),
            _ = tick.tick(), if start.elapsed() < within => told |= progress(Some(start.elapsed())),
            () = tokio::time::sleep_until((start + within).into()) => break None,
        }
    };
    if told {
        progress(None);
    }
    answered.transpose()
}

async fn shake_hands<S>(stream: S) -> io::Result<SendRequest<Full<Bytes>>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // Its failure is told by whatever is asked over it.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

/// Events as they happen (server-sent events, as the HTML standard has them).
pub struct Events {
    body: Incoming,
    buffer: Vec<u8>,
    http: Http,
}

/// What comes next of a stream of events.
pub enum Next {
    /// An event.
    Event(Value),
    /// Some were lost to us; what is there is to be looked at anew.
    Resync,
    /// Nothing within the time.
    Nothing,
    /// The stream has ended.
    End,
}

impl Events {
    /// What comes next; waits at most so long where that is said.
    pub fn next(&mut self, at_most: Option<Duration>) -> Next {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|w| w == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                let block = String::from_utf8_lossy(&block);
                let field = |name: &str| block.lines().find_map(|l| l.strip_prefix(name)).map(str::trim_start);
                if field("event:") == Some("resync") {
                    return Next::Resync;
                }
                if let Some(event) = field("data:").and_then(|data| serde_json::from_str(data).ok()) {
                    return Next::Event(event);
                }
                continue;
            }
            let frame = self.body.frame();
            let frame = self.http.runtime.block_on(async {
                match at_most {
                    Some(at_most) => tokio::time::timeout(at_most, frame).await,
                    None => Ok(frame.await),
                }
            });
            match frame {
                Err(_) => return Next::Nothing,
                Ok(Some(Ok(frame))) => self.buffer.extend(frame.into_data().unwrap_or_default()),
                Ok(Some(Err(_)) | None) => return Next::End,
            }
        }
    }
}

/// Tells on a terminal how long it takes; `None` takes it away again.
fn progress(taken: Option<Duration>) -> bool {
    let mut stderr = io::stderr();
    if !stderr.is_terminal() {
        return false;
    }
    let text = taken.map(|t| format!("waiting for the daemon, {} s", t.as_secs())).unwrap_or_default();
    let _ = write!(stderr, "\r\x1b[K{text}").and_then(|()| stderr.flush());
    true
}

fn door(host: &str, token_file: &Path) -> Result<Door> {
    if let Some(rest) = host.strip_prefix("http://") {
        let (authority, base) = rest.split_once('/').map_or((rest, ""), |(a, b)| (a, b));
        let authority = if authority.rsplit(':').next().is_some_and(|p| p.parse::<u16>().is_ok()) && authority.contains(':') {
            authority.to_owned()
        } else {
            format!("{authority}:80")
        };
        let base = base.trim_matches('/');
        let base = if base.is_empty() { String::new() } else { format!("/{base}") };
        return Ok(Door::Tcp { authority, base, token_file: token_file.to_owned() });
    }
    if host.starts_with("https://") {
        return Err(Failed::Usage(
            "--host: https is not spoken; the daemon listens on loopback: forward a port to it (ssh -L), and say http://127.0.0.1:PORT"
                .into(),
        ));
    }
    let path = host.strip_prefix("unix://").unwrap_or(host);
    if path.starts_with('/') || path.starts_with("./") || path.starts_with("../") {
        return Ok(Door::Unix(path.into()));
    }
    Err(Failed::Usage(format!(
        "--host: {} is neither a socket nor a URL; a path such as /run/bulkhead/bulkhead.sock, or http://127.0.0.1:8420",
        harmless(host)
    )))
}

fn token(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file).map_err(|e| {
        Failed::Usage(format!(
            "--token-file: {} cannot be read ({e}); over http the daemon wants the token that it keeps beside its database",
            file.display()
        ))
    })?;
    let token = text.trim().to_owned();
    let is_token = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
    if is_token { Ok(token) } else { Err(Failed::Usage(format!("--token-file: {} holds no token: 64 hexadecimal digits", file.display()))) }
}

impl Door {
    fn text(&self) -> String {
        match self {
            Self::Unix(path) => path.display().to_string(),
            Self::Tcp { authority, base, .. } => format!("http://{authority}{base}"),
        }
    }

    /// Why there is no connection, and what to do.
    fn why_not(&self, error: &io::Error) -> String {
        let at = self.text();
        let elsewhere = "where it listens elsewhere, say so by --host or BULKHEAD_HOST";
        match (self, error.kind()) {
            (Self::Unix(_), io::ErrorKind::NotFound) => {
                format!("no daemon at {at}: there is no such socket. Start it (bulkhead serve); {elsewhere}")
            }
            (Self::Unix(_), io::ErrorKind::PermissionDenied) => {
                format!("{at} is not yours to connect to: become a member of its group (bulkhead serve --socket-group), or root")
            }
            (_, io::ErrorKind::ConnectionRefused) => {
                format!("no daemon at {at}: nobody listens there any more. Start it (bulkhead serve); {elsewhere}")
            }
            _ => format!("no daemon at {at}: {error}; {elsewhere}"),
        }
    }
}
