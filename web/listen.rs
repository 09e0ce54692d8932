//! The sockets: a unix socket, and TCP on loopback when asked. Each connection under the limits, each request through
//! [`auth`] before it reaches a handler.

use crate::accounts::Accounts;
use crate::api_page;
use crate::app::{App, Asker, Stopping};
use crate::auth::{self, TcpGuard};
use crate::dashboard::{self, Entered};
use crate::limits::Limits;
use crate::patience::Patience;
use crate::problem::{Kind, Problem};
use crate::router::router;
use crate::sessions::Sessions;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, header};
use axum::response::IntoResponse;
use bulkhead_core::caller::Caller;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::convert::Infallible;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tower_service::Service;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 512;
/// Longest path of a unix socket: `sun_path` with its final zero (unix(7)).
const PATH_MAX: usize = 107;

/// Why a door does not open.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody answers on the socket.
    #[error("somebody answers on {0} already; stop that daemon first, or choose another socket")]
    InUse(PathBuf),
    /// What is at the path is no socket.
    #[error("{0} is there and is not a socket; move it away, or choose another path")]
    NotASocket(PathBuf),
    /// The path does not fit.
    #[error("{0} is longer than a socket's path may be ({PATH_MAX} bytes)")]
    TooLong(PathBuf),
    /// Not loopback.
    #[error("{0} is not a loopback address; listen on 127.0.0.1 or [::1], and put a proxy of your own in front of it")]
    NotLoopback(SocketAddr),
    /// The system refused.
    #[error("{tried}: {source}")]
    System {
        /// What was tried.
        tried: String,
        /// What the system said.
        source: io::Error,
    },
}

fn system(tried: impl Into<String>) -> impl FnOnce(io::Error) -> ListenError {
    let tried = tried.into();
    move |source| ListenError::System { tried, source }
}

/// The unix socket, bound. Dropped, it removes its file, if that is still its own.
pub struct UnixDoor {
    listener: StdUnixListener,
    path: PathBuf,
    file: (u64, u64),
    accounts: Arc<Accounts>,
    admins: Arc<[u32]>,
}

