//! Names, asked inside the namespaces of workloads, of the resolver at 127.0.0.11 there.

use crate::support::{address, eventually, ip, pings, site, site_with};
use bulkhead_lab::{Lab, Namespace};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

const RESOLVER: (&str, u16) = ("127.0.0.11", 53);

/// An answer: its code, whether it is cut off, and what its records hold. `None`: nobody listens.
type Answer = Option<(ResponseCode, bool, Vec<String>)>;

fn question(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::new(77, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message.to_vec().unwrap()
}

fn read(bytes: &[u8]) -> Answer {
    let answer = Message::from_vec(bytes).unwrap();
    let data = answer.answers.iter().map(|r| r.data.to_string()).collect();
    Some((answer.metadata.response_code, answer.metadata.truncation, data))
}

fn over_udp(from: &Namespace, name: &str, kind: RecordType) -> Answer {
    let asked = || {
        let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.connect(RESOLVER).ok()?;
        socket.send(&question(name, kind)).ok()?;
        let mut answer = [0; 4096];
        let length = socket.recv(&mut answer).ok()?;
        read(&answer[..length])
    };
    from.enter(asked).unwrap()
}

fn over_tcp(from: &Namespace, name: &str, kind: RecordType) -> Answer {
    let asked = || {
        let mut stream = TcpStream::connect(RESOLVER).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let question = question(name, kind);
        stream.write_all(&[&(question.len() as u16).to_be_bytes()[..], &question].concat()).ok()?;
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer).ok()?;
        read(&answer)
    };
    from.enter(asked).unwrap()
}

fn found(addresses: &[&str]) -> Answer {
    Some((ResponseCode::NoError, false, addresses.iter().map(ToString::to_string).collect()))
}

fn code(answer: Answer) -> Option<ResponseCode> {
    answer.map(|(code, ..)| code)
}

#[test]
fn neighbours_are_found_by_name_alias_and_address_over_ipv4_and_ipv6_udp_and_tcp() {
    site(|site| {
        let subnets = json!([{"cidr": "192.168.1.0/24"}, {"cidr": "2001:db8:1::/64"}]);
        site.network(&json!({"name": "db_net_ipv", "parent": "eth0", "subnets": subnets}));
        let (a, b) = (site.lab.workload("a").unwrap(), site.lab.workload("b").unwrap());
        let wish =
            json!({"name": "ipv1", "aliases": ["primary"], "addresses": ["192.168.1.10", "2001:db8:1::10"], "workload": {"name": "db-1"}});
        let one = site.attach("db_net_ipv", &a, &wish);
        let two = site.attach("db_net_ipv", &b, &json!({"name": "ipv2"}));
        assert_eq!(one["warnings"], json!(null), "{one}");
        for ask in [over_udp, over_tcp] {
            for name in ["ipv1.", "primary.", "db-1.", "IPV1.db_net_ipv."] {
                assert_eq!(ask(&b, name, RecordType::A), found(&["192.168.1.10"]), "{name}");
                assert_eq!(ask(&b, name, RecordType::AAAA), found(&["2001:db8:1::10"]), "{name}");
            }
            assert_eq!(ask(&b, "10.1.168.192.in-addr.arpa.", RecordType::PTR), found(&["ipv1.db_net_ipv."]));
            assert_eq!(ask(&a, "ipv2.", RecordType::A), found(&[&address(&two, 0).to_string()]), "and the other way round");
            assert_eq!(code(ask(&a, "nobody.", RecordType::A)), Some(ResponseCode::NXDomain));
        }
        assert!(pings(&b, ip("192.168.1.10")) && pings(&b, ip("2001:db8:1::10")));
    });
}

#[test]
fn three_isolated_networks_know_nothing_of_each_other_and_nothing_leaves_them() {
    site(|site| {
        let names = ["isolated1", "isolated2", "isolated3"];
        let workloads = names.map(|n| site.lab.workload(n).unwrap());
        for (name, workload) in names.iter().zip(&workloads) {
            site.network(&json!({"name": name}));
            site.attach(name, workload, &json!({"name": format!("c-{name}")}));
        }
        for (name, workload) in names.iter().zip(&workloads) {
            for other in names {
                let seen = code(over_udp(workload, &format!("c-{other}."), RecordType::A));
                assert_eq!(seen == Some(ResponseCode::NoError), *name == other, "{name} asks for {other}: {seen:?}");
                let full = code(over_udp(workload, &format!("c-{other}.{other}."), RecordType::A));
                assert_eq!(full == Some(ResponseCode::NoError), *name == other, "{name} asks for {other}: {full:?}");
            }
            assert_eq!(code(over_udp(workload, "www.example.org.", RecordType::A)), Some(ResponseCode::ServFail));
        }
    });
}

