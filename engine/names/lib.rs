//! Names that resolve: a resolver at 127.0.0.11:53, UDP and TCP, inside every namespace that has an endpoint.
//!
//! [`lookup`] says what a workload may see: the endpoints of its own networks, by name, alias, workload name, `name.network` and
//! address. [`answer`] turns a question's bytes into an answer's, pure as well. [`serve`] holds the sockets: two per namespace,
//! bound there once and served from here by one task each, so that a namespace costs no thread. [`forward`] asks the host's own
//! resolvers for names from outside, where a network allows that.
//!
//! Invariants: every answer is a look-up in the published state, so there is nothing to notify, and a name goes with its endpoint;
//! what is asked in one namespace is answered by what *its* workload is attached to; nothing is forwarded but by the rule of
//! [`lookup::forwards`]. How a socket gets into a namespace is not known here: [`Ground`] is what the daemon plugs in.
//!
//! A socket that is bound in a namespace keeps it alive. So the daemon's proof that a namespace is gone does not count our own
//! sockets, and here they are closed as soon as the record has no endpoint left in that namespace.

pub mod answer;
pub mod forward;
pub mod lookup;
mod serve;

pub use forward::Forwarder;
pub use serve::Names;

use bulkhead_core::endpoint::Netns;
use bulkhead_core::state::State;
use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;

/// The sockets of one namespace, bound to 127.0.0.11:53 and not blocking.
#[derive(Debug)]
pub struct Sockets {
    /// UDP.
    pub udp: UdpSocket,
    /// TCP.
    pub tcp: TcpListener,
}

/// Why names are not answered in a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotBound {
    /// Nothing holds the namespace any more; the record will hear of that by itself.
    Gone,
    /// Something else listens there, such as Docker's own resolver.
    Taken(String),
    /// It did not work.
    Failed(String),
}

/// What the resolver needs of the daemon. Calls of `bind` may block.
pub trait Ground: Send + Sync {
    /// The published state.
    fn state(&self) -> Arc<State>;
    /// Finds a recorded namespace and binds the sockets in it.
    fn bind(&self, netns: &Netns) -> Result<Sockets, NotBound>;
}
