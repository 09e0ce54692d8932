use super::*;

fn labels(tier: &str) -> Vec<Label> {
    let one = |value: &str| Label { key: "tier".into(), value: value.into(), provenance: Provenance::Asserted };
    if tier.is_empty() { Vec::new() } else { vec![one(tier)] }
}

/// Residents: tier of the network, tier of the workloads (empty for none), how many networks and endpoints.
fn group(network: &str, workload: &str, networks: u32, endpoints: u32) -> Group {
    let examples = vec![format!("{}{}-1", if network.is_empty() { "any" } else { network }, workload)];
    Group { network_labels: labels(network), workload_labels: labels(workload), networks, endpoints, examples }
}

fn create(tier: &str, parent: Option<&str>, vlan: Option<u16>) -> Request {
    Request {
        operation: Operation::CreateNetwork,
        caller: Caller { name: "root".into(), groups: vec![], door: "rest".into(), networks: 0 },
        change: Change { reason: None, ticket: None, approved_by: None },
        network: Network {
            name: "n".into(),
            mode: Mode::L2,
            parent: parent.map(Into::into),
            fabric: parent.map(|_| "default".into()),
            vlan,
            internal: parent.is_none(),
            subnets: vec![],
            labels: labels(tier),
            endpoints: 0,
            facts: vec![],
        },
        network_before: None,
        workload: None,
        workload_before: None,
        addresses: vec![],
        same_segment: vec![],
        reaches: vec![],
        overlapping: vec![],
        facts: vec![],
    }
}

fn attach(network: &str, workload: &str) -> Request {
    let workload =
        Workload { id: "w-1".into(), name: "w".into(), labels: labels(workload), capabilities: None, attached: vec![], facts: vec![] };
    let mut request = create(network, Some("eth0.30"), Some(30));
    request.operation = Operation::Attach;
    request.workload = Some(workload);
    // The network itself is a resident of its segment.
    request.same_segment = vec![group(network, "", 1, 0)];
    request
}

fn policy(settings: &str) -> TierIsolation {
    configured(settings).unwrap_or_else(|e| panic!("{settings}: {e:?}"))
}

/// The rules that are violated; empty where it is allowed.
fn rules(settings: &str, request: &Request) -> Vec<String> {
    let opinion = policy(settings).evaluate(request);
    assert_eq!(opinion.outcome == Outcome::Deny, !opinion.violations.is_empty());
    assert_ne!(opinion.outcome, Outcome::NotApplicable);
    opinion.violations.into_iter().map(|v| v.rule).collect()
}

#[test]
fn nobody_else_there_is_allowed() {
    for tier in ["", "web"] {
        assert!(rules("{}", &create(tier, None, None)).is_empty());
        assert!(rules("{}", &attach(tier, tier)).is_empty());
        assert!(rules("{}", &attach(tier, "")).is_empty(), "a workload without the label has its network's tier");
    }
}

#[test]
fn networks_of_different_tiers_share_no_segment() {
    for (ours, theirs, is_fine) in [("web", "web", true), ("web", "cards", false), ("", "", true), ("", "web", false), ("web", "", false)] {
        let mut request = create(ours, Some("eth0.30"), Some(30));
        request.same_segment = vec![group(theirs, "", 1, 0)];
        let wanted: &[&str] = if is_fine { &[] } else { &[SHARED_SEGMENT] };
        assert_eq!(rules("{}", &request), wanted, "{ours:?} beside {theirs:?}");
    }
}

#[test]
fn a_workloads_own_label_is_its_tier_and_else_its_networks() {
    for (network, workload, is_fine) in [("web", "", true), ("", "web", true), ("cards", "", false), ("", "cards", false), ("", "", false)]
    {
        let mut request = attach("web", "");
        request.same_segment.push(group(network, workload, 0, 1));
        let wanted: &[&str] = if is_fine { &[] } else { &[SHARED_SEGMENT] };
        assert_eq!(rules("{}", &request), wanted, "beside a workload {workload:?} of a network {network:?}");
    }
}

#[test]
fn a_tier_may_come_with_the_workload_into_an_empty_network() {
    assert!(rules("{}", &attach("", "web")).is_empty());
    let mut request = attach("", "web");
    request.same_segment.push(group("", "cards", 0, 1));
    assert_eq!(rules("{}", &request), [SHARED_SEGMENT], "but not beside another one");
    let mut request = attach("", "web");
    request.same_segment = vec![group("", "", 1, 1)];
    assert_eq!(rules("{}", &request), [SHARED_SEGMENT], "nor beside who has none");
}

#[test]
fn a_workload_may_not_contradict_its_network() {
    assert_eq!(rules("{}", &attach("web", "cards")), [CONTRADICTING_TIER, SHARED_SEGMENT]);
    let mut request = attach("web", "cards");
    request.same_segment.clear();
    let pairs = r#"{"allowed_pairs":[["web","cards"]]}"#;
    assert_eq!(rules(pairs, &request), [CONTRADICTING_TIER], "not even where the two may share");
}

#[test]
fn a_workload_may_not_join_two_tiers() {
    for (elsewhere, is_fine) in [("web", true), ("cards", false), ("", false)] {
        let mut request = attach("web", "");
        if let Some(workload) = &mut request.workload {
            workload.attached = vec![group(elsewhere, "", 0, 1)];
        }
        let wanted: &[&str] = if is_fine { &[] } else { &[BRIDGING_WORKLOAD] };
        assert_eq!(rules("{}", &request), wanted, "attached to {elsewhere:?} already");
    }
}

