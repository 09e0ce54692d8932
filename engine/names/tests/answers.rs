//! What a workload is answered, question by question, on records of networks and endpoints.
#![allow(clippy::unwrap_used)] // A test that panics says where.

mod site;

use bulkhead_core::endpoint::EndpointState;
use bulkhead_core::ids::PlanId;
use bulkhead_core::names::Name;
use bulkhead_core::network::DnsForward::{self, Auto, Off, On};
use bulkhead_names::answer::{Reply, Transport, reply};
use hickory_proto::op::ResponseCode::{self, BADVERS, FormErr, NXDomain, NoError, NotImp, Refused, ServFail};
use hickory_proto::op::{Edns, Message, OpCode};
use hickory_proto::rr::RecordType::{self, A, AAAA, ANY, PTR, SRV};
use hickory_proto::rr::{DNSClass, Name as DnsName};
use site::{Site, netns, question, said};

/// isolated1 with ipv1 (1) and ipv2 (2), wired with ipv3 (3), and 4 on both as `both`.
fn documented() -> Site {
    let mut site = Site::new();
    let one = site.network("isolated1", None, Auto, &["172.18.0.0/16", "fd00:1::/64"]);
    let wired = site.network("wired", Some("eth0"), Auto, &["192.168.1.0/24"]);
    site.attach(one, 1, Some("ipv1"), "db-1", &["172.18.0.2", "fd00:1::2"]);
    site.attach(one, 2, Some("ipv2"), "db-2", &["172.18.0.3"]);
    site.attach(wired, 3, Some("ipv3"), "web", &["192.168.1.9"]);
    site.attach(one, 4, Some("both"), "both", &["172.18.0.9"]);
    site.attach(wired, 4, Some("both"), "both", &["192.168.1.7"]);
    site
}

