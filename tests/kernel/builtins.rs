//! Every rule of every built-in module, end to end: a request that it denies, without a trace in the kernel, and the nearest one
//! that it allows.

use crate::support::{Site, site, text};
use bulkhead_lab::{Namespace, Response};
use serde_json::{Value, json};

/// A request of a case.
enum Ask<'a> {
    Network(Value),
    /// Network, workload, what else the request says.
    Attach(&'a str, &'a Namespace, Value),
}

fn put(site: &mut Site<'_>, ask: &Ask<'_>) -> Response {
    match ask {
        Ask::Network(wish) => site.post("/v1/networks", wish),
        Ask::Attach(network, workload, more) => site.try_attach(network, workload, more),
    }
}

/// The links that a denial must leave alone: the host's, and the workload's.
fn links(site: &Site<'_>, ask: &Ask<'_>) -> (String, Option<String>) {
    let workload = if let Ask::Attach(_, workload, _) = ask { Some(workload.links().unwrap()) } else { None };
    (site.lab.host.links().unwrap(), workload)
}

/// Denied by this rule of this policy alone, with a message, a field and a remedy, and no netlink message sent.
fn denied(site: &mut Site<'_>, (policy, rule): (&str, &str), ask: &Ask<'_>) {
    let before = links(site, ask);
    let (pid, lab) = (site.daemon.pid().unwrap(), site.lab);
    let (answer, sent) = lab.counting_netlink(pid, || put(site, ask)).unwrap();
    assert_eq!(answer.status, 403, "{policy} {rule}: {}", answer.text());
    let violations = answer.json().unwrap()["violations"].as_array().cloned().unwrap_or_default();
    let found: Vec<(String, String)> = violations.iter().map(|v| (text(v, "policy"), text(v, "rule"))).collect();
    assert_eq!(found, [(policy.to_owned(), rule.to_owned())], "{}", answer.text());
    for key in ["message", "field", "remedy"] {
        assert!(!text(&violations[0], key).is_empty(), "{key} of {}", violations[0]);
    }
    assert_eq!(sent.messages, 0, "{policy} {rule}: {:?}", sent.trace);
    assert_eq!(links(site, ask), before, "{policy} {rule}");
}

/// Allowed, and made: the kernel has more links than before.
fn allowed(site: &mut Site<'_>, ask: &Ask<'_>) -> Value {
    let before = links(site, ask);
    let answer = put(site, ask);
    assert_eq!(answer.status, 201, "{}\n{}", answer.text(), site.log());
    let after = links(site, ask);
    // A network may find its parent there already; a workload always gets a link.
    assert!(after.1 != before.1 || matches!(ask, Ask::Network(_)), "{after:?}");
    answer.json().unwrap()
}

/// A policy made of a built-in module.
fn policy(site: &mut Site<'_>, module: &str, settings: &Value) {
    let all = site.items("/v1/modules?limit=100");
    let built_in = all.iter().find(|m| m["built_in"] == true && m["description"]["name"] == module).expect(module);
    let wish = json!({"name": module, "module": text(built_in, "digest"), "settings": settings});
    let path = format!("/v1/policies/{module}");
    // Those that a fresh database enforces are there already; what loosens them says why.
    let answer = if site.items("/v1/policies").iter().any(|p| p["name"] == module) {
        let body = json!({"module": wish["module"], "settings": settings}).to_string();
        site.client.send("PUT", &format!("{path}?reason=a+test"), &[("content-type", "application/json")], body.as_bytes()).unwrap()
    } else {
        site.post("/v1/policies", &wish)
    };
    assert!(answer.status / 100 == 2, "{module}: {}", answer.text());
}

fn network(name: &str, parent: &str, cidr: &str, tier: &str) -> Ask<'static> {
    let labels = if tier.is_empty() { json!({}) } else { json!({"tier": tier}) };
    let mut wish = json!({"name": name, "subnets": [{"cidr": cidr}], "labels": labels});
    if !parent.is_empty() {
        wish["parent"] = json!(parent);
    }
    Ask::Network(wish)
}