#[test]
fn what_is_reached_counts_like_what_is_shared() {
    let mut request = create("web", Some("eth0"), None);
    request.reaches = vec![group("cards", "", 1, 3), group("web", "", 1, 0)];
    assert_eq!(rules("{}", &request), [REACHES]);
    let mut request = attach("cards", "");
    request.reaches = vec![group("web", "", 1, 0), group("", "app", 0, 1)];
    assert_eq!(rules("{}", &request), [REACHES, REACHES], "one for each tier");
}

#[test]
fn allowed_pairs_hold_in_both_orders_and_for_these_two_only() {
    let pairs = r#"{"allowed_pairs":[["web","app"]]}"#;
    for (ours, theirs, is_fine) in [("web", "app", true), ("app", "web", true), ("web", "db", false), ("app", "", false)] {
        let mut request = create(ours, Some("eth0"), None);
        request.same_segment = vec![group(theirs, "", 1, 0)];
        request.reaches = vec![group(theirs, "", 1, 0)];
        let wanted: &[&str] = if is_fine { &[] } else { &[SHARED_SEGMENT, REACHES] };
        assert_eq!(rules(pairs, &request), wanted, "{ours:?} beside {theirs:?}");
    }
}

#[test]
fn removals_are_none_of_its_business() {
    for operation in [Operation::DeleteNetwork, Operation::Detach] {
        let mut request = attach("web", "cards");
        request.operation = operation;
        assert_eq!(policy("{}").evaluate(&request).outcome, Outcome::NotApplicable);
    }
}

#[test]
fn another_label_may_hold_the_tier() {
    let zone = |value: &str| vec![Label { key: "example.org/zone".into(), value: value.into(), provenance: Provenance::Asserted }];
    let settings = r#"{"label":"example.org/zone"}"#;
    let mut request = attach("web", "cards");
    assert!(rules(settings, &request).is_empty());
    request.network.labels = zone("a");
    if let Some(workload) = &mut request.workload {
        workload.labels = zone("b");
    }
    let opinion = policy(settings).evaluate(&request);
    assert_eq!(opinion.violations[0].field.as_deref(), Some("workload.labels[\"example.org/zone\"]"));
    assert_eq!(policy(settings).describe().label_keys, ["example.org/zone"]);
}

#[test]
fn messages_tell_a_stranger_what_is_wrong_and_what_to_do() {
    let mut request = create("cards", Some("eth0.30"), Some(30));
    request.same_segment = vec![group("web", "", 2, 3)];
    let found = policy("{}").evaluate(&request).violations.remove(0);
    assert_eq!(
        found.message,
        "network n (tier cards) would share the segment of eth0.30 (VLAN 30) with tier web: 2 networks and 3 endpoints there, such as web-1"
    );
    assert_eq!(found.field.as_deref(), Some("parent"));
    assert_eq!(
        found.remedy.as_deref(),
        Some(
            "use a segment of its own for tier cards: another VLAN of the trunk, or no parent; \
             or have the pair [\"cards\", \"web\"] put into the policy's allowed_pairs"
        )
    );

    let found = policy("{}").evaluate(&attach("web", "cards")).violations.remove(0);
    assert_eq!(found.message, "the workload says that its tier is cards, but network n is of tier web");
    assert_eq!(found.field.as_deref(), Some("workload.labels.tier"));
    assert_eq!(found.remedy.as_deref(), Some("attach it to a network of tier cards, or leave the label away and let it be of tier web"));

    let mut request = attach("web", "");
    if let Some(workload) = &mut request.workload {
        workload.attached = vec![group("cards", "", 0, 1)];
    }
    let found = policy("{}").evaluate(&request).violations.remove(0);
    assert_eq!(
        found.message,
        "workload w (tier web) is attached to tier cards already (network cards-1): it would be a bridge between the two"
    );

    let mut request = create("web", Some("eth0"), None);
    request.reaches = vec![group("cards", "", 1, 0)];
    let found = policy("{}").evaluate(&request).violations.remove(0);
    assert_eq!(
        found.message,
        "network n (tier web) could send tagged frames from the untagged segment of eth0 into VLANs with tier cards: \
         1 network there, such as cards-1"
    );
}

#[test]
fn settings_are_refused_with_all_their_faults() {
    for good in ["{}", r#"{"label":"zone"}"#, r#"{"allowed_pairs":[]}"#, r#"{"allowed_pairs":[["a","b"],["b","c"]]}"#] {
        policy(good);
    }
    let fields = |settings: &str| {
        let faults = configured::<TierIsolation>(settings).expect_err(settings);
        faults.into_iter().map(|f| f.field.unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(fields("null"), [""]);
    assert_eq!(fields("[]"), [""]);
    assert_eq!(fields("{"), [""]);
    assert_eq!(
        fields(r#"{"labels":"x","label":"","allowed_pairs":[["a"],["a",1],"b",["a","b","c"]]}"#),
        ["labels", "label", "allowed_pairs[0]", "allowed_pairs[1][1]", "allowed_pairs[2]", "allowed_pairs[3]"]
    );
}
