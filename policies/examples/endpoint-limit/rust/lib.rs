//! An example of a policy: no more than so many endpoints in a network. Settings: `{"max": 50}`.

use bulkhead_policy_sdk::*;

/// The policy with its settings.
pub struct EndpointLimit {
    max: u32,
}

impl Default for EndpointLimit {
    fn default() -> Self {
        Self { max: 50 }
    }
}

impl Policy for EndpointLimit {
    fn describe(&self) -> Description {
        description("endpoint-limit", "1.0.0", "No more than so many endpoints in a network")
            .judges(&[Operation::Attach])
            .rule("too-many", "A network has no more endpoints than the settings say", &[])
            .schema(r#"{"type":"object","additionalProperties":false,"properties":{"max":{"type":"integer","minimum":1,"default":50}}}"#)
    }

    fn configure(settings: Node<'_>, faults: &mut Faults) -> Self {
        let max = settings.object(&["max"], faults).and_then(|s| s.get("max")).and_then(|max| max.integer(1..=u32::MAX, faults));
        Self { max: max.unwrap_or(Self::default().max) }
    }

    fn evaluate(&self, request: &Request) -> Opinion {
        let network = &request.network;
        if network.endpoints < self.max {
            return Opinion::allow();
        }
        let message = format!("network {} has {} endpoints, and may have {}", network.name, network.endpoints, self.max);
        Opinion::deny([violation("too-many", message).remedy("attach to another network, or detach what is no longer needed")])
    }
}

export!(EndpointLimit);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_read() {
        assert_eq!(configured::<EndpointLimit>("{}").map(|p| p.max).ok(), Some(50));
        assert_eq!(configured::<EndpointLimit>(r#"{"max":2}"#).map(|p| p.max).ok(), Some(2));
        assert!(configured::<EndpointLimit>(r#"{"max":0}"#).is_err());
        assert!(configured::<EndpointLimit>(r#"{"maximum":1}"#).is_err());
    }
}