/// The same request with more to it.
fn with(ask: Ask<'static>, more: &Value) -> Ask<'static> {
    let Ask::Network(mut wish) = ask else { panic!("only networks are changed") };
    for (key, value) in more.as_object().into_iter().flatten() {
        wish[key] = value.clone();
    }
    Ask::Network(wish)
}

fn tier(value: &str) -> Value {
    json!({"workload": {"labels": {"tier": value}}})
}

#[test]
fn tier_isolation() {
    site(|site| {
        let by = |rule| ("tier-isolation", rule);
        allowed(site, &network("cards", "eth0.40", "192.168.40.0/24", "cards"));
        denied(site, by("shared-segment"), &network("web", "eth0.40", "192.168.30.0/24", "web"));
        denied(site, by("overlapping-subnet"), &network("web", "eth0.30", "192.168.40.128/25", "web"));
        denied(site, by("overlapping-subnet"), &network("any", "eth0.30", "192.168.0.0/16", ""));
        allowed(site, &network("web", "eth0.30", "192.168.30.0/24", "web"));
        let lab = site.lab;
        let (a, b) = (lab.workload("a").unwrap(), lab.workload("b").unwrap());
        allowed(site, &Ask::Attach("web", &a, json!({})));
        denied(site, by("bridging-workload"), &Ask::Attach("cards", &a, json!({"interface": "eth1"})));
        allowed(site, &Ask::Attach("cards", &b, tier("cards")));

        let open = |shield: &str| with(network("open", "eth0", "192.168.1.0/24", "app"), &json!({"shield": shield}));
        let answer = put(site, &open("off"));
        assert_eq!((answer.status, answer.text().matches("\"reaches\"").count()), (403, 2), "cards and web: {}", answer.text());
        allowed(site, &open("on"));

        // Where the pair may share, a workload may still not say otherwise than its network.
        policy(site, "tier-isolation", &json!({"allowed_pairs": [["web", "cards"]]}));
        let c = lab.workload("c").unwrap();
        denied(site, by("contradicting-tier"), &Ask::Attach("cards", &c, tier("web")));
        allowed(site, &Ask::Attach("cards", &c, json!({})));
        allowed(site, &network("web2", "eth0.40", "192.168.41.0/24", "web"));
        allowed(site, &network("web3", "eth0.31", "192.168.40.0/24", "web"));
    });
}

#[test]
fn untiered_networks_may_overlap_and_where_it_is_allowed_tiers_too() {
    site(|site| {
        allowed(site, &network("a", "eth0.30", "192.168.1.0/24", ""));
        allowed(site, &network("b", "eth0.31", "192.168.1.0/24", ""));
        denied(site, ("tier-isolation", "overlapping-subnet"), &network("c", "eth0.32", "192.168.1.0/24", "cards"));
        policy(site, "tier-isolation", &json!({"overlapping_subnets": "allow"}));
        allowed(site, &network("c", "eth0.32", "192.168.1.0/24", "cards"));
    });
}

/// The tiers that workloads bring count, too: who overlaps is not told by labels of networks alone.
#[test]
fn a_workload_that_brings_a_tier_overlaps_no_other() {
    site(|site| {
        allowed(site, &network("a", "eth0.30", "192.168.1.0/24", ""));
        allowed(site, &network("b", "eth0.31", "192.168.1.0/24", ""));
        let lab = site.lab;
        let (v, w) = (lab.workload("v").unwrap(), lab.workload("w").unwrap());
        allowed(site, &Ask::Attach("a", &v, tier("cards")));
        denied(site, ("tier-isolation", "overlapping-subnet"), &Ask::Attach("b", &w, tier("web")));
        allowed(site, &Ask::Attach("b", &w, tier("cards")));
    });
}

#[test]
fn subnet_rules() {
    site(|site| {
        let by = |rule| ("subnet-rules", rule);
        let cards = json!({"cidrs": ["10.40.0.0/16"], "prefix_length": {"min": 24}, "parents": ["eth0.40", "eth0.41"], "vlans": [40]});
        policy(site, "subnet-rules", &json!({"tiers": {"cards": cards}}));
        let at = |parent, cidr| network("cards", parent, cidr, "cards");
        denied(site, by("cidr-not-allowed"), &at("eth0.40", "10.41.0.0/24"));
        denied(site, by("prefix-length"), &at("eth0.40", "10.40.0.0/23"));
        denied(site, by("vlan-not-allowed"), &at("eth0.41", "10.40.0.0/24"));
        allowed(site, &at("eth0.40", "10.40.0.0/24"));
        policy(site, "subnet-rules", &json!({"tiers": {"cards": {"parents": ["eth0.40"]}}}));
        denied(site, by("parent-not-allowed"), &network("more", "eth0.41", "10.40.1.0/24", "cards"));
        allowed(site, &network("more", "eth0.40", "10.40.1.0/24", "cards"));
        // A workload brings its tier along to a network that the tier may not have made.
        allowed(site, &network("any", "eth0.41", "10.41.0.0/24", ""));
        let w = site.lab.workload("w").unwrap();
        denied(site, by("parent-not-allowed"), &Ask::Attach("any", &w, tier("cards")));
        allowed(site, &Ask::Attach("any", &w, tier("web")));
    });
}

#[test]
fn vlan_allow_list() {
    site(|site| {
        let by = |rule| ("vlan-allow-list", rule);
        policy(site, "vlan-allow-list", &json!({"rules": {"cards": {"vlans": ["40-41"], "parents": ["eth0"]}}}));
        denied(site, by("vlan-not-allowed"), &network("cards", "eth0.42", "10.40.0.0/24", "cards"));
        allowed(site, &network("cards", "eth0.41", "10.40.0.0/24", "cards"));
        denied(site, by("vlan-claimed"), &network("web", "eth0.40", "10.30.0.0/24", "web"));
        allowed(site, &network("web", "eth0.42", "10.30.0.0/24", "web"));
    });
}

#[test]
fn internal_only() {
    site(|site| {
        let by = |rule| ("internal-only", rule);
        policy(site, "internal-only", &json!({"tiers": ["vault"]}));
        denied(site, by("network-has-way-out"), &network("vault", "eth0.40", "10.40.0.0/24", "vault"));
        allowed(site, &network("vault", "", "10.40.0.0/24", "vault"));
        allowed(site, &network("any", "eth0.30", "10.30.0.0/24", ""));
        let w = site.lab.workload("w").unwrap();
        denied(site, by("workload-has-way-out"), &Ask::Attach("any", &w, tier("vault")));
        allowed(site, &Ask::Attach("vault", &w, tier("vault")));
    });
}

#[test]
fn required_labels() {
    site(|site| {
        let by = |rule| ("required-labels", rule);
        let settings = json!({"networks": {"tier": ["web", "c*s"]}, "workloads": {"owner": ["*@example.org"]}, "network_names": ["*_net"]});
        policy(site, "required-labels", &settings);
        let named = |name, tier| network(name, "eth0.40", "10.40.0.0/24", tier);
        denied(site, by("missing-label"), &named("cards_net", ""));
        denied(site, by("label-value"), &named("cards_net", "cardz"));
        denied(site, by("network-name"), &named("cards_nets", "cards"));
        allowed(site, &named("cards_net", "cards"));
        let owner = |value: &str| json!({"workload": {"labels": {"owner": value}}});
        let w = site.lab.workload("w").unwrap();
        denied(site, by("missing-label"), &Ask::Attach("cards_net", &w, json!({})));
        denied(site, by("label-value"), &Ask::Attach("cards_net", &w, owner("me@example.com")));
        allowed(site, &Ask::Attach("cards_net", &w, owner("me@example.org")));
        // What a client says of itself is not the runtime's word.
        policy(site, "required-labels", &json!({"workloads": {"owner": {"provenance": ["runtime"]}}}));
        let v = site.lab.workload("v").unwrap();
        denied(site, by("label-provenance"), &Ask::Attach("cards_net", &v, owner("me@example.org")));
        policy(site, "required-labels", &json!({"workloads": {"owner": {"provenance": ["runtime", "asserted"]}}}));
        allowed(site, &Ask::Attach("cards_net", &v, owner("me@example.org")));
    });
}

#[test]
fn quotas() {
    site(|site| {
        let by = |rule| ("quotas", rule);
        policy(site, "quotas", &json!({"networks_per_caller": 2, "endpoints_per_network": 1}));
        allowed(site, &network("a", "eth0.40", "10.40.0.0/24", ""));
        allowed(site, &network("b", "eth0.41", "10.41.0.0/24", ""));
        denied(site, by("networks-per-caller"), &network("c", "eth0.42", "10.42.0.0/24", ""));
        let lab = site.lab;
        let (v, w) = (lab.workload("v").unwrap(), lab.workload("w").unwrap());
        allowed(site, &Ask::Attach("a", &v, json!({})));
        denied(site, by("endpoints-per-network"), &Ask::Attach("a", &w, json!({})));
        allowed(site, &Ask::Attach("b", &w, json!({})));
    });
}

#[test]
fn address_reservations() {
    site(|site| {
        let by = |rule| ("address-reservations", rule);
        let till = json!({"addresses": ["10.40.0.10"], "workloads": ["till-*"], "required": true});
        let cards = json!({"addresses": ["10.40.0.16/28"], "labels": {"tier": ["cards"]}});
        policy(site, "address-reservations", &json!({"reservations": [till, cards]}));
        allowed(site, &network("n", "eth0.40", "10.40.0.0/24", ""));
        let lab = site.lab;
        let (v, w, x) = (lab.workload("v").unwrap(), lab.workload("w").unwrap(), lab.workload("x").unwrap());
        let at = |address: &str, name: &str| json!({"addresses": [address], "workload": {"name": name}});
        denied(site, by("address-reserved"), &Ask::Attach("n", &v, at("10.40.0.10", "web-1")));
        denied(site, by("address-reserved"), &Ask::Attach("n", &v, at("10.40.0.31", "web-1")));
        allowed(site, &Ask::Attach("n", &v, at("10.40.0.11", "web-1")));
        // Its name says that it must have one: what is handed out will not do.
        denied(site, by("address-required"), &Ask::Attach("n", &w, json!({"workload": {"name": "till-1"}})));
        let till = allowed(site, &Ask::Attach("n", &w, at("10.40.0.10", "till-1")));
        assert_eq!(till["addresses"], json!(["10.40.0.10/24"]));
        allowed(site, &Ask::Attach("n", &x, json!({"workload": {"name": "web-2"}})));
    });
}

#[test]
fn no_raw() {
    site(|site| {
        let by = |rule| ("no-raw", rule);
        policy(site, "no-raw", &json!({}));
        let open = with(network("open", "eth0", "192.168.1.0/24", ""), &json!({"shield": "off"}));
        allowed(site, &open);
        allowed(site, &network("tagged", "eth0.30", "192.168.30.0/24", ""));
        let lab = site.lab;
        let (v, w, x) = (lab.workload("v").unwrap(), lab.workload("w").unwrap(), lab.workload("x").unwrap());
        let has = |names: &[&str]| json!({"workload": {"capabilities": names}});
        denied(site, by("raw-capability"), &Ask::Attach("open", &v, has(&["CHOWN", "CAP_NET_RAW"])));
        denied(site, by("raw-capability"), &Ask::Attach("open", &v, has(&["NET_ADMIN"])));
        denied(site, by("unknown-capabilities"), &Ask::Attach("open", &v, json!({})));
        let endpoint = allowed(site, &Ask::Attach("open", &v, has(&["CHOWN", "NET_BIND_SERVICE"])));
        assert_eq!(endpoint["workload"]["capabilities"], json!(["CHOWN", "NET_BIND_SERVICE"]));
        allowed(site, &Ask::Attach("tagged", &w, has(&["NET_RAW"])));
        let wrong = site.try_attach("open", &x, &has(&["NET_RWA"]));
        assert_eq!(
            (wrong.status, crate::support::faults(&wrong)),
            (422, vec!["workload.capabilities[0]: \"NET_RWA\" is no capability".to_owned()])
        );
    });
}

/// A shield stops what such a workload sends, not what it hears.
#[test]
fn no_raw_can_mind_shielded_parents_too() {
    site(|site| {
        allowed(site, &network("n", "eth0", "192.168.1.0/24", ""));
        let lab = site.lab;
        let (v, w) = (lab.workload("v").unwrap(), lab.workload("w").unwrap());
        let raw = json!({"workload": {"capabilities": ["NET_RAW"]}});
        policy(site, "no-raw", &json!({}));
        allowed(site, &Ask::Attach("n", &v, raw.clone()));
        policy(site, "no-raw", &json!({"on": "untagged"}));
        denied(site, ("no-raw", "raw-capability"), &Ask::Attach("n", &w, raw));
        allowed(site, &Ask::Attach("n", &w, json!({"workload": {"capabilities": []}})));
    });
}

/// A component that was made when contract 1.0.0 was new: see its README.
#[test]
fn a_component_of_contract_1_0_0_still_judges() {
    site(|site| {
        let bytes = include_bytes!("../data/contract-1.0.0/witness.wasm");
        let upload = site.client.send("POST", "/v1/modules", &[("content-type", "application/wasm")], bytes).unwrap();
        assert_eq!(upload.status, 201, "{}", upload.text());
        let digest = text(&upload.json().unwrap(), "digest");
        let made = site.post("/v1/policies", &json!({"name": "witness", "module": digest, "settings": {"deny": "cards"}}));
        assert_eq!(made.status, 201, "{}", made.text());
        let answer = put(site, &network("cards", "eth0.40", "10.40.0.0/24", "cards"));
        let rules: Vec<String> = answer.json().unwrap()["violations"].as_array().unwrap().iter().map(|v| text(v, "rule")).collect();
        assert_eq!((answer.status, rules), (403, vec!["tier".to_owned(), "bare".to_owned()]));
        let web = allowed(site, &network("web", "eth0.40", "10.40.0.0/24", "web"));
        assert_eq!(web["warnings"], json!(["witness: the witness was here"]));
        let w = site.lab.workload("w").unwrap();
        allowed(site, &Ask::Attach("web", &w, json!({})));
    });
}
