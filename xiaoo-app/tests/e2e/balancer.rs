//! What nginx does before several daemons: each request goes to one of them, and to
//! the other when the first is not there.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;

/// Feishu waits no longer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);

/// A way to several ports.
pub struct Balancer {
    pub port: u16,
    ports: Arc<Mutex<Vec<u16>>>,
}

#[derive(Clone)]
struct Way {
    ports: Arc<Mutex<Vec<u16>>>,
    http: reqwest::Client,
}

impl Balancer {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        let ports = Arc::default();
        runtime_tokio::http::install_crypto_provider();
        let way = Way {
            ports: Arc::clone(&ports),
            http: runtime_tokio::http::loopback_client().unwrap(),
        };
        let router = Router::new().fallback(pass_on).with_state(way);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { port, ports }
    }

    pub fn leads_to(&self, ports: impl IntoIterator<Item = u16>) {
        self.ports.lock().unwrap().extend(ports);
    }
}

async fn pass_on(
    State(way): State<Way>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let mut ports = way.ports.lock().unwrap().clone();
    fastrand::shuffle(&mut ports);
    for port in ports {
        let sent = way
            .http
            .post(format!("http://127.0.0.1:{port}{uri}"))
            .headers(headers.clone())
            .body(body.clone())
            .timeout(ANSWERED_WITHIN)
            .send()
            .await;
        match sent {
            Ok(answer) => {
                let status = answer.status();
                let body = answer.bytes().await.unwrap_or_default();
                return answered(status, body);
            }
            // Not there: nobody has seen the request.
            Err(error) if error.is_connect() => {}
            Err(_) => break,
        }
    }
    answered(StatusCode::BAD_GATEWAY, Bytes::new())
}

fn answered(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
}
