//! A machine whose link is open.

use proto_core::conn::{Connection, Epoch, Memory, Output};
use proto_core::{Config, EndpointReply, Instant};

/// What the platform answers to who asks for an endpoint.
pub(crate) const GRANT: &[u8] = br#"{"code":0,"data":{"URL":"wss://a.feishu.cn/ws?service_id=1"}}"#;

/// A machine at time 0 whose first link has just opened, and its epoch.
pub(crate) fn open_link<M: Memory>(config: Config, memory: M) -> (Connection<M>, Epoch) {
    let now = Instant::from_millis(0);
    let mut machine = Connection::new(now, config, 0, memory);
    let (mut scratch, mut epoch) = (Vec::new(), Epoch::default());
    machine.handle_timeout(now);
    while let Some(output) = machine.poll_output(now, &mut scratch) {
        if let Output::FetchEndpoint(attempt) = output {
            epoch = attempt;
        }
    }
    let (status, body) = (200, GRANT);
    machine.handle_endpoint(now, epoch, EndpointReply::Http { status, body });
    machine.handle_open(now, epoch);
    while machine.poll_output(now, &mut scratch).is_some() {}
    (machine, epoch)
}
