//! The way through a proxy, for the websocket dial: the same environment variables, read by the
//! same code, as for HTTP.

use http::Uri;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tower::Service as _;

use super::dial::{Stream, TlsSource, encrypt, open};
use crate::http::is_plain_loopback;

/// The proxy that leads to a websocket URL, if one does. It is chosen as for the HTTP URL of
/// the same host.
pub(super) fn of(uri: &Uri, proxies: &Matcher) -> Option<Intercept> {
    let scheme = match uri.scheme_str() {
        Some("wss") => "https",
        Some("ws") => "http",
        _ => return None,
    };
    let http = format!("{scheme}://{}/", uri.authority()?);
    if is_plain_loopback(&http) {
        return None;
    }
    proxies.intercept(&http.parse().ok()?)
}

/// A stream to `host` through a proxy.
pub(super) async fn tunnel(
    proxy: &Intercept,
    host: &str,
    port: u16,
    tls: &TlsSource,
) -> Result<Box<dyn Stream>, String> {
    let address = proxy.uri().clone();
    let name = address.host().unwrap_or_default().to_owned();
    let connector = tower::service_fn(|address: Uri| {
        let tls = tls.clone();
        async move { reach(&address, &tls).await.map(TokioIo::new) }
    });
    let mut tunnel = Tunnel::new(address, connector);
    if let Some(auth) = proxy.basic_auth() {
        tunnel = tunnel.with_auth(auth.clone());
    }
    let bracketed = match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    };
    let target: Uri = format!("https://{bracketed}/")
        .parse()
        .map_err(|_| format!("`{host}` is not a host"))?;
    let opened = tunnel.call(target).await;
    opened.map(TokioIo::into_inner).map_err(|error| {
        format!(
            "the proxy {name} does not lead to {host}:{port}: {}",
            why(&error)
        )
    })
}

/// A stream to the proxy itself.
async fn reach(address: &Uri, tls: &TlsSource) -> Result<Box<dyn Stream>, String> {
    let host = address.host().unwrap_or_default().trim_matches(['[', ']']);
    match address.scheme_str() {
        Some("http") => open(host, address.port_u16().unwrap_or(80)).await,
        Some("https") => {
            let stream = open(host, address.port_u16().unwrap_or(443)).await?;
            encrypt(stream, host.to_owned(), tls).await
        }
        Some(scheme) => Err(format!(
            "{scheme} proxies are not supported, http and https are"
        )),
        None => Err("its address has no scheme".into()),
    }
}

/// An error with what is behind it.
fn why(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_chosen_as_for_http() {
        let proxies = Matcher::builder()
            .https("http://secure:1")
            .http("http://plain:2")
            .no("corp.example,10.0.0.0/8")
            .build();
        for (url, proxy) in [
            ("wss://msg-frontier.feishu.cn/ws/v2?a=b", Some("secure")),
            ("wss://msg-frontier.feishu.cn:443/", Some("secure")),
            ("ws://gateway.example/", Some("plain")),
            ("wss://gateway.corp.example/", None),
            ("wss://10.1.2.3/", None),
            ("ws://127.0.0.1:9/", None),
            ("ws://localhost:9/", None),
            ("ws://[::1]:9/", None),
        ] {
            let chosen = of(&url.parse().unwrap(), &proxies);
            let host = chosen.and_then(|proxy| proxy.uri().host().map(str::to_owned));
            assert_eq!(host.as_deref(), proxy, "{url}");
        }
    }
}
