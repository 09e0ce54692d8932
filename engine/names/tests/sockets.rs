//! The resolver on real sockets: many namespaces, UDP and TCP, what is forwarded, and that sockets come and go with the record.
//! The sockets are of this test's own namespace, each on a port of its own; `tests/kernel` has them in namespaces of workloads.
#![allow(clippy::unwrap_used)] // A test that panics says where.

mod site;

use bulkhead_core::endpoint::{EndpointState, Netns, NetnsId};
use bulkhead_core::event::Event;
use bulkhead_core::ids::{PlanId, Timestamp};
use bulkhead_core::network::DnsForward;
use bulkhead_core::state::State;
use bulkhead_names::{Forwarder, Ground, Names, NotBound, Sockets};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use site::{Site, netns, question, said};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::broadcast;

struct Bed {
    state: Mutex<Arc<State>>,
    /// Where each namespace is served.
    at: Mutex<BTreeMap<NetnsId, SocketAddr>>,
    taken: Option<u64>,
}

impl Ground for Bed {
    fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.lock().unwrap())
    }
    fn bind(&self, netns: &Netns) -> Result<Sockets, NotBound> {
        if self.taken == Some(netns.id.cookie) {
            return Err(NotBound::Taken("UDP port 53".into()));
        }
        let (udp, tcp) = pair();
        udp.set_nonblocking(true).unwrap();
        tcp.set_nonblocking(true).unwrap();
        self.at.lock().unwrap().insert(netns.id, udp.local_addr().unwrap());
        Ok(Sockets { udp, tcp })
    }
}

/// UDP and TCP on one port.
fn pair() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
            return (udp, tcp);
        }
    }
}

struct Service {
    bed: Arc<Bed>,
    names: Names,
    events: broadcast::Sender<Event>,
    _runtime: Runtime,
}

impl Service {
    fn start(site: &Site, forwarder: Forwarder, taken: Option<u64>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let bed = Arc::new(Bed { state: Mutex::new(Arc::new(site.state.clone())), at: Mutex::default(), taken });
        let (events, heard) = broadcast::channel(16);
        let names = Names::start(Arc::<Bed>::clone(&bed), forwarder, runtime.handle().clone(), heard);
        let service = Self { bed, names, events, _runtime: runtime };
        service.until_served(site.state.namespaces().count() - usize::from(taken.is_some()));
        service
    }

    fn publish(&self, site: &Site) {
        *self.bed.state.lock().unwrap() = Arc::new(site.state.clone());
        let _ = self.events.send(Event { seq: 1, at: Timestamp(0), kind: "test".into(), subject: String::new(), text: String::new() });
    }

    fn until_served(&self, count: usize) {
        let end = Instant::now() + Duration::from_secs(30);
        while self.names.count() != count {
            assert!(Instant::now() < end, "{} are served, not {count}", self.names.count());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn at(&self, cookie: u64) -> SocketAddr {
        self.bed.at.lock().unwrap()[&netns(cookie)]
    }

    fn udp(&self, cookie: u64, name: &str, kind: RecordType) -> (ResponseCode, Vec<String>) {
        said(&ask_udp(self.at(cookie), &question(name, kind)))
    }
}

fn ask_udp(server: SocketAddr, question: &Message) -> Vec<u8> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.send_to(&question.to_vec().unwrap(), server).unwrap();
    let mut answer = vec![0; 65_535];
    let length = socket.recv(&mut answer).unwrap();
    answer.truncate(length);
    answer
}

fn ask_tcp(stream: &mut TcpStream, question: &Message) -> Vec<u8> {
    let bytes = question.to_vec().unwrap();
    stream.write_all(&(bytes.len() as u16).to_be_bytes()).unwrap();
    stream.write_all(&bytes).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).unwrap();
    answer
}

fn nobody() -> Forwarder {
    Forwarder::to(Vec::new())
}

/// A resolver of a host: first sends what is not the answer, then the answer: NOERROR for UDP, REFUSED for TCP, to tell them apart.
fn upstream() -> SocketAddr {
    let (udp, tcp) = pair();
    let at = udp.local_addr().unwrap();
    let answer = |question: &[u8], code| {
        let question = Message::from_vec(question).unwrap();
        let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
        answer.queries = question.queries;
        answer.metadata.response_code = code;
        answer
    };
    std::thread::spawn(move || {
        let mut bytes = [0; 2048];
        while let Ok((length, from)) = udp.recv_from(&mut bytes) {
            let good = answer(&bytes[..length], ResponseCode::NoError);
            let (mut other_id, mut other_question) = (good.clone(), good.clone());
            other_id.metadata.id = good.metadata.id.wrapping_add(1);
            other_id.metadata.response_code = ResponseCode::NXDomain;
            other_question.queries = question("evil.example.", RecordType::A).queries;
            for message in [other_id, other_question, good] {
                udp.send_to(&message.to_vec().unwrap(), from).unwrap();
            }
        }
    });
    std::thread::spawn(move || {
        for mut stream in tcp.incoming().flatten() {
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut bytes).unwrap();
            let bytes = answer(&bytes, ResponseCode::Refused).to_vec().unwrap();
            stream.write_all(&(bytes.len() as u16).to_be_bytes()).unwrap();
            stream.write_all(&bytes).unwrap();
        }
    });
    at
}

