//! Address reservations: who may have which addresses, and which workloads must have theirs.
//!
//! A reservation holds addresses for the workloads that fit all that it says of them: name, labels, network. Whom none of the
//! reservations of an address fits may not have it, whether the request named it or it was handed out. What no reservation holds
//! anybody may have.

use bulkhead_policy_sdk::*;

const RESERVED: &str = "address-reserved";
const REQUIRED: &str = "address-required";

/// JSON Schema of the settings.
pub const SCHEMA: &str = include_str!("settings.schema.json");

/// The policy with its settings.
#[derive(Debug, Clone, Default)]
pub struct AddressReservations {
    reservations: Vec<Reservation>,
}

/// Addresses, and whom they are held for; what is not set fits all.
#[derive(Debug, Clone, Default)]
struct Reservation {
    addresses: Vec<Range>,
    workloads: Option<Vec<String>>,
    labels: Vec<(String, Vec<String>)>,
    networks: Option<Vec<String>>,
    /// Whether those must have one of the addresses.
    is_required: bool,
}

impl Policy for AddressReservations {
    fn describe(&self) -> Description {
        description("address-reservations", "1.0.0", "Reserved addresses go to the workloads that they are held for, and to no other")
            .judges(&[Operation::Attach, Operation::ChangeWorkload])
            .rule(RESERVED, "A reserved address is had only by a workload that it is held for", &[])
            .rule(REQUIRED, "A workload that must have a reserved address has one", &[])
            .schema(SCHEMA)
    }

    fn configure(settings: Node<'_>, faults: &mut Faults) -> Self {
        let mut policy = Self::default();
        let Some(settings) = settings.object(&["reservations"], faults) else { return policy };
        let reservations = settings.get("reservations").and_then(|r| r.list(faults)).unwrap_or_default();
        policy.reservations = reservations.iter().map(|node| Reservation::read(node, faults)).collect();
        policy
    }

    fn evaluate(&self, request: &Request) -> Opinion {
        match (request.operation, &request.workload) {
            (Operation::Attach | Operation::ChangeWorkload, Some(workload)) => Opinion::deny(self.check(request, workload)),
            _ => Opinion::not_applicable(),
        }
    }
}

impl AddressReservations {
    fn check(&self, request: &Request, workload: &Workload) -> Vec<Violation> {
        let network = &request.network;
        let mut violations = Vec::new();
        for (at, address) in request.addresses.iter().enumerate() {
            let holds: Vec<&Reservation> = self.reservations.iter().filter(|r| r.range_of(address).is_some()).collect();
            if holds.is_empty() || holds.iter().any(|r| r.fits(workload, network)) {
                continue;
            }
            let whom: Vec<String> = holds.iter().map(|r| r.whom()).collect();
            let ranges: Vec<&str> = holds.iter().filter_map(|r| r.range_of(address)).map(Range::written).collect();
            let message =
                ["workload ", workload_name(workload), " would have ", address, ", which is reserved for ", &whom.join(", and for ")]
                    .concat();
            let remedy = [
                "name an address in addresses that is not in ",
                &ranges.join(" or "),
                ", or give network ",
                &network.name,
                " an ip_range without it",
            ]
            .concat();
            violations.push(violation(RESERVED, message).field(["addresses[", &at.to_string(), "]"].concat()).remedy(remedy));
        }
        for reservation in self.reservations.iter().filter(|r| r.is_required && r.fits(workload, network)) {
            // A network that has none of the addresses cannot give one; of those that it has, one of each family is enough.
            let there = |range: &&Range| network.subnets.iter().any(|s| Cidr::parse(&s.cidr).is_ok_and(|cidr| range.meets(&cidr)));
            for is_ipv4 in [true, false] {
                let wanted: Vec<&Range> = reservation.addresses.iter().filter(|r| r.is_ipv4() == is_ipv4).filter(there).collect();
                if wanted.is_empty() || request.addresses.iter().any(|a| wanted.iter().any(|r| r.has(a))) {
                    continue;
                }
                let has = request.addresses.join(" and ");
                let ranges = wanted.iter().map(|r| r.written()).collect::<Vec<_>>().join(" or ");
                let message = [
                    "workload ",
                    workload_name(workload),
                    " must have a reserved address on network ",
                    &network.name,
                    ", and would have ",
                    if has.is_empty() { "none" } else { &has },
                ]
                .concat();
                let remedy = ["name one of ", &ranges, " in addresses"].concat();
                violations.push(violation(REQUIRED, message).field("addresses").remedy(remedy));
            }
        }
        violations
    }
}

