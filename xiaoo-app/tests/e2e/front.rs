//! What stands between a daemon and the platform in a company: a proxy, and TLS by an authority
//! that only the company knows.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Leads everybody to one platform, by TLS, at once or through `CONNECT`.
#[derive(Clone)]
pub struct Front {
    /// The authority, as PEM.
    pub authority: String,
    platform: SocketAddr,
    acceptor: TlsAcceptor,
    /// Where those who came through the proxy wanted to go.
    asked: Arc<Mutex<Vec<String>>>,
}

/// What a request to the proxy may have; ours are short.
const HEAD_BYTES_MAX: usize = 4_096;

impl Front {
    /// For a platform that answers at `platform`, under these names.
    pub fn new(platform: SocketAddr, names: &[&str]) -> Self {
        runtime_tokio::http::install_crypto_provider();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::from(key))
            .unwrap();
        Self {
            authority: made.cert.pem(),
            platform,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            asked: Arc::default(),
        }
    }

    /// A proxy; gives its address. Whoever gives no such credentials is sent away.
    pub async fn proxy(&self, authorization: &'static str) -> SocketAddr {
        let front = self.clone();
        listen(move |mut stream| {
            let front = front.clone();
            async move {
                let head = head(&mut stream).await?;
                let target = head.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned();
                let line = format!("proxy-authorization: {authorization}\r\n");
                let is_known = head
                    .to_ascii_lowercase()
                    .contains(&line.to_ascii_lowercase());
                front.asked.lock().unwrap().push(target);
                let answer: &[u8] = match is_known {
                    true => b"HTTP/1.1 200 OK\r\n\r\n",
                    false => b"HTTP/1.1 407 Who?\r\n\r\n",
                };
                stream.write_all(answer).await.ok()?;
                match is_known {
                    true => front.lead(stream).await,
                    false => None,
                }
            }
        })
        .await
    }

    /// The platform's own TLS; gives its address.
    pub async fn direct(&self) -> SocketAddr {
        let front = self.clone();
        listen(move |stream| {
            let front = front.clone();
            async move { front.lead(stream).await }
        })
        .await
    }

    /// Where those who came through the proxy wanted to go, each once.
    pub fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort();
        asked.dedup();
        asked
    }

    async fn lead(&self, stream: TcpStream) -> Option<()> {
        let mut inner = self.acceptor.accept(stream).await.ok()?;
        let mut platform = TcpStream::connect(self.platform).await.ok()?;
        copy_bidirectional(&mut inner, &mut platform).await.ok()?;
        Some(())
    }
}

async fn listen<F: Future<Output = Option<()>> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// A request's head, byte by byte: what follows is not ours.
async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_BYTES_MAX {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}