#[test]
fn sockets_and_names_follow_the_record() {
    let mut site = Site::new();
    let n = site.network("n", None, DnsForward::Auto, &["10.0.0.0/16"]);
    for i in 1..=20 {
        site.attach(n, i, Some(&format!("ipv{i}")), "w", &[&format!("10.0.0.{i}")]);
    }
    let service = Service::start(&site, nobody(), None);
    assert_eq!(service.udp(7, "ipv13.", RecordType::A), (ResponseCode::NoError, vec!["10.0.0.13".into()]));
    let mut stream = TcpStream::connect(service.at(7)).unwrap();
    for name in ["ipv1.", "ipv2."] {
        assert_eq!(said(&ask_tcp(&mut stream, &question(name, RecordType::A))).0, ResponseCode::NoError);
    }

    let ids: Vec<_> = site.state.endpoints().map(|e| (e.netns.id.cookie, e.id)).collect();
    let id_of = |cookie| ids.iter().find(|(c, _)| *c == cookie).unwrap().1;
    site.change(id_of(13), |e| e.state = EndpointState::Detaching { plan: PlanId(1) });
    service.publish(&site);
    assert_eq!(service.udp(7, "ipv13.", RecordType::A).0, ResponseCode::NXDomain, "at once");
    site.drop(id_of(13));
    site.drop(id_of(7));
    service.publish(&site);
    service.until_served(18);
    let end = Instant::now() + Duration::from_secs(10);
    for cookie in [7, 13] {
        while UdpSocket::bind(service.at(cookie)).is_err() || TcpStream::connect(service.at(cookie)).is_ok() {
            assert!(Instant::now() < end, "the sockets of {cookie} are closed");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "and so are connections");
    site.attach(n, 99, Some("late"), "w", &["10.0.0.99"]);
    service.publish(&site);
    service.until_served(19);
    assert_eq!(service.udp(99, "ipv1.", RecordType::A).1, ["10.0.0.1"]);
}

#[test]
fn a_namespace_that_has_a_resolver_already_says_so() {
    let mut site = Site::new();
    let n = site.network("n", None, DnsForward::Auto, &["10.0.0.0/16"]);
    site.attach(n, 1, Some("a"), "w", &["10.0.0.1"]);
    site.attach(n, 2, Some("b"), "w", &["10.0.0.2"]);
    let service = Service::start(&site, nobody(), Some(1));
    let end = Instant::now() + Duration::from_secs(10);
    let told = loop {
        match service.names.trouble(netns(1)) {
            Some(told) => break told,
            None => assert!(Instant::now() < end),
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(told.contains("127.0.0.11:53 is taken there by another resolver"), "{told}");
    assert_eq!(service.names.trouble(netns(2)), None);
}

#[test]
fn names_from_outside_come_from_the_hosts_resolvers_and_from_nowhere_else() {
    let mut site = Site::new();
    let wired = site.network("wired", Some("eth0"), DnsForward::Auto, &["10.0.0.0/16"]);
    let alone = site.network("alone", None, DnsForward::Auto, &["10.1.0.0/16"]);
    site.attach(wired, 1, Some("a"), "w", &["10.0.0.1"]);
    site.attach(alone, 2, Some("b"), "w", &["10.1.0.1"]);
    // The first does not listen, so the second is asked.
    let (closed, _) = pair();
    let closed = closed.local_addr().unwrap();
    let service = Service::start(&site, Forwarder::to(vec![closed, upstream()]), None);
    let answer = ask_udp(service.at(1), &question("www.example.org.", RecordType::A));
    let answer = Message::from_vec(&answer).unwrap();
    assert_eq!((answer.metadata.id, answer.metadata.response_code), (4711, ResponseCode::NoError));
    assert_eq!(answer.queries[0].name.to_ascii(), "www.example.org.");
    let mut stream = TcpStream::connect(service.at(1)).unwrap();
    assert_eq!(said(&ask_tcp(&mut stream, &question("www.example.org.", RecordType::A))).0, ResponseCode::Refused, "TCP goes by TCP");
    assert_eq!(service.udp(2, "www.example.org.", RecordType::A).0, ResponseCode::ServFail);
    assert_eq!(service.udp(1, "nobody.", RecordType::A).0, ResponseCode::NXDomain);

    let service = Service::start(&site, Forwarder::to(vec![closed]), None);
    assert_eq!(service.udp(1, "www.example.org.", RecordType::A).0, ResponseCode::ServFail, "nobody answers");
}
