//! HTTP clients and TLS, made in one way for every outgoing connection.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Once, OnceLock};
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// How long a TCP and TLS connection may take to open.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle connections kept for each host: a few turns at once.
const IDLE_PER_HOST_MAX: usize = 8;
/// How long an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Installs ring as the process's TLS implementation. Call it before any
/// client is built; later calls do nothing.
pub fn install_crypto_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that somebody installed one before, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// What all outgoing connections have in common.
#[derive(Clone, Debug, Default)]
pub struct HttpOptions {
    /// A PEM file with further certificate authorities, for company proxies.
    pub ca_file: Option<PathBuf>,
    /// Do not use the proxies that the environment names.
    pub no_proxy: bool,
}

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The CA file cannot be used.
    #[error("ca_file {path} cannot be used: {detail}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The client could not be built.
    #[error("no HTTP client could be built: {0}")]
    Client(#[from] reqwest::Error),
}

/// A client without a total time-out: callers bound each request. Proxies come
/// from `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`.
///
/// # Errors
/// [`HttpError`] when the CA file cannot be used.
pub fn client(options: &HttpOptions) -> Result<reqwest::Client, HttpError> {
    Ok(client_builder(options)?.build()?)
}

/// The same before it is built, for whoever has more to say.
///
/// # Errors
/// [`HttpError`] when the CA file cannot be used.
pub fn client_builder(options: &HttpOptions) -> Result<reqwest::ClientBuilder, HttpError> {
    install_crypto_provider();
    let roots = roots(options.ca_file.as_deref())?;
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("xiaoo/", env!("CARGO_PKG_VERSION")))
        // A redirect would carry the app's secret to wherever it points.
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tls_backend_preconfigured(tls_config(roots));
    if options.no_proxy {
        builder = builder.no_proxy();
    }
    Ok(builder)
}

/// A client for plain HTTP to this machine: no roots are loaded, no proxy is
/// used.
///
/// # Errors
/// [`HttpError::Client`].
pub fn loopback_client() -> Result<reqwest::Client, HttpError> {
    install_crypto_provider();
    let builder = reqwest::Client::builder()
        .user_agent(concat!("xiaoo/", env!("CARGO_PKG_VERSION")))
        // A redirect would carry the app's secret to wherever it points.
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tls_backend_preconfigured(tls_config(rustls::RootCertStore::empty()))
        .no_proxy();
    Ok(builder.build()?)
}

/// Whether a base URL leads to this machine by plain HTTP.
#[must_use]
pub fn is_plain_loopback(base_url: &str) -> bool {
    reqwest::Url::parse(base_url).is_ok_and(|url| {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        url.scheme() == "http"
            && (host == "localhost"
                || host
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback()))
    })
}

/// Host and port of the proxy by which [`client`] reaches a base URL, if the environment names
/// one for it.
#[must_use]
pub fn proxy_of(base_url: &str) -> Option<(String, u16)> {
    if is_plain_loopback(base_url) {
        return None;
    }
    let proxy = Matcher::from_env().intercept(&base_url.parse().ok()?)?;
    let usual = match proxy.uri().scheme_str() {
        Some("https") => 443,
        Some(_) | None => 80,
    };
    let host = proxy.uri().host()?.trim_matches(['[', ']']).to_owned();
    Some((host, proxy.uri().port_u16().unwrap_or(usual)))
}

/// The TLS configuration of the websocket dial, made at the first call and
/// shared after that.
#[must_use]
pub fn lazy_tls(options: HttpOptions) -> crate::link::TlsSource {
    let made = OnceLock::new();
    crate::link::TlsSource::new(move || {
        if let Some(config) = made.get() {
            return Ok(Arc::clone(config));
        }
        install_crypto_provider();
        let roots = roots(options.ca_file.as_deref()).map_err(|error| error.to_string())?;
        Ok(Arc::clone(made.get_or_init(|| Arc::new(tls_config(roots)))))
    })
}

fn tls_config(roots: rustls::RootCertStore) -> rustls::ClientConfig {
    rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// The system's roots, and those of the CA file.
fn roots(ca_file: Option<&Path>) -> Result<rustls::RootCertStore, HttpError> {
    let mut roots = rustls::RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(native.certs);
    if let Some(path) = ca_file {
        let unusable = |detail: String| HttpError::CaFile {
            path: path.to_owned(),
            detail,
        };
        let certificates = CertificateDer::pem_file_iter(path)
            .map_err(|error| unusable(error.to_string()))?
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| unusable(error.to_string()))?;
        let (added, _) = roots.add_parsable_certificates(certificates);
        if added == 0 {
            return Err(unusable("it holds no certificate".into()));
        }
    }
    Ok(roots)
}
