//! What a client may take: sizes, times and numbers. There is a limit on everything, from the first request on.

use std::time::Duration;

/// Limits of the doors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a JSON body.
    pub body_bytes_max: usize,
    /// Bytes of an uploaded module.
    pub module_bytes_max: usize,
    /// Bytes of a request line and its header fields.
    pub head_bytes_max: usize,
    /// Header fields of a request.
    pub headers_max: usize,
    /// How long a request's head may take to arrive; a connection that idles longer than this is closed, too.
    pub head_within: Duration,
    /// How long a request's body may take to arrive.
    pub body_within: Duration,
    /// How long a request is worked on before its caller hears that it goes on without them.
    pub answer_within: Duration,
    /// How long an answer may wait for its caller to take any of it.
    pub taken_within: Duration,
    /// Connections of each door at a time; more wait to be accepted.
    pub connections_max: usize,
    /// Calls at a time that block a thread: opening namespaces, dry runs.
    pub blocking_max: usize,
    /// How long a stop waits for requests that are under way.
    pub stop_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 1 << 20,
            module_bytes_max: 32 << 20,
            head_bytes_max: 32 << 10,
            headers_max: 64,
            head_within: Duration::from_secs(15),
            body_within: Duration::from_secs(30),
            answer_within: Duration::from_secs(120),
            taken_within: Duration::from_secs(30),
            connections_max: 512,
            blocking_max: 16,
            stop_within: Duration::from_secs(10),
        }
    }
}