fn answer(site: &Site, from: u64, question: &Message) -> Vec<u8> {
    match reply(&site.state, netns(from), &question.to_vec().unwrap(), Transport::Udp) {
        Reply::Answer(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn ask(site: &Site, from: u64, name: &str, kind: RecordType) -> (ResponseCode, Vec<String>) {
    said(&answer(site, from, &question(name, kind)))
}

fn is_forwarded(site: &Site, from: u64, name: &str) -> bool {
    match reply(&site.state, netns(from), &question(name, A).to_vec().unwrap(), Transport::Udp) {
        Reply::Forward { otherwise } => {
            assert_eq!(said(&otherwise).0, ServFail);
            true
        }
        _ => false,
    }
}

fn one(address: &str) -> (ResponseCode, Vec<String>) {
    (NoError, vec![address.to_owned()])
}

#[test]
fn every_name_of_a_neighbour_leads_to_it_by_its_families() {
    let site = documented();
    for name in ["ipv1.", "IPv1.", "db-1.", "ipv1.isolated1.", "DB-1.Isolated1."] {
        assert_eq!(ask(&site, 2, name, A), one("172.18.0.2"), "{name}");
        assert_eq!(ask(&site, 2, name, AAAA), one("fd00:1::2"), "{name}");
    }
    assert_eq!(ask(&site, 1, "ipv1.", A), one("172.18.0.2"), "and to itself");
    assert_eq!(ask(&site, 2, "ipv1.", ANY).1.len(), 2);
    assert_eq!(ask(&site, 1, "ipv2.", AAAA), (NoError, vec![]), "the name is there, such an address is not");
    assert_eq!(ask(&site, 1, "ipv2.", SRV), (NoError, vec![]));
}

#[test]
fn reverse_look_up_gives_name_and_network() {
    let site = documented();
    assert_eq!(ask(&site, 2, "2.0.18.172.in-addr.arpa.", PTR), one("ipv1.isolated1."));
    let six = "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa.";
    assert_eq!(ask(&site, 2, six, PTR), one("ipv1.isolated1."));
    assert_eq!(ask(&site, 2, "77.0.18.172.in-addr.arpa.", PTR).0, NXDomain, "nobody has it, and nobody else knows");
    assert_eq!(ask(&site, 2, "9.1.168.192.in-addr.arpa.", PTR).0, ServFail, "of a network that is not this workload's");
    assert!(is_forwarded(&site, 3, "1.1.168.192.in-addr.arpa."), "a router of the wire may be known to the host's resolvers");
}

#[test]
fn nothing_is_said_of_other_networks() {
    let site = documented();
    assert_eq!(ask(&site, 1, "ipv3.", A).0, NXDomain);
    assert_eq!(ask(&site, 1, "ipv3.wired.", A).0, ServFail);
    assert_eq!(ask(&site, 3, "ipv1.", A).0, NXDomain);
    assert_eq!(ask(&site, 99, "ipv1.", A).0, NXDomain, "a namespace that is attached to nothing");
    assert_eq!((ask(&site, 4, "ipv1.", A), ask(&site, 4, "ipv3.", A)), (one("172.18.0.2"), one("192.168.1.9")), "one on both sees both");
}

#[test]
fn of_two_networks_the_earlier_attach_answers_and_the_full_name_tells_them_apart() {
    let site = documented();
    assert_eq!(ask(&site, 4, "both.", A), one("172.18.0.9"));
    assert_eq!(ask(&site, 4, "both.wired.", A), one("192.168.1.7"));
    assert_eq!(ask(&site, 4, "nobody.wired.", A).0, NXDomain);
}

#[test]
fn nobody_takes_a_name_by_naming_a_workload_or_an_endpoint_like_it() {
    let mut site = documented();
    let one_network = site.state.network("isolated1").unwrap().id;
    let wired = site.state.network("wired").unwrap().id;
    site.attach(one_network, 5, Some("thief"), "ipv1", &["172.18.0.66"]);
    assert_eq!(ask(&site, 2, "ipv1.", A), one("172.18.0.2"), "an endpoint's own name goes first");
    site.attach(one_network, 6, Some("ipv3.wired"), "x", &["172.18.0.67"]);
    assert_eq!(ask(&site, 4, "ipv3.wired.", A), one("192.168.1.9"), "and name.network before that");
    site.attach(wired, 7, Some("a.b"), "x", &["192.168.1.20"]);
    assert_eq!(ask(&site, 3, "a.b.", A), one("192.168.1.20"), "names may have dots otherwise");
}

#[test]
fn an_alias_stands_for_all_who_have_it_each_first_in_turn() {
    let mut site = documented();
    let ids: Vec<_> = site.state.endpoints().filter(|e| e.netns.id.cookie <= 2).map(|e| e.id).collect();
    for id in ids {
        site.change(id, |e| e.aliases = vec![Name::new("Primary").unwrap()]);
    }
    let (mut q, mut firsts) = (question("primary.", A), Vec::new());
    for id in [0, 1] {
        q.metadata.id = id;
        let (code, all) = said(&answer(&site, 4, &q));
        assert_eq!((code, all.len()), (NoError, 2));
        firsts.push(all[0].clone());
    }
    assert_eq!(firsts, ["172.18.0.2", "172.18.0.3"]);
}

#[test]
fn names_go_with_the_detach_and_when_the_link_is_not_there() {
    let mut site = documented();
    let ipv1 = site.state.endpoint(site.state.network("isolated1").unwrap().id, "ipv1").unwrap().id;
    for state in [EndpointState::Detaching { plan: PlanId(1) }, EndpointState::Attaching { plan: PlanId(1) }] {
        site.change(ipv1, |e| e.state = state);
        assert_eq!(ask(&site, 2, "ipv1.", A).0, NXDomain);
        assert_eq!(ask(&site, 1, "ipv2.", A).0, NXDomain, "nor is it answered itself");
    }
    site.change(ipv1, |e| e.state = EndpointState::Attached);
    assert_eq!(ask(&site, 2, "ipv1.", A), one("172.18.0.2"));
    site.change(ipv1, |e| e.name = Some(Name::new("other").unwrap()));
    assert_eq!((ask(&site, 2, "ipv1.", A).0, ask(&site, 2, "other.", A)), (NXDomain, one("172.18.0.2")));
    site.drop(ipv1);
    assert_eq!(ask(&site, 2, "other.", A).0, NXDomain);
    assert_eq!(ask(&site, 2, "db-1.", A).0, NXDomain);
    assert_eq!(ask(&site, 2, "2.0.18.172.in-addr.arpa.", PTR).0, NXDomain);
}

#[test]
fn names_from_outside_are_forwarded_where_a_network_allows_it() {
    // Networks of one workload: has a parent?, dns.forward. Whether it is forwarded.
    let cases: &[(&[(bool, DnsForward)], bool)] = &[
        (&[(false, Auto)], false),
        (&[(true, Auto)], true),
        (&[(false, On)], true),
        (&[(true, Off)], false),
        (&[(false, Auto), (true, Auto)], true),
        (&[(false, Off), (true, Auto)], false),
        (&[(true, On), (true, Off)], false),
        (&[], false),
    ];
    for (networks, forwarded) in cases {
        let mut site = Site::new();
        for (i, (wired, forward)) in networks.iter().enumerate() {
            let id = site.network(&format!("n{i}"), wired.then_some("eth0"), *forward, &["10.0.0.0/24"]);
            site.attach(id, 1, None, "w", &["10.0.0.2"]);
        }
        assert_eq!(is_forwarded(&site, 1, "www.example.org."), *forwarded, "{networks:?}");
        assert!(!is_forwarded(&site, 1, "intranet."), "a name of one label never leaves");
        assert!(!is_forwarded(&site, 1, "x.n0.") || networks.is_empty(), "nor what is below a network's name");
    }
}

#[test]
fn what_is_no_question_for_us_is_told_so() {
    let site = documented();
    let told = |change: &dyn Fn(&mut Message)| {
        let mut q = question("ipv2.", A);
        change(&mut q);
        said(&answer(&site, 1, &q)).0
    };
    assert_eq!(told(&|q| q.metadata.op_code = OpCode::Notify), NotImp);
    assert_eq!(told(&|q| q.queries[0].query_class = DNSClass::CH), Refused);
    assert_eq!(told(&|q| q.queries.clear()), FormErr);
    assert_eq!(told(&|q| q.queries.push(q.queries[0].clone())), FormErr);
    let edns = |version| {
        let mut edns = Edns::new();
        edns.set_version(version).set_max_payload(4096);
        move |q: &mut Message| q.edns = Some(edns.clone())
    };
    assert_eq!(u16::from(told(&edns(1))), u16::from(BADVERS), "the same number as BADSIG, which is read here");
    assert_eq!(told(&edns(0)), NoError);

    let raw = |bytes: &[u8]| reply(&site.state, netns(1), bytes, Transport::Udp);
    assert_eq!((raw(b""), raw(&[0; 11])), (Reply::Nothing, Reply::Nothing));
    let mut response = question("ipv2.", A).to_vec().unwrap();
    response[2] |= 0x80;
    assert_eq!(raw(&response), Reply::Nothing, "answers are not answered");
    let good = question("ipv2.", A).to_vec().unwrap();
    for cut in 12..good.len() {
        let Reply::Answer(bytes) = raw(&good[..cut]) else { panic!("cut at {cut}") };
        assert_eq!((said(&bytes).0, &bytes[..2]), (FormErr, &good[..2]), "cut at {cut}");
    }
}

#[test]
fn the_question_comes_back_as_it_was_asked_with_our_payload() {
    let site = documented();
    let mut q = question("iPv1.", A);
    q.edns = Some(Edns::new());
    let answer = Message::from_vec(&answer(&site, 2, &q)).unwrap();
    assert_eq!(answer.queries[0].name.to_ascii(), "iPv1.");
    assert!(answer.metadata.recursion_available && answer.metadata.recursion_desired);
    assert_eq!(answer.edns.map(|e| e.max_payload()), Some(1232));
    assert!(answer.answers[0].ttl <= 5);
    let odd = DnsName::from_labels(["with blank".as_bytes()]).unwrap();
    let mut q = question("x.", A);
    q.queries[0].name = odd;
    assert_eq!(said(&self::answer(&site, 2, &q)).0, NXDomain);
}

#[test]
fn what_does_not_fit_is_cut_off_and_whole_over_tcp() {
    let mut site = Site::new();
    let n = site.network("n", None, Auto, &["10.0.0.0/16"]);
    for i in 1..=100 {
        site.attach(n, i, None, "many", &[&format!("10.0.0.{i}")]);
    }
    let told = |payload: Option<u16>, transport| {
        let mut q = question("many.", A);
        q.edns = payload.map(|p| {
            let mut edns = Edns::new();
            edns.set_max_payload(p);
            edns
        });
        let Reply::Answer(bytes) = reply(&site.state, netns(1), &q.to_vec().unwrap(), transport) else { panic!("no answer") };
        let answer = Message::from_vec(&bytes).unwrap();
        (bytes.len(), answer.metadata.truncation, answer.answers.len())
    };
    let (length, cut, answers) = told(None, Transport::Udp);
    assert!(length <= 512 && cut && answers == 0);
    assert!(told(Some(100), Transport::Udp).1, "less than 512 counts as 512");
    assert!(!told(Some(4096), Transport::Udp).1);
    let (_, cut, answers) = told(None, Transport::Tcp);
    assert_eq!((cut, answers), (false, 64), "and only so many are listed");
}
