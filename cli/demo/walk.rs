//! The walk-through: what is asked of the service, and what the wire then shows.

use super::story::Story;
use bulkhead_lab::{Attack, Client, Lab, Namespace, Target, Targets, Via, attack};
use serde_json::{Value, json};
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long silence must last to count as "no answer".
const NO_ANSWER: Duration = Duration::from_millis(700);

/// The demo's workloads: a namespace each, as a container runtime would make.
pub struct Workloads {
    isolated: Vec<Namespace>,
    ipv1: Namespace,
    ipv2: Namespace,
    web1: Namespace,
    pan1: Namespace,
}

/// The frame by which a workload on the untagged network would get into VLAN 40: an 802.1Q tag in its own bytes.
fn hop() -> Vec<Attack> {
    let frame = |via| Attack { target: Target::PeerVlan, via, tags: &[0x8100], protocol: 0x0003, bypass: false };
    vec![frame(Via::Unicast), frame(Via::Broadcast)]
}

fn hop_arrives(lab: &Lab, from: &Namespace) -> Result<bool> {
    let targets =
        Targets { peer: &lab.peer, host: &lab.host, vlan: 40, host_links: Vec::new(), host_address: Ipv4Addr::new(192, 168, 1, 250) };
    let report = attack(from, "eth0", &targets, hop())?;
    Ok(!report.in_peer_vlan.is_empty())
}

/// What a plain ipvlan link allows, shown before the daemon runs.
pub fn before_the_daemon(lab: &Lab, story: &mut Story) -> Result<Workloads> {
    story.step("Without Bulkhead: a plain ipvlan link on the trunk eth0, made with ip");
    let plain = lab.workload("plain")?;
    lab.host.ip(&format!("link add link eth0 name plain0 type ipvlan mode l2\nlink set plain0 netns {} name eth0", plain.name()))?;
    plain.ip("addr add 192.168.1.99/24 dev eth0\nlink set eth0 up")?;
    story.check("a frame that the workload tags itself arrives in VLAN 40, where the cards are", hop_arrives(lab, &plain)?);
    plain.ip("link del eth0")?;
    let isolated = (1..=4).map(|i| lab.workload(&format!("iso{i}"))).collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(Workloads {
        isolated,
        ipv1: lab.workload("ipv1")?,
        ipv2: lab.workload("ipv2")?,
        web1: lab.workload("web1")?,
        pan1: lab.workload("pan1")?,
    })
}

/// All that is shown on the service; tells whether it went as it should.
pub fn with_the_daemon(lab: &Lab, w: &Workloads, client: &mut Client, story: &mut Story) -> Result<bool> {
    isolated(w, client, story)?;
    db_net(lab, w, client, story)?;
    tiers(w, client, story)?;
    forbidden(lab, w, client, story)?;
    story.step("The VLAN hop again, from ipv1 on the untagged network");
    story.check("with the shield, the frame arrives nowhere", !hop_arrives(lab, &w.ipv1)?);
    story.check("and ipv1 still reaches its gateway", pings(&w.ipv1, "192.168.1.1")?);
    Ok(story.end())
}

fn isolated(w: &Workloads, client: &mut Client, story: &mut Story) -> Result<()> {
    story.step("Networks without a parent: isolated1, isolated2, isolated3, on a dummy each");
    let mut addresses = Vec::new();
    for i in 1..=3 {
        let network = create(client, story, &json!({"name": format!("isolated{i}")}))?;
        story.show(&format!("isolated{i}: {}", network["subnets"][0]["cidr"].as_str().unwrap_or("?")));
    }
    for (i, (workload, network)) in w.isolated.iter().zip(["isolated1", "isolated1", "isolated2", "isolated3"]).enumerate() {
        addresses.push(join(client, story, network, workload, &format!("iso{}", i + 1), &json!({}))?);
    }
    story.check("iso1 pings iso2, on the same network", pings(&w.isolated[0], &addresses[1])?);
    story.check("iso1 does not reach iso3, on another", !pings(&w.isolated[0], &addresses[2])?);
    Ok(())
}

fn db_net(lab: &Lab, w: &Workloads, client: &mut Client, story: &mut Story) -> Result<()> {
    story.step("The documentation's db_net_ipv, on eth0");
    let wish = json!({"name": "db_net_ipv", "parent": "eth0", "subnets": [{"cidr": "192.168.1.0/24", "gateway": "192.168.1.1", "ip_range": "192.168.1.128/25"}]});
    let dry = client.post("/v1/networks?dry_run=true", &wish)?.json()?;
    story.show("a dry run says what the kernel would be told:");
    story.show(dry["plan"]["text"].as_str().unwrap_or("nothing"));
    create(client, story, &wish)?;
    let a = join(client, story, "db_net_ipv", &w.ipv1, "ipv1", &json!({}))?;
    let b = join(client, story, "db_net_ipv", &w.ipv2, "ipv2", &json!({}))?;
    story.check(&format!("ipv1 ({a}) pings ipv2 ({b})"), pings(&w.ipv1, &b)?);
    story.check("ipv1 pings another host on the segment, 192.168.1.1", pings(&w.ipv1, "192.168.1.1")?);
    story.check("ipv1 gets no answer of its own host, 192.168.1.250: Linux filters that, on purpose", !pings(&w.ipv1, "192.168.1.250")?);
    story.check("and the other host pings ipv1", pings(&lab.peer, &a)?);
    Ok(())
}

