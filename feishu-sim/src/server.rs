//! The one port: accepts, routes, and misbehaves when told to.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use crate::config::bound;
use crate::shared::Shared;
use crate::{link, openapi, outside};

/// Accepts until the simulator is shut down.
pub(crate) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let room = Arc::new(Semaphore::new(bound::SOCKETS_MAX));
    loop {
        let accepted = tokio::select! {
            () = shared.cancel.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match (accepted, Arc::clone(&room).try_acquire_owned()) {
            (Ok((stream, _)), Ok(permit)) => {
                let shared = Arc::clone(&shared);
                let tasks = shared.tasks.clone();
                tasks.spawn(async move {
                    connection(shared, stream).await;
                    drop(permit);
                });
            }
            (Ok(_), Err(_)) => tracing::warn!("too many TCP connections; one was refused"),
            (Err(why), _) => {
                tracing::warn!(%why, "accept failed");
                // Out of file descriptors, mostly: let some go first.
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream) {
    // Without it small answers wait for the peer's delayed ack.
    let _ = stream.set_nodelay(true);
    let cancel = shared.cancel.clone();
    let service = service_fn(move |request: http::Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move {
            let response = route(shared, request.map(Body::new)).await;
            if response.extensions().get::<Cut>().is_some() {
                return Err(io::Error::from(io::ErrorKind::ConnectionReset));
            }
            Ok(response)
        }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bound::HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        () = cancel.cancelled() => {}
        // Errors are peers that left, and cuts of our own.
        _ = serving => {}
    }
}

async fn route(shared: Arc<Shared>, request: Request) -> Response {
    let path = request.uri().path();
    if path == "/ws/v2" {
        return link::upgrade(shared, request).await;
    }
    if path == "/callback/ws/endpoint" {
        if request.method() != Method::POST {
            return empty_response(StatusCode::METHOD_NOT_ALLOWED);
        }
        return match read_body(request).await {
            Ok((_, body)) => link::endpoint(&shared, &body).await,
            Err(refusal) => refusal,
        };
    }
    if path.starts_with("/open-apis/") {
        let arrived = Instant::now();
        return match read_body(request).await {
            Ok((head, body)) => openapi::call(&shared, head, body, arrived).await,
            Err(refusal) => refusal,
        };
    }
    outside::route(shared, request).await
}

/// Reads a body within the bound.
pub(crate) async fn read_body(request: Request) -> Result<(http::request::Parts, Bytes), Response> {
    let (head, body) = request.into_parts();
    match Limited::new(body, bound::BODY_BYTES_MAX).collect().await {
        Ok(body) => Ok((head, body.to_bytes())),
        Err(why) if why.is::<LengthLimitError>() => {
            Err(empty_response(StatusCode::PAYLOAD_TOO_LARGE))
        }
        Err(_) => Err(empty_response(StatusCode::BAD_REQUEST)),
    }
}

/// Marks an answer that must not be sent: the connection is cut instead.
#[derive(Clone, Copy)]
struct Cut;

pub(crate) fn cut() -> Response {
    let mut response = empty_response(StatusCode::BAD_GATEWAY);
    response.extensions_mut().insert(Cut);
    response
}

/// Keeps the caller waiting until it leaves or the simulator stops.
pub(crate) async fn hang(shared: &Shared) -> Response {
    tokio::select! {
        () = shared.cancel.cancelled() => {}
        () = sleep(bound::HANG_MAX) => {}
    }
    cut()
}

pub(crate) fn json_response(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    response
}

pub(crate) fn text_response(status: u16, body: &'static str) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

pub(crate) fn empty_response(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Query parameters, decoded, in their order.
pub(crate) fn query_pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        if let Some(byte) = escaped {
            bytes.push(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(if *first == b'+' { b' ' } else { *first });
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Pause after a failed accept.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let pairs = query_pairs("a=1&b=%E5%B0%8F+x&c&d=%zz&a=2");
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(k, v)| (&**k, &**v)).collect();
        assert_eq!(
            pairs,
            [
                ("a", "1"),
                ("b", "小 x"),
                ("c", ""),
                ("d", "%zz"),
                ("a", "2")
            ]
        );
    }
}
