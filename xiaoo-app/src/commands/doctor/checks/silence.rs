//! Where a call that has no end is held up: at the name, at the proxy, or at the other side.

use std::time::Duration;

use reqwest::Url;
use runtime_tokio::http;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::super::findings as found;
use super::super::findings::Finding;

/// The call before has waited for seconds: what answers at all does so at once.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// The finding as it is, unless it is that nothing comes from this address: then what is silent.
pub(super) async fn told_apart(
    finding: &'static Finding,
    silent: &'static Finding,
    url: &str,
) -> &'static Finding {
    match finding.id == silent.id {
        true => of(url, silent).await,
        false => finding,
    }
}

/// The finding for a call to this address of which nothing came; `otherwise` where name and
/// proxy answer.
pub(super) async fn of(url: &str, otherwise: &'static Finding) -> &'static Finding {
    // A websocket goes the way of the HTTP URL of the same host.
    let url = match url.strip_prefix("ws") {
        Some(behind) => format!("http{behind}"),
        None => url.to_owned(),
    };
    let proxy = http::proxy_of(&url);
    let Some((host, port)) = proxy.clone().or_else(|| target(&url)) else {
        return otherwise;
    };
    let asked = timeout(ANSWER_WITHIN, lookup_host((host, port)));
    let Ok(Ok(addresses)) = asked.await else {
        return &found::DNS_FAILS;
    };
    let Some(address) = proxy.and_then(|_| addresses.into_iter().next()) else {
        return otherwise;
    };
    match timeout(ANSWER_WITHIN, TcpStream::connect(address)).await {
        Ok(Ok(_)) => otherwise,
        Ok(Err(_)) | Err(_) => &found::PROXY_UNREACHABLE,
    }
}

fn target(url: &str) -> Option<(String, u16)> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    Some((host, url.port_or_known_default()?))
}
