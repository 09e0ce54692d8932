#[path = "../testing.rs"]
mod testing;

use super::*;
use testing::*;

type Tested = NoRaw;

/// On an untagged trunk without a shield.
fn trunk() -> Request {
    let mut request = create("n", &[], Some("eth0"), None);
    request.network.facts = vec![Label { key: "reaches".into(), value: "every-vlan".into(), provenance: Provenance::Runtime }];
    request
}

fn with(request: Request, capabilities: &[&str], provenance: Provenance) -> Request {
    let mut request = attach(request, &[]);
    if let Some(workload) = &mut request.workload {
        workload.capabilities = Some(capabilities.iter().map(|c| (*c).into()).collect());
        workload.facts = vec![Label { key: "capabilities".into(), value: "reported".into(), provenance }];
    }
    request
}

#[test]
fn nobody_who_could_tag_frames_joins_where_they_would_arrive() {
    let on_trunk = |capabilities: &[&str]| rules("{}", &with(trunk(), capabilities, Provenance::Asserted));
    for raw in [&["NET_RAW"][..], &["NET_ADMIN"], &["CHOWN", "NET_RAW", "NET_ADMIN"]] {
        assert_eq!(on_trunk(raw), [RAW], "{raw:?}");
    }
    for fine in [&[][..], &["CHOWN", "NET_BIND_SERVICE"], &["SYS_ADMIN"], &["NET_BROADCAST"]] {
        assert!(on_trunk(fine).is_empty(), "{fine:?}");
    }
    let elsewhere = |request| rules("{}", &with(request, &["NET_RAW", "NET_ADMIN"], Provenance::Asserted));
    assert!(elsewhere(create("n", &[], Some("eth0"), None)).is_empty(), "shielded");
    assert!(elsewhere(create("n", &[], Some("eth0.30"), Some(30))).is_empty());
    assert!(elsewhere(create("n", &[], None, None)).is_empty());
}

#[test]
fn shielded_untagged_parents_count_where_listening_matters() {
    let untagged = r#"{"on":"untagged"}"#;
    let at = |request| rules(untagged, &with(request, &["NET_RAW"], Provenance::Asserted));
    assert_eq!(at(trunk()), [RAW]);
    assert_eq!(at(create("n", &[], Some("eth0"), None)), [RAW]);
    assert!(at(create("n", &[], Some("eth0.30"), Some(30))).is_empty());
    assert!(at(create("n", &[], None, None)).is_empty());
    let mut routed = create("n", &[], Some("eth0"), None);
    routed.network.mode = Mode::L3;
    assert!(at(routed).is_empty());
}

#[test]
fn what_nobody_says_is_denied_unless_it_is_allowed() {
    let unknown = attach(trunk(), &[]);
    assert_eq!(rules("{}", &unknown), [UNKNOWN]);
    assert!(rules(r#"{"unknown":"allow"}"#, &unknown).is_empty());
    assert!(rules("{}", &attach(create("n", &[], Some("eth0.30"), Some(30)), &[])).is_empty(), "only where it matters");
}

#[test]
fn only_the_word_of_whom_the_settings_name_counts() {
    let runtime = r#"{"provenance":["runtime"]}"#;
    assert_eq!(rules(runtime, &with(trunk(), &[], Provenance::Asserted)), [UNKNOWN], "a client's word for having none");
    assert!(rules(runtime, &with(trunk(), &[], Provenance::Runtime)).is_empty());
    assert_eq!(rules(runtime, &with(trunk(), &["NET_RAW"], Provenance::Runtime)), [RAW]);
    assert_eq!(rules("{}", &with(trunk(), &[], Provenance::Unknown)), [UNKNOWN]);
    let both = r#"{"provenance":["runtime"],"unknown":"allow"}"#;
    assert!(rules(both, &with(trunk(), &["NET_RAW"], Provenance::Asserted)).is_empty());
}

#[test]
fn networks_and_removals_are_none_of_its_business() {
    for operation in [Operation::CreateNetwork, Operation::ChangeNetwork, Operation::DeleteNetwork, Operation::Detach] {
        let request = Request { operation, ..with(trunk(), &["NET_RAW"], Provenance::Asserted) };
        assert_eq!(policy("{}").evaluate(&request).outcome, Outcome::NotApplicable);
    }
    let change = Request { operation: Operation::ChangeWorkload, ..with(trunk(), &["NET_RAW"], Provenance::Asserted) };
    assert_eq!(rules("{}", &change), [RAW]);
}

#[test]
fn messages_tell_a_stranger_what_is_wrong_and_what_to_do() {
    let elsewhere = "join a network with a tagged parent such as eth0.30, with mode l3, or whose parent has its shield";
    assert_eq!(
        told("{}", &with(trunk(), &["NET_ADMIN", "NET_RAW"], Provenance::Asserted)),
        [format!(
            "workload.capabilities | workload w-1 has NET_RAW and NET_ADMIN, so it could send tagged frames into every VLAN of eth0 | \
             run it without NET_RAW and NET_ADMIN, or {elsewhere}"
        )]
    );
    assert_eq!(
        told("{}", &attach(trunk(), &[])),
        [format!(
            "workload.capabilities | workload w-1: nobody whose word counts says what capabilities it has; with NET_RAW or NET_ADMIN \
             it could send tagged frames into every VLAN of eth0 | \
             say in workload.capabilities what it has (neither NET_RAW nor NET_ADMIN), or {elsewhere}"
        )]
    );
    assert_eq!(
        told(r#"{"on":"untagged"}"#, &with(create("n", &[], Some("eth0"), None), &["NET_RAW"], Provenance::Asserted)),
        ["workload.capabilities | workload w-1 has NET_RAW, so it could hear VLANs of eth0 | \
          run it without NET_RAW, or join a network with a tagged parent such as eth0.30, or with mode l3"]
    );
}

#[test]
fn settings_are_refused_with_all_their_faults() {
    for good in ["{}", r#"{"on":"reaching","unknown":"deny","provenance":["asserted","runtime"]}"#] {
        policy(good);
    }
    assert_eq!(faults("[]"), [" | the settings are a list | an object"]);
    assert_eq!(
        faults(r#"{"where":1,"on":"all","unknown":true,"provenance":["unknown",1]}"#),
        [
            "where | is not a known field | known are on, unknown, provenance",
            "on | is all | reaching or untagged",
            "unknown | is true or false | deny or allow",
            "provenance[0] | is unknown | asserted or runtime",
            "provenance[1] | is a number | asserted or runtime",
        ]
    );
    assert_eq!(faults(r#"{"provenance":[]}"#), ["provenance | is empty, so nobody's word counts | asserted, runtime or both"]);
}