#[test]
fn a_detach_takes_the_name_and_the_last_one_the_resolver() {
    site(|site| {
        site.network(&json!({"name": "n"}));
        let (a, b) = (site.lab.workload("a").unwrap(), site.lab.workload("b").unwrap());
        site.attach("n", &a, &json!({"name": "ipv1"}));
        site.attach("n", &b, &json!({"name": "ipv2"}));
        assert_eq!(code(over_udp(&b, "ipv1.", RecordType::A)), Some(ResponseCode::NoError));
        assert_eq!(site.delete("/v1/networks/n/endpoints/ipv1").status, 200);
        assert_eq!(code(over_udp(&b, "ipv1.", RecordType::A)), Some(ResponseCode::NXDomain), "at once");
        eventually("the resolver of the detached is gone", || over_udp(&a, "ipv1.", RecordType::A).is_none());
        assert!(over_tcp(&a, "ipv1.", RecordType::A).is_none());
        site.attach("n", &a, &json!({"name": "ipv1"}));
        assert_eq!(code(over_udp(&a, "ipv2.", RecordType::A)), Some(ResponseCode::NoError), "and back with a new attach");
    });
}

/// The resolver's sockets must not keep a namespace alive whose last process or mount is gone: its address is free again.
#[test]
fn a_namespace_is_let_go_when_nothing_but_its_resolver_holds_it() {
    site_with(
        "sweep_s = 1\nhold_back_s = 0",
        |_| {},
        |site| {
            site.network(&json!({"name": "n", "parent": "eth0", "subnets": [{"cidr": "192.168.1.0/24"}]}));
            let keeper = site.lab.workload("keeper").unwrap();
            site.attach("n", &keeper, &json!({"name": "keeper"}));
            // One that nobody asks about its end, as hosts have them: it must not hide that the namespace is gone.
            let mut zombie = std::process::Command::new("true").spawn().unwrap();
            for _ in 0..2 {
                let a = site.lab.workload("a").unwrap();
                site.attach("n", &a, &json!({"name": "ipv1", "addresses": ["192.168.1.10"]}));
                assert_eq!(code(over_udp(&a, "keeper.", RecordType::A)), Some(ResponseCode::NoError));
                assert!(pings(&keeper, ip("192.168.1.10")));
                drop(a);
                eventually("the endpoint is released", || site.items("/v1/endpoints").len() == 1);
                assert_eq!(code(over_udp(&keeper, "ipv1.", RecordType::A)), Some(ResponseCode::NXDomain));
                eventually("its link is gone: the kernel gives the address to another", || {
                    let probe = site.lab.host.run(&["ip", "link", "add", "probe0", "link", "eth0", "type", "ipvlan", "mode", "l2"]);
                    probe.unwrap();
                    let free = site.lab.host.run(&["ip", "addr", "add", "192.168.1.10/24", "dev", "probe0"]).is_ok();
                    site.lab.host.run(&["ip", "link", "del", "probe0"]).unwrap();
                    free
                });
            }
            zombie.wait().unwrap();
        },
    );
}

#[test]
fn a_restarted_daemon_answers_again_and_a_killed_one_holds_nothing() {
    site(|site| {
        site.network(&json!({"name": "n"}));
        let (a, b) = (site.lab.workload("a").unwrap(), site.lab.workload("b").unwrap());
        let to_a = address(&site.attach("n", &a, &json!({"name": "ipv1"})), 0).to_string();
        site.attach("n", &b, &json!({"name": "ipv2"}));
        site.daemon.kill().unwrap();
        assert_eq!(over_udp(&b, "ipv1.", RecordType::A), None, "nobody listens");
        assert!(pings(&b, ip(&to_a)), "the network lives on");
        site.daemon.start().unwrap();
        site.reconnect();
        eventually("names are answered again", || over_udp(&b, "ipv1.", RecordType::A) == found(&[&to_a]));
        eventually("in every namespace", || code(over_tcp(&a, "ipv2.", RecordType::A)) == Some(ResponseCode::NoError));
    });
}

#[test]
fn a_bare_namespace_gets_lo_up_and_one_with_a_resolver_keeps_its_own() {
    site(|site| {
        site.network(&json!({"name": "n"}));
        let (bare, taken, docker) =
            (site.lab.workload("bare").unwrap(), site.lab.workload("taken").unwrap(), site.lab.workload("docker").unwrap());
        bare.ip("link set lo down").unwrap();
        site.attach("n", &bare, &json!({"name": "bare"}));
        assert_eq!(code(over_udp(&bare, "bare.", RecordType::A)), Some(ResponseCode::NoError));

        let own = taken.enter(|| TcpListener::bind(RESOLVER)).unwrap().unwrap();
        // As Docker does: another port, to which packets are redirected.
        let dockers = docker.enter(|| UdpSocket::bind("127.0.0.11:0")).unwrap().unwrap();
        for workload in [&taken, &docker] {
            let name = workload.name();
            let attached = site.attach("n", workload, &json!({"name": name}));
            let told = attached["warnings"].to_string();
            assert!(told.contains("127.0.0.11:53 is taken there by another resolver"), "{told}");
            let again = site.get(&format!("/v1/networks/n/endpoints/{name}"));
            assert_eq!(again["warnings"], attached["warnings"], "inspecting tells it, too");
            assert_eq!(code(over_udp(&bare, &format!("{name}."), RecordType::A)), Some(ResponseCode::NoError), "others find it");
        }
        drop((own, dockers));
    });
}