impl UnixDoor {
    /// Binds `path`, with `mode` and of `group`. A socket file on which nobody answers is replaced.
    pub fn bind(path: &Path, mode: u32, group: Option<u32>, accounts: Arc<Accounts>, admins: Vec<u32>) -> Result<Self, ListenError> {
        // Under another name until it has its mode and its group: nobody else gets in meanwhile.
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}", std::process::id()));
        let new = PathBuf::from(name);
        if new.as_os_str().len() > PATH_MAX {
            return Err(ListenError::TooLong(path.to_owned()));
        }
        check_free(path)?;
        let _ = fs::remove_file(&new);
        let shown = path.display();
        let bound = (|| {
            let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
            let address = rustix::net::SocketAddrUnix::new(&new)?;
            rustix::net::bind(&socket, &address)?;
            fs::set_permissions(&new, fs::Permissions::from_mode(mode))?;
            if group.is_some() {
                chown(&new, None, group)?;
            }
            rustix::net::listen(&socket, BACKLOG)?;
            let file = fs::symlink_metadata(&new)?;
            fs::rename(&new, path)?;
            Ok((socket, (file.dev(), file.ino())))
        })();
        let (socket, file): (OwnedFd, _) = bound.map_err(|e: io::Error| {
            let _ = fs::remove_file(&new);
            ListenError::System { tried: format!("listening on {shown}"), source: e }
        })?;
        let listener = StdUnixListener::from(socket);
        listener.set_nonblocking(true).map_err(system(format!("listening on {shown}")))?;
        Ok(Self { listener, path: path.to_owned(), file, accounts, admins: admins.into() })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UnixDoor {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|m| (m.dev(), m.ino()) == self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether a socket may be bound at `path`.
pub fn check_free(path: &Path) -> Result<(), ListenError> {
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(system(format!("looking at {}", path.display()))(e)),
    };
    if !there.file_type().is_socket() {
        return Err(ListenError::NotASocket(path.to_owned()));
    }
    match StdUnixStream::connect(path) {
        Ok(_) => Err(ListenError::InUse(path.to_owned())),
        // Its owner is gone.
        Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => Ok(()),
        // Full, or not ours to connect to: somebody is there.
        Err(_) => Err(ListenError::InUse(path.to_owned())),
    }
}

/// The TCP socket, bound to loopback.
pub struct TcpDoor {
    listener: StdTcpListener,
    guard: Arc<TcpGuard>,
}

impl TcpDoor {
    /// Binds `address`, which must be loopback; `guard` gets the address that was bound.
    pub fn bind(address: SocketAddr, guard: impl FnOnce(SocketAddr) -> TcpGuard) -> Result<Self, ListenError> {
        check_loopback(address)?;
        let tried = || format!("listening on {address}");
        let listener = StdTcpListener::bind(address).map_err(system(tried()))?;
        listener.set_nonblocking(true).map_err(system(tried()))?;
        let bound = listener.local_addr().map_err(system(tried()))?;
        Ok(Self { listener, guard: Arc::new(guard(bound)) })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The sessions of the dashboard that it serves.
    pub fn sessions(&self) -> Arc<Sessions> {
        Arc::clone(&self.guard.sessions)
    }
}

/// Whether TCP may be listened on at `address`.
pub fn check_loopback(address: SocketAddr) -> Result<(), ListenError> {
    if address.ip().is_loopback() { Ok(()) } else { Err(ListenError::NotLoopback(address)) }
}

/// Serves until `stop` says so or its sender is gone; then accepts no more, and lets requests that are under way finish.
pub async fn serve(app: App, unix: Option<UnixDoor>, tcp: Option<TcpDoor>, stop: watch::Receiver<bool>) -> Result<(), ListenError> {
    let (limits, router) = (app.limits(), router(app.clone()));
    let serving = |who: Arc<Who>| Serving { app: app.clone(), router: router.clone(), who, stop: stop.clone() };
    let unix = async {
        let Some(door) = &unix else { return Ok(()) };
        let cloned = door.listener.try_clone().and_then(UnixListener::from_std).map_err(system("listening on the unix socket"))?;
        let accept = async || {
            let (stream, _) = cloned.accept().await?;
            let caller = auth::unix_caller(&stream, &door.accounts, &door.admins).map(Arc::new);
            Ok((stream, caller.map(|caller| serving(Arc::new(Who::Peer(caller))))))
        };
        accept_all::<UnixStream>(accept, limits, stop.clone()).await;
        Ok(())
    };
    let tcp = async {
        let Some(TcpDoor { listener, guard }) = tcp else { return Ok(()) };
        let listener = TcpListener::from_std(listener).map_err(system("listening on TCP"))?;
        let accept = async || {
            let (stream, peer) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let caller = Arc::new(auth::token_caller(peer.to_string()));
            Ok((stream, Ok(serving(Arc::new(Who::Bearer(Arc::clone(&guard), caller))))))
        };
        accept_all::<TcpStream>(accept, limits, stop.clone()).await;
        Ok(())
    };
    let (unix, tcp) = tokio::join!(unix, tcp);
    unix.and(tcp)
}

/// Who is at the other end of a connection.
enum Who {
    /// A peer that the kernel vouches for.
    Peer(Arc<Caller>),
    /// Whoever shows the token.
    Bearer(Arc<TcpGuard>, Arc<Caller>),
}

/// What a connection needs.
struct Serving {
    app: App,
    router: Router,
    who: Arc<Who>,
    stop: watch::Receiver<bool>,
}

/// Accepts connections, so many at a time, until told to stop; then waits for those that are open, for a while.
async fn accept_all<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    accept: impl AsyncFn() -> io::Result<(S, io::Result<Serving>)>,
    limits: &Limits,
    mut stop: watch::Receiver<bool>,
) {
    let max = u32::try_from(limits.connections_max.max(1)).unwrap_or(u32::MAX);
    let places = Arc::new(Semaphore::new(max as usize));
    loop {
        let place = tokio::select! {
            // A closed semaphore: nobody closes it.
            place = Arc::clone(&places).acquire_owned() => match place { Ok(place) => place, Err(_) => break },
            () = stopped(&mut stop) => break,
        };
        let accepted = tokio::select! {
            accepted = accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        match accepted {
            Ok((stream, Ok(serving))) => {
                tokio::spawn(async move {
                    connection(stream, serving).await;
                    drop(place);
                });
            }
            Ok((_, Err(error))) => tracing::warn!(%error, "a peer's identity could not be read; it is turned away"),
            Err(error) => {
                // Such as EMFILE: trying again at once would only burn time.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    if tokio::time::timeout(limits.stop_within, places.acquire_many(max)).await.is_err() {
        tracing::warn!("some requests did not end in time; their connections are cut");
    }
}

/// Until the stop is called, or nobody is left to call it.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, serving: Serving) {
    let Serving { app, router, who, mut stop } = serving;
    let limits = app.limits();
    let service = {
        let (app, stop) = (app.clone(), stop.clone());
        service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Stopping(stop.clone()));
            answer(app.clone(), router.clone(), Arc::clone(&who), request)
        })
    };
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_within)
        .max_headers(limits.headers_max)
        // Hyper takes no less than 8 KiB.
        .max_buf_size(limits.head_bytes_max.max(8192))
        .serve_connection(TokioIo::new(Patience::new(stream, limits.taken_within)), service);
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stopped(&mut stop) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// One request: who asks, then the handler, for as long as a caller is kept waiting.
async fn answer(app: App, mut router: Router, who: Arc<Who>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (begun, limits) = (Instant::now(), app.limits());
    let mut request = request.map(Body::new);
    if let Some(uri) = app.base().stripped(request.uri()) {
        *request.uri_mut() = uri;
    }
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let (entered, mut caller) = match &*who {
        Who::Peer(caller) => (auth::check_unix(request.headers()).map(|()| Entered::Api(Arc::clone(caller))), caller),
        Who::Bearer(guard, caller) if dashboard::is_its(&path) => {
            (dashboard::enter(guard, &caller.peer, &mut request, limits).await, caller)
        }
        Who::Bearer(guard, caller) if api_page::is_its(&path) => (api_page::enter(guard, &app, &request).map(Entered::Answered), caller),
        Who::Bearer(guard, caller) => (guard.check(request.uri(), request.headers()).map(|()| Entered::Api(Arc::clone(caller))), caller),
    };
    // In a session it is another than whoever holds the connection.
    let known = if let Ok(Entered::Api(known)) = &entered { Some(Arc::clone(known)) } else { None };
    if let Some(known) = &known {
        request.extensions_mut().insert(Asker(Arc::clone(known)));
        caller = known;
    }
    let mut response = match entered {
        Err(problem) => {
            tracing::info!(door = %caller.door, peer = %caller.peer, problem = problem.kind().uri(), "{}", problem.detail());
            problem.into_response()
        }
        Ok(Entered::Answered(response)) => response,
        Ok(Entered::Api(_)) => match tokio::time::timeout(limits.answer_within, router.call(request)).await {
            Ok(Ok(response)) => response,
            Err(_) => {
                let within = limits.answer_within.as_secs();
                Problem::new(Kind::Timeout, format!("no end within {within} s; it goes on, and its decision will be on record"))
                    .into_response()
            }
        },
    };
    let headers = response.headers_mut();
    app.base().put_before_location(headers);
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let (status, ms) = (response.status().as_u16(), begun.elapsed().as_millis() as u64);
    if status >= 500 {
        tracing::warn!(caller = %caller.name, door = %caller.door, %method, path, status, ms, "request");
    } else if status >= 400 && method != Method::GET {
        tracing::info!(caller = %caller.name, door = %caller.door, %method, path, status, ms, "request");
    } else {
        tracing::debug!(caller = %caller.name, door = %caller.door, %method, path, status, ms, "request");
    }
    Ok(response)
}
