//! The bounds of the ingress, each with its unit and default.

use std::time::Duration;

/// Bounds on connections and on how long a client may take. Limits that an app can set are in the model's table.
#[derive(Clone, Debug)]
pub struct IngressSettings {
    /// Connections open at once; more wait in the kernel's backlog.
    pub connections_max: u32,
    /// From a connection's or a head's first byte to the end of the head.
    pub head: Duration,
    /// Without a request under way and without a byte in or out.
    pub keep_alive: Duration,
    /// Between two parts of a body.
    pub body_pause: Duration,
    /// For the whole body, on top of what it may take at `body_bytes_per_second_min`.
    pub body_grace: Duration,
    /// The slowest a body may come after the grace.
    pub body_bytes_per_second_min: u64,
    /// Bodies held in memory at once, over all requests; more is 503.
    pub bodies_bytes_max: usize,
    /// What a client may still send after it was refused, so that it reads the answer rather than a reset.
    pub linger: Duration,
    /// For requests under way when the worker is to stop.
    pub drain: Duration,
    /// For a request that is on its way then, on a connection that waits for one: it is answered before the connection
    /// is closed.
    pub last_request: Duration,
}

impl Default for IngressSettings {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            head: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            body_pause: Duration::from_secs(10),
            body_grace: Duration::from_secs(30),
            body_bytes_per_second_min: 64 * 1024,
            bodies_bytes_max: 128 * 1024 * 1024,
            linger: Duration::from_secs(2),
            drain: Duration::from_secs(10),
            last_request: Duration::from_millis(100),
        }
    }
}