#[test]
fn answers_that_do_not_fit_are_whole_over_tcp() {
    site(|site| {
        site.network(&json!({"name": "n", "subnets": [{"cidr": "10.9.0.0/24"}]}));
        let workloads: Vec<Namespace> = (0..3).map(|i| site.lab.workload(&format!("w{i}")).unwrap()).collect();
        for (i, workload) in workloads.iter().enumerate() {
            let addresses: Vec<String> = (0..16).map(|j| format!("10.9.0.{}", 10 + i * 16 + j)).collect();
            site.attach("n", workload, &json!({"aliases": ["all"], "addresses": addresses}));
        }
        let (code, cut, answers) = over_udp(&workloads[0], "all.", RecordType::A).unwrap();
        assert_eq!((code, cut, answers.len()), (ResponseCode::NoError, true, 0));
        let (code, cut, answers) = over_tcp(&workloads[0], "all.", RecordType::A).unwrap();
        assert_eq!((code, cut, answers.len()), (ResponseCode::NoError, false, 48));
    });
}

/// The peer of the lab is the resolver of the host.
fn outside(lab: &Lab) -> UdpSocket {
    lab.peer.enter(|| UdpSocket::bind("192.168.1.1:53")).unwrap().unwrap()
}

fn answer_as_outside(socket: UdpSocket) {
    std::thread::spawn(move || {
        let mut bytes = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut bytes) {
            let question = Message::from_vec(&bytes[..length]).unwrap();
            let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
            answer.queries = question.queries;
            answer.metadata.response_code = if from.ip() == ip("192.168.1.250") { ResponseCode::NoError } else { ResponseCode::Refused };
            socket.send_to(&answer.to_vec().unwrap(), from).unwrap();
        }
    });
}

#[test]
fn names_from_outside_come_by_the_host_where_the_network_lets_them() {
    site_with(
        "resolvers = [\"192.168.1.1\"]",
        |lab| answer_as_outside(outside(lab)),
        |site| {
            let wish = |name: &str, parent: Option<&str>, forward: &str| {
                let mut wish = json!({"name": name, "dns": {"forward": forward}});
                if let Some(parent) = parent {
                    wish["parent"] = json!(parent);
                }
                wish
            };
            for (name, parent, forward, answered) in [
                ("wired", Some("eth0"), "auto", true),
                ("quiet", Some("eth0"), "off", false),
                ("alone", None, "auto", false),
                ("asked", None, "on", true),
            ] {
                let network = site.network(&wish(name, parent, forward));
                assert_eq!(network["dns"]["forward"], forward);
                let workload = site.lab.workload(name).unwrap();
                site.attach(name, &workload, &json!({"name": "w"}));
                let expected = if answered { ResponseCode::NoError } else { ResponseCode::ServFail };
                assert_eq!(code(over_udp(&workload, "www.example.org.", RecordType::A)), Some(expected), "{name}");
                assert_eq!(code(over_udp(&workload, "intranet.", RecordType::A)), Some(ResponseCode::NXDomain), "{name}");
                // Another wish takes effect at once.
                let (other, expected) = if answered { ("off", ResponseCode::ServFail) } else { ("on", ResponseCode::NoError) };
                site.patch(&format!("/v1/networks/{name}"), &json!({"dns": {"forward": other}}));
                assert_eq!(code(over_udp(&workload, "www.example.org.", RecordType::A)), Some(expected), "{name} {other}");
                site.take_all_away();
            }
            let (status, faults) = site.no_network(&wish("n", None, "maybe"));
            assert_eq!((status, faults), (422, vec!["dns.forward: \"maybe\" is not known".to_owned()]));
        },
    );
}

#[test]
fn without_names_there_is_no_resolver() {
    site_with(
        "names = false",
        |_| {},
        |site| {
            site.network(&json!({"name": "n"}));
            let a = site.lab.workload("a").unwrap();
            let attached = site.attach("n", &a, &json!({"name": "ipv1"}));
            assert_eq!(attached["warnings"], json!(null));
            assert_eq!(over_udp(&a, "ipv1.", RecordType::A), None);
        },
    );
}

#[test]
fn names_that_differ_in_case_only_are_one() {
    site(|site| {
        site.network(&json!({"name": "n"}));
        let (a, b) = (site.lab.workload("a").unwrap(), site.lab.workload("b").unwrap());
        site.attach("n", &a, &json!({"name": "Db"}));
        let refused = site.try_attach("n", &b, &json!({"name": "dB"}));
        assert_eq!(refused.status, 409);
        assert!(refused.text().contains("Db is the name of endpoint"), "{}", refused.text());
    });
}
