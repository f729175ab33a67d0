//! One dial to see whether a link would open.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use proto_core::HandshakeRefusal;

use super::Dialer;
use super::dial::{DialError, dial};

/// Nothing is read of a link that is closed at once.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// Why a link would not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// The platform answered the handshake with something else.
    #[error("the handshake was refused: HTTP {}, status {:?}, auth error {:?}", .0.http_status, .0.status, .0.auth_error)]
    Refused(HandshakeRefusal),
    /// The network, TLS or the answer's form.
    #[error("{0}")]
    Failed(String),
}

/// Opens a websocket to `url` and closes it at once, with a close frame. It reads
/// nothing: an event that the platform pushes meanwhile stays without an
/// acknowledgement, and is pushed again. The caller sets the time-out.
///
/// # Errors
/// [`ProbeError`].
pub async fn probe(url: &str, dialer: &Dialer) -> Result<(), ProbeError> {
    let oversize = Arc::new(AtomicU64::new(0));
    match dial(url, MESSAGE_BYTES_MAX, dialer, oversize).await {
        Ok(mut socket) => {
            // A platform that is gone already has closed it as well.
            let _ = socket.close(None).await;
            Ok(())
        }
        Err(DialError::Refused(refusal)) => Err(ProbeError::Refused(refusal)),
        Err(DialError::Failed(_, why)) => Err(ProbeError::Failed(why)),
    }
}
