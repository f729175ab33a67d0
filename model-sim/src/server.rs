//! The accept loop, with the bounds that a bare `axum::serve` has not.

use core::time::Duration;
use std::sync::Arc;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Accepts until `stop`; connections end with it.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accept = async {
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            Some((place, listener.accept().await))
        };
        let Some(Some((place, accepted))) = stop.run_until_cancelled(accept).await else {
            return;
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors: the next one to close makes room.
            tokio::time::sleep(AFTER_ACCEPT_ERROR).await;
            continue;
        };
        let service = TowerToHyperService::new(router.clone());
        let stop = stop.clone();
        tasks.spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADERS_WITHIN)
                .serve_connection(TokioIo::new(stream), service);
            // How a connection ends is the client's affair.
            let _ = stop.run_until_cancelled(connection).await;
            drop(place);
        });
    }
}

/// More than any test opens at once.
const CONNECTIONS_MAX: usize = 512;

/// A client that sends no request line is not kept for longer.
const HEADERS_WITHIN: Duration = Duration::from_secs(30);

/// Pause after a failed accept, so that the loop does not spin.
const AFTER_ACCEPT_ERROR: Duration = Duration::from_millis(50);
