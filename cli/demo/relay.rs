//! Makes the service in the lab's host reachable from outside of the lab: accepts here, connects there, copies both ways.

use bulkhead_lab::Namespace;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::error::Error;
use std::fs::File;
use std::io::copy;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

/// Connections at a time; a browser makes six.
const CONNECTIONS_MAX: usize = 64;

/// Listens on all addresses of the namespace that the demo runs in: it is a private one, and what leads to it listens on
/// loopback only. The daemon still checks token and Host.
pub fn start(host: &Namespace, port: u16) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).map_err(|e| format!("port {port} cannot be listened on: {e}"))?;
    let namespace = File::open(host.path())?;
    // One thread lives in the lab's host and does nothing but connect.
    let (ask, asked) = channel::<std::sync::mpsc::Sender<std::io::Result<TcpStream>>>();
    std::thread::spawn(move || {
        let entered = move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network));
        for answer in asked {
            let stream = entered.map_err(std::io::Error::from).and_then(|()| TcpStream::connect((Ipv4Addr::LOCALHOST, port)));
            let _ = answer.send(stream);
        }
    });
    static OPEN: AtomicUsize = AtomicUsize::new(0);
    std::thread::spawn(move || {
        for outside in listener.incoming().flatten() {
            let (answer, connected) = channel();
            let full = OPEN.load(Ordering::Relaxed) >= CONNECTIONS_MAX;
            if full || ask.send(answer).is_err() {
                continue;
            }
            let Ok(Ok(inside)) = connected.recv() else { continue };
            OPEN.fetch_add(1, Ordering::Relaxed);
            std::thread::spawn(move || {
                relay(&outside, &inside);
                OPEN.fetch_sub(1, Ordering::Relaxed);
            });
        }
    });
    Ok(())
}

fn relay(outside: &TcpStream, inside: &TcpStream) {
    std::thread::scope(|scope| {
        for (mut from, mut to) in [(outside, inside), (inside, outside)] {
            scope.spawn(move || {
                let _ = copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
        }
    });
}

/// Until Ctrl-C or a polite end.
pub fn until_told() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return };
    runtime.block_on(async {
        let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
        let terminated = async {
            match &mut term {
                Ok(term) => {
                    term.recv().await;
                }
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! { _ = tokio::signal::ctrl_c() => {}, () = terminated => {} }
    });
}
