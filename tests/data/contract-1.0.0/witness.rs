//! The source of witness.wasm: it says what it was shown, so that a later daemon which shows something else is found out.

use bulkhead_policy_sdk::*;

/// Denies networks of the tier that its settings name.
#[derive(Debug, Default)]
struct Witness {
    deny: Option<String>,
}

impl Policy for Witness {
    fn describe(&self) -> Description {
        let all = [
            Operation::CreateNetwork,
            Operation::ChangeNetwork,
            Operation::DeleteNetwork,
            Operation::Attach,
            Operation::ChangeWorkload,
            Operation::Detach,
        ];
        description("witness", "1.0.0", "Says what it was shown, and denies one tier")
            .judges(&all)
            .rule("tier", "Nothing is of the tier that the settings name", &["none", "PCI DSS 1.4.1"])
            .rule("bare", "Found with it, without field and remedy", &[])
            .looks_at("tier")
            .looks_at("example.org/zone")
            .needs(&[View::Attached, View::SameSegment, View::Reaches, View::Overlapping])
            .schema(r#"{"type":"object","properties":{"deny":{"type":"string"}},"additionalProperties":false}"#)
    }

    fn configure(settings: Node<'_>, faults: &mut Faults) -> Self {
        let fields = settings.object(&["deny"], faults);
        Self { deny: fields.and_then(|f| f.get("deny")).and_then(|d| d.text(faults)).map(Into::into) }
    }

    fn evaluate(&self, request: &Request) -> Opinion {
        if request.operation == Operation::Detach {
            return Opinion::not_applicable().note("a detach");
        }
        let tier = label(&request.network.labels, "tier").or_else(|| label(&request.workload.as_ref()?.labels, "tier"));
        let opinion = match tier {
            Some(tier) if self.deny.as_deref() == Some(tier) => Opinion::deny([
                violation("tier", format!("it is of tier {tier}")).field("labels.tier").remedy("another tier"),
                violation("bare", "it is"),
            ]),
            _ => Opinion::allow().warn("the witness was here"),
        };
        let Request { operation, caller, change, network, network_before, workload, workload_before, .. } = request;
        let Request { addresses, same_segment, reaches, overlapping, facts, .. } = request;
        opinion
            .note(format!("{operation:?}, {caller:?}, {change:?}"))
            .note(format!("{network:?}, before: {network_before:?}"))
            .note(format!("{workload:?}, before: {workload_before:?}"))
            .note(format!("{addresses:?}, {facts:?}"))
            .note(format!("{same_segment:?}, {reaches:?}, {overlapping:?}"))
    }
}

export!(Witness);
