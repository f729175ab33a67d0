//! From a connection URL to an open websocket.

use core::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use futures_util::future::{BoxFuture, FutureExt as _};
use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use proto_core::HandshakeRefusal;
use proto_core::conn::CloseReason;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::oversize::Oversize;
use super::proxy;
use crate::http::{HttpOptions, lazy_tls};

/// Where the TLS configuration of the dial comes from. It is asked only for a
/// `wss://` URL, so that a daemon that talks to a local platform never loads
/// the system's roots.
#[derive(Clone)]
pub struct TlsSource(Arc<dyn Fn() -> Result<Arc<rustls::ClientConfig>, String> + Send + Sync>);

impl TlsSource {
    /// A source that calls `make` at each dial.
    pub fn new(
        make: impl Fn() -> Result<Arc<rustls::ClientConfig>, String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(make))
    }
}

impl fmt::Debug for TlsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsSource")
    }
}

/// A byte stream to the platform, encrypted or not.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// How a byte stream to the platform is opened, before any websocket.
#[derive(Clone)]
pub struct Dialer(Arc<Open>);

type Open = dyn Fn(Uri) -> BoxFuture<'static, Result<Box<dyn Stream>, String>> + Send + Sync;

impl Dialer {
    /// A dialer that calls `open`, which says in words why there is no stream.
    pub fn new(
        open: impl Fn(Uri) -> BoxFuture<'static, Result<Box<dyn Stream>, String>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self(Arc::new(open))
    }

    /// TCP, and TLS over it for a `wss://` URL.
    #[must_use]
    pub fn tcp(tls: TlsSource) -> Self {
        Self::new(move |uri| {
            let tls = tls.clone();
            async move { connect(&uri, None, &tls).await }.boxed()
        })
    }

    /// The way that [`http::client`](crate::http::client) goes with the same options: through
    /// the proxy that `HTTPS_PROXY` names unless `NO_PROXY` has the host, and with the same
    /// certificate authorities. This machine is reached without a proxy.
    #[must_use]
    pub fn like_http(options: HttpOptions) -> Self {
        let proxies = (!options.no_proxy).then(|| Arc::new(Matcher::from_env()));
        let tls = lazy_tls(options);
        Self::new(move |uri| {
            let (proxies, tls) = (proxies.clone(), tls.clone());
            async move {
                let proxy = proxies.and_then(|proxies| proxy::of(&uri, &proxies));
                connect(&uri, proxy.as_ref(), &tls).await
            }
            .boxed()
        })
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dialer")
    }
}

pub(super) type Socket = WebSocketStream<Oversize<Box<dyn Stream>>>;

/// Why there is no socket.
#[derive(Debug)]
pub(super) enum DialError {
    /// The platform answered the handshake with something else.
    Refused(HandshakeRefusal),
    /// The network, TLS or the answer's form.
    Failed(CloseReason, String),
}

/// Bytes that may wait for the socket before a write counts as stuck. All
/// acknowledgements in flight fit.
const WRITE_BUFFER_BYTES_MAX: usize = 8 << 20;
/// Writes below this wait for the flush that follows the batch.
const WRITE_BUFFER_BYTES: usize = 256 << 10;
/// What is read from the socket at once.
const READ_BUFFER_BYTES: usize = 16 << 10;

pub(super) async fn dial(
    url: &str,
    message_bytes_max: usize,
    dialer: &Dialer,
    oversize: Arc<AtomicU64>,
) -> Result<Socket, DialError> {
    let failed = |why: String| DialError::Failed(CloseReason::ConnectFailed, why);
    let uri: Uri = url
        .parse()
        .map_err(|_| failed("the URL cannot be parsed".into()))?;
    let host = uri.host().unwrap_or_default().to_owned();
    let stream = (dialer.0)(uri).await.map_err(failed)?;

    let stream = Oversize::new(stream, message_bytes_max, oversize);
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        // The filter below holds the limit; these only back it up.
        .max_message_size(Some(message_bytes_max))
        .max_frame_size(Some(message_bytes_max));
    tokio_tungstenite::client_async_with_config(url, stream, Some(config))
        .await
        .map(|(socket, _)| socket)
        .map_err(|error| {
            if let WsError::Http(answer) = &error {
                return DialError::Refused(refusal(answer));
            }
            failed(format!("websocket handshake with {host}: {error}"))
        })
}

async fn connect(
    uri: &Uri,
    proxy: Option<&Intercept>,
    tls: &TlsSource,
) -> Result<Box<dyn Stream>, String> {
    let host = uri
        .host()
        .ok_or("the URL has no host")?
        .trim_matches(['[', ']'])
        .to_owned();
    let encrypted = uri.scheme_str() == Some("wss");
    let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });

    let stream = match proxy {
        Some(proxy) => proxy::tunnel(proxy, &host, port, tls).await?,
        None => open(&host, port).await?,
    };
    if !encrypted {
        return Ok(stream);
    }
    encrypt(stream, host, tls).await
}

/// TCP to a host.
pub(super) async fn open(host: &str, port: u16) -> Result<Box<dyn Stream>, String> {
    let tcp = TcpStream::connect((host, port))
        .await
        .map_err(|error| format!("cannot connect to {host}:{port}: {error}"))?;
    // Acknowledgements are small and wanted at once; batching is ours.
    tcp.set_nodelay(true).map_err(|error| error.to_string())?;
    Ok(Box::new(tcp))
}

/// TLS with a host over what leads to it.
pub(super) async fn encrypt(
    stream: Box<dyn Stream>,
    host: String,
    tls: &TlsSource,
) -> Result<Box<dyn Stream>, String> {
    let config = (tls.0)()?;
    let name = ServerName::try_from(host.clone())
        .map_err(|_| format!("`{host}` is not a name for TLS"))?;
    let stream = TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|error| format!("TLS with {host}: {error}"))?;
    Ok(Box::new(stream))
}

fn refusal<B>(answer: &http::Response<B>) -> HandshakeRefusal {
    let number = |name: &str| {
        let text = answer.headers().get(name)?.to_str().ok()?;
        text.trim().parse().ok()
    };
    HandshakeRefusal {
        http_status: answer.status().as_u16(),
        status: number("handshake-status"),
        auth_error: number("handshake-autherrcode"),
    }
}