impl Reservation {
    /// The range that the address is in.
    fn range_of(&self, address: &str) -> Option<&Range> {
        self.addresses.iter().find(|range| range.has(address))
    }

    /// Whether the addresses are held for this workload on this network. A label is the workload's own, else its network's.
    fn fits(&self, workload: &Workload, network: &Network) -> bool {
        let has = |key: &str, values: &[String]| {
            label(&workload.labels, key).or_else(|| label(&network.labels, key)).is_some_and(|value| fits_one(values, value))
        };
        self.workloads.as_ref().is_none_or(|names| fits_one(names, &workload.name) || fits_one(names, &workload.id))
            && self.networks.as_ref().is_none_or(|names| fits_one(names, &network.name))
            && self.labels.iter().all(|(key, values)| has(key, values))
    }

    /// Such as `workloads called "till-*" (* is any text) with label tier "cards" on network "cards"`.
    fn whom(&self) -> String {
        let mut whom: Vec<String> = vec!["workloads".into()];
        whom.extend(self.workloads.iter().map(|names| ["called ", &like(names)].concat()));
        whom.extend(self.labels.iter().map(|(key, values)| ["with label ", key, " ", &like(values)].concat()));
        whom.extend(self.networks.iter().map(|names| ["on network ", &like(names)].concat()));
        whom.join(" ")
    }

    fn read(node: &Node<'_>, faults: &mut Faults) -> Self {
        let mut reservation = Self::default();
        let known = ["addresses", "workloads", "labels", "networks", "required"];
        let Some(fields) = node.object(&known, faults) else { return reservation };
        let example = "addresses and ranges such as [\"10.40.0.7\", \"10.40.0.16/28\", \"10.40.0.32-10.40.0.39\"]";
        match fields.get("addresses") {
            None => faults.add([node.path(), ".addresses"].concat(), "is missing", example),
            Some(list) => {
                let items = list.list(faults);
                if items.as_ref().is_some_and(Vec::is_empty) {
                    faults.add(list.path(), "is empty, so nothing is reserved", example);
                }
                let items = items.unwrap_or_default();
                reservation.addresses = items.iter().filter_map(|item| range(item, faults)).collect();
            }
        }
        let names = |key: &str, faults: &mut Faults| fields.get(key).and_then(|list| patterns(&list, faults));
        reservation.workloads = names("workloads", faults);
        reservation.networks = names("networks", faults);
        if let Some(labels) = fields.get("labels") {
            let entries = labels.entries(faults);
            if entries.as_ref().is_some_and(Vec::is_empty) {
                faults.add(labels.path(), "is empty, so it says nothing", "a label with its values, such as {\"tier\": [\"cards\"]}");
            }
            let entries = entries.unwrap_or_default();
            reservation.labels = entries.into_iter().map(|(key, v)| (key.into(), patterns(&v, faults).unwrap_or_default())).collect();
        }
        if !["workloads", "labels", "networks"].iter().any(|key| fields.get(key).is_some()) {
            let right = "workloads, labels or networks; an address that nobody is to have belongs into a network's reserved";
            faults.add(node.path(), "does not say whom the addresses are for", right);
        }
        reservation.is_required = fields.get("required").and_then(|r| r.boolean(faults)).unwrap_or(false);
        reservation
    }
}

fn range(node: &Node<'_>, faults: &mut Faults) -> Option<Range> {
    let text = node.text(faults)?;
    Range::parse(text).map_err(|fault| faults.add(node.path(), [text, " ", fault.wrong].concat(), fault.right)).ok()
}

export!(AddressReservations);

#[cfg(test)]
mod tests;
