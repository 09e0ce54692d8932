#[path = "../testing.rs"]
mod testing;

use super::*;
use testing::*;

type Tested = Quotas;

const BOTH: &str = r#"{"networks_per_caller":20,"endpoints_per_network":200}"#;

fn networks(n: u32) -> Request {
    let mut request = create("n", &[], Some("eth0"), None);
    request.caller.networks = n;
    // Not what counts here.
    request.network.endpoints = 5_000;
    request
}

fn endpoints(n: u32) -> Request {
    let mut request = attach(networks(5_000), &[]);
    request.network.endpoints = n;
    request
}

#[test]
fn what_is_not_set_is_not_limited() {
    assert!(rules("{}", &networks(u32::MAX)).is_empty() && rules("{}", &endpoints(u32::MAX)).is_empty());
    assert!(rules(r#"{"endpoints_per_network":1}"#, &networks(7)).is_empty());
    assert!(rules(r#"{"networks_per_caller":1}"#, &endpoints(7)).is_empty());
}

#[test]
fn a_caller_has_so_many_networks_and_no_more() {
    assert!(rules(BOTH, &networks(19)).is_empty());
    for over in [20, 21, u32::MAX] {
        assert_eq!(rules(BOTH, &networks(over)), [NETWORKS]);
    }
    assert_eq!(rules(r#"{"networks_per_caller":0}"#, &networks(0)), [NETWORKS]);
}

#[test]
fn a_network_has_so_many_endpoints_and_no_more() {
    assert!(rules(BOTH, &endpoints(199)).is_empty());
    for over in [200, 201, u32::MAX] {
        assert_eq!(rules(BOTH, &endpoints(over)), [ENDPOINTS]);
    }
}

#[test]
fn changes_and_removals_are_none_of_its_business() {
    for operation in [Operation::ChangeNetwork, Operation::ChangeWorkload, Operation::DeleteNetwork, Operation::Detach] {
        let request = Request { operation, ..endpoints(u32::MAX) };
        assert_eq!(policy(BOTH).evaluate(&request).outcome, Outcome::NotApplicable);
    }
}

#[test]
fn messages_tell_a_stranger_what_is_wrong_and_what_to_do() {
    assert_eq!(
        told(BOTH, &networks(20)),
        ["caller.networks | uid:1000 has made 20 networks that still exist, and may have 20 | \
          delete one of them that is no longer needed; or have the policy's networks_per_caller raised"]
    );
    assert_eq!(
        told(r#"{"endpoints_per_network":1}"#, &endpoints(1)),
        ["network.endpoints | network n has 1 endpoint, and may have 1 | \
          attach to another network, or detach what is no longer needed; or have the policy's endpoints_per_network raised"]
    );
}

#[test]
fn settings_are_refused_with_all_their_faults() {
    for good in ["{}", BOTH, r#"{"networks_per_caller":4294967295}"#] {
        policy(good);
    }
    assert_eq!(faults("null"), [" | the settings are null | an object"]);
    let right = "a whole number from 0 to 4294967295";
    assert_eq!(
        faults(r#"{"networks":1,"networks_per_caller":-1,"endpoints_per_network":"200"}"#),
        [
            "networks | is not a known field | known are networks_per_caller, endpoints_per_network".to_owned(),
            format!("networks_per_caller | is -1 | {right}"),
            format!("endpoints_per_network | is a text | {right}"),
        ]
    );
}
