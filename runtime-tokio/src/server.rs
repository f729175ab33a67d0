//! An HTTP/1 server with a limit on everything that a client can hold.
//!
//! `axum::serve` gives hyper no timer, so a slow client could keep a
//! connection open for ever; this loop does, bounds how many connections there
//! are, and ends them in good order.

use core::convert::Infallible;
use core::error::Error;
use core::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::ConnectInfo;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use tracing::{debug, warn};

use crate::written::{Flushed, Waiting, WhenWritten};

/// What a client may take.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Connections at once; more wait in the kernel's queue. Default 1,024.
    pub connections_max: usize,
    /// How long a request's headers may take. Default 5 s.
    pub header_timeout: Duration,
    /// Headers of one request. Default 64.
    pub headers_max: usize,
    /// How long a client may take nothing of what is written to it. Default 10 s.
    pub write_timeout: Duration,
    /// How long requests under way may take when the server stops. Default 5 s.
    pub stop_timeout: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            header_timeout: Duration::from_secs(5),
            headers_max: 64,
            write_timeout: Duration::from_secs(10),
            stop_timeout: Duration::from_secs(5),
        }
    }
}

/// Where connections come from.
pub trait Accept: Send + Sync + 'static {
    /// Waits for the next one. Cancel-safe.
    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send;
}

impl Accept for TcpListener {
    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send {
        Self::accept(self)
    }
}

/// What answers requests. A cheap handle: every connection has a clone.
pub trait Answer: Clone + Send + Sync + 'static {
    /// What its responses hold.
    type Body: HttpBody<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send;

    /// Answers one request of whoever has connected from `peer`.
    fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response<Self::Body>> + Send;
}

/// Handlers can ask for the peer with [`ConnectInfo`].
impl Answer for Router {
    type Body = Body;

    async fn answer(&self, mut request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        request.extensions_mut().insert(ConnectInfo(peer));
        let answered: Result<_, Infallible> = self.clone().oneshot(request).await;
        answered.unwrap_or_else(|never| match never {})
    }
}

/// How long to wait when no connection can be accepted (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `answer` until `stop`, then lets requests under way end; what has not
/// ended by then is cut off. Connections can be upgraded.
pub async fn serve<A: Answer>(
    listener: impl Accept,
    answer: A,
    limits: ServerLimits,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let connections = TaskTracker::new();
    let cut_off = CancellationToken::new();
    let ending = stop.child_token();
    // Whoever drops this future wants no connection to outlive it either.
    let _cut_off_at_last = cut_off.clone().drop_guard();
    let _ending_at_last = ending.clone().drop_guard();
    loop {
        // A full server waits for a place, perhaps for ever: `stop` ends both waits.
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let Some((Ok(place), accepted)) = stop.run_until_cancelled(next).await else {
            break;
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!("no connection can be accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Answers are small and wanted at once; failure only costs time.
        let _ = stream.set_nodelay(true);
        let waiting = Waiting::default();
        let stream = Flushed::new(stream, waiting.clone(), limits.write_timeout);
        let answer = answer.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let waiting = waiting.clone();
            let answer = answer.clone();
            async move {
                let response = answer.answer(request, peer).await;
                if let Some(act) = response.extensions().get::<WhenWritten>() {
                    waiting.add(act.clone());
                }
                Ok::<_, Infallible>(response)
            }
        });
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            // Answers are small: one buffer is written faster than two.
            .writev(false)
            .max_headers(limits.headers_max);
        let connection = builder
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let (ending, cut_off) = (ending.clone(), cut_off.clone());
        connections.spawn(async move {
            let mut connection = core::pin::pin!(connection);
            // One wait for the end beside each read and write, not two.
            let ended = tokio::select! {
                ended = connection.as_mut() => Some(ended),
                () = ending.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    cut_off.run_until_cancelled(connection).await
                }
            };
            match ended {
                Some(Ok(())) => {}
                Some(Err(error)) => debug!(%peer, "a connection ended early: {error}"),
                None => debug!(%peer, "a connection did not end in time"),
            }
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.stop_timeout, connections.wait())
        .await
        .is_err()
    {
        cut_off.cancel();
        connections.wait().await;
    }
}
