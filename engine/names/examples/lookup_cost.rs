//! lookup_cost [ENDPOINTS…]   What one look-up costs over UDP, on a record with 10 and 10,000 endpoints (or as many as named), each in a
//! namespace of its own: sockets, task and answer are the daemon's; the sockets are bound in this program's own namespace.
//! Beside it the floor: the same datagrams, echoed by one thread.
#![allow(clippy::unwrap_used)] // A measurement that cannot be made says where.

#[path = "../tests/site/mod.rs"]
mod site;

use bulkhead_core::endpoint::Netns;
use bulkhead_core::network::DnsForward;
use bulkhead_core::state::State;
use bulkhead_names::{Forwarder, Ground, Names, NotBound, Sockets};
use hickory_proto::rr::RecordType;
use site::{Site, netns, question};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

const LOOKUPS: usize = 20_000;

struct Own(Arc<State>);

impl Ground for Own {
    fn state(&self) -> Arc<State> {
        Arc::clone(&self.0)
    }
    fn bind(&self, netns: &Netns) -> Result<Sockets, NotBound> {
        // An address of 127.0.0.0/8 for each.
        let at = SocketAddr::new(address(netns.id.cookie), 5353);
        let udp = UdpSocket::bind(at).map_err(|e| NotBound::Failed(format!("{at}: {e}")))?;
        let tcp = TcpListener::bind(at).map_err(|e| NotBound::Failed(format!("{at}: {e}")))?;
        udp.set_nonblocking(true).and_then(|()| tcp.set_nonblocking(true)).map_err(|e| NotBound::Failed(e.to_string()))?;
        Ok(Sockets { udp, tcp })
    }
}

fn address(cookie: u64) -> IpAddr {
    let [.., a, b] = (cookie as u16).to_be_bytes();
    Ipv4Addr::new(127, 42, a, b).into()
}

fn main() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(0).max(1 << 16);
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: Some(most) }).expect("two descriptors a namespace (ulimit -n)");
    let named: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let echo = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let at = echo.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 2048];
        while let Ok((length, from)) = echo.recv_from(&mut bytes) {
            let _ = echo.send_to(&bytes[..length], from);
        }
    });
    say("the floor: an echo", &mut measured(|_| (at, "ipv1.".to_owned())));
    for endpoints in if named.is_empty() { vec![10, 10_000] } else { named } {
        let mut site = Site::new();
        let networks: Vec<_> =
            (0..endpoints.div_ceil(1000)).map(|n| site.network(&format!("n{n}"), None, DnsForward::Auto, &["10.0.0.0/8"])).collect();
        for i in 1..=endpoints {
            let [.., a, b] = (i as u16).to_be_bytes();
            let network = networks[(i % networks.len() as u64) as usize];
            site.attach(network, i, Some(&format!("ipv{i}")), &format!("w{i}"), &[&format!("10.0.{a}.{b}")]);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let before = memory_kib();
        let start = Instant::now();
        let (events, heard) = tokio::sync::broadcast::channel(1);
        let names = Names::start(Arc::new(Own(Arc::new(site.state))), Forwarder::to(Vec::new()), runtime.handle().clone(), heard);
        while names.count() < endpoints as usize {
            assert!(start.elapsed() < Duration::from_secs(60), "{}", names.trouble(netns(endpoints)).unwrap_or_default());
            std::thread::sleep(Duration::from_millis(1));
        }
        let (took, memory) = (start.elapsed(), memory_kib().saturating_sub(before));
        let step = networks.len() as u64;
        let mut all = measured(|n| {
            // A neighbour of the same network: as many apart as there are networks.
            let from = n as u64 * 7919 % endpoints + 1;
            let to = if from > step { from - step } else { from };
            (SocketAddr::new(address(from), 5353), format!("ipv{to}."))
        });
        say(&format!("{endpoints} endpoints"), &mut all);
        println!("    bound in {} ms, {} KiB each, {} threads in all", took.as_millis(), memory / endpoints, threads());
        // Closes its sockets, before the next binds the same addresses.
        drop((events, runtime));
    }
}

fn measured(ask: impl Fn(usize) -> (SocketAddr, String)) -> Vec<Duration> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut answer = [0; 2048];
    let mut all = Vec::with_capacity(LOOKUPS);
    for n in 0..LOOKUPS {
        let (server, name) = ask(n);
        let question = question(&name, RecordType::A).to_vec().unwrap();
        let start = Instant::now();
        socket.send_to(&question, server).unwrap();
        let length = socket.recv(&mut answer).unwrap();
        all.push(start.elapsed());
        assert!(length >= question.len() && answer[3] & 15 == 0, "{name} of {server} is not answered well");
    }
    all
}

fn say(what: &str, all: &mut [Duration]) {
    all.sort_unstable();
    let us = |part: f64| all[((all.len() - 1) as f64 * part) as usize].as_nanos() as f64 / 1000.0;
    println!("{what}: p50 {:.1} µs, p99 {:.1} µs", us(0.5), us(0.99));
}

fn status(key: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    text.lines().find_map(|l| l.strip_prefix(key)?.split_whitespace().next()?.parse().ok()).unwrap()
}

fn memory_kib() -> u64 {
    status("VmRSS:")
}

fn threads() -> u64 {
    status("Threads:")
}