fn tiers(w: &Workloads, client: &mut Client, story: &mut Story) -> Result<()> {
    story.step("Two tiers on VLANs of the trunk: frontend on eth0.30, cards on eth0.40");
    for (name, vlan, tier) in [("frontend_net", 30, "frontend"), ("cards_net", 40, "cards")] {
        let subnet = format!("192.168.{vlan}.0/24");
        create(
            client,
            story,
            &json!({"name": name, "parent": format!("eth0.{vlan}"), "subnets": [{"cidr": subnet}], "labels": {"tier": tier}}),
        )?;
    }
    join(client, story, "frontend_net", &w.web1, "web1", &json!({"tier": "frontend"}))?;
    let pan1 = join(client, story, "cards_net", &w.pan1, "pan1", &json!({"tier": "cards"}))?;
    story.check("web1 pings its gateway in VLAN 30", pings(&w.web1, "192.168.30.1")?);
    story.check("pan1 pings its gateway in VLAN 40", pings(&w.pan1, "192.168.40.1")?);
    story.check(&format!("web1 does not reach pan1 ({pan1})"), !pings(&w.web1, &pan1)?);
    Ok(())
}

fn forbidden(lab: &Lab, w: &Workloads, client: &mut Client, story: &mut Story) -> Result<()> {
    story.step("A forbidden attach: a frontend workload into the cards' network");
    let before = (lab.host.links()?, w.ipv2.links()?);
    let wish = json!({"namespace": {"name": w.isolated[3].name()}, "interface": "eth1", "workload": {"labels": {"tier": "frontend"}}});
    let first = client.post("/v1/networks/cards_net/endpoints", &wish)?;
    // iso4 is on record without a label; to relabel it is refused before any policy. A fresh workload meets the policy.
    story.check(&format!("a workload that is on record as another is refused ({})", first.status), first.status == 409);
    let fresh = lab.workload("web2")?;
    let wish =
        json!({"namespace": {"name": fresh.name()}, "interface": "eth0", "workload": {"name": "web2", "labels": {"tier": "frontend"}}});
    let denied = client.post("/v1/networks/cards_net/endpoints", &wish)?;
    story.check(&format!("denied by the policy ({})", denied.status), denied.status == 403);
    let problem = denied.json()?;
    for v in problem["violations"].as_array().into_iter().flatten() {
        let text = |k: &str| v[k].as_str().unwrap_or("").to_owned();
        story.show(&format!("{} · {} · {}\n  {}\n  → {}", text("policy"), text("rule"), text("field"), text("message"), text("remedy")));
    }
    story.check("nothing was changed in the kernel", before == (lab.host.links()?, w.ipv2.links()?));
    Ok(())
}

fn create(client: &mut Client, story: &mut Story, wish: &Value) -> Result<Value> {
    let answer = client.post("/v1/networks", wish)?;
    let name = wish["name"].as_str().unwrap_or("?");
    story.check(&format!("network {name} is made ({})", answer.status), answer.status == 201);
    if answer.status != 201 {
        story.show(&answer.text());
    }
    Ok(answer.json()?)
}

/// Attaches a workload and tells its first address.
fn join(client: &mut Client, story: &mut Story, network: &str, workload: &Namespace, name: &str, labels: &Value) -> Result<String> {
    let mut wish = json!({"namespace": {"name": workload.name()}, "interface": "eth0", "name": name, "workload": {"name": name}});
    if labels.as_object().is_some_and(|l| !l.is_empty()) {
        wish["workload"]["labels"] = labels.clone();
    }
    let answer = client.post(&format!("/v1/networks/{network}/endpoints"), &wish)?;
    if answer.status != 201 {
        story.check(&format!("{name} joins {network} ({})", answer.status), false);
        story.show(&answer.text());
        return Err(format!("{name} cannot join {network}").into());
    }
    let address = answer.json()?["addresses"][0].as_str().unwrap_or_default().split('/').next().unwrap_or_default().to_owned();
    story.check(&format!("{name} joins {network} with {address}"), !address.is_empty());
    Ok(address)
}

fn pings(from: &Namespace, address: &str) -> Result<bool> {
    let address: IpAddr = address.parse()?;
    Ok(from.ping_within(address, NO_ANSWER)?)
}
