//! Who may see the daemon's own pages: whoever is on this machine, and whoever has the token.
//!
//! A connection from a loopback address is not enough to be on this machine: nginx and tunnels
//! connect from there for the whole world, and a page from elsewhere can point a name of its own
//! at 127.0.0.1. So a request that was forwarded, or that names another host, is from elsewhere;
//! and one in HTTP/1.0, which nginx forwards in when nothing else is set, and no browser speaks.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

/// Headers that only something in between adds.
const FORWARDED: [HeaderName; 5] = [
    header::FORWARDED,
    header::VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-real-ip"),
];

/// What is asked of callers.
#[derive(Clone, Debug, Default)]
pub struct Access {
    token: Option<Arc<SecretString>>,
}

/// Why somebody may not see a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// There is a token, and this caller has not shown it.
    NoToken,
    /// There is none, and this caller is from elsewhere.
    NotHere,
}

impl Access {
    /// With this token for callers from elsewhere; without one they see nothing.
    #[must_use]
    pub fn new(token: Option<SecretString>) -> Self {
        Self {
            token: token.map(Arc::new),
        }
    }

    /// Whether there is a token.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether the caller may see what is for operators.
    ///
    /// # Errors
    /// Why not.
    pub fn check(
        &self,
        peer: SocketAddr,
        version: Version,
        headers: &HeaderMap,
    ) -> Result<(), Denied> {
        let is_here = version > Version::HTTP_10 && is_here(peer.ip(), headers);
        if is_here || self.is_shown(headers) {
            return Ok(());
        }
        Err(match self.token {
            Some(_) => Denied::NoToken,
            None => Denied::NotHere,
        })
    }

    fn is_shown(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else {
            return false;
        };
        let shown = headers.get(header::AUTHORIZATION);
        let shown = shown.and_then(|value| value.to_str().ok()).and_then(bearer);
        let expected = token.expose_secret().as_bytes();
        shown.is_some_and(|shown| bool::from(shown.as_bytes().ct_eq(expected)))
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::NoToken => (
                StatusCode::UNAUTHORIZED,
                "present the token of [http] bearer_token_env: Authorization: Bearer …",
            ),
            Self::NotHere => (
                StatusCode::FORBIDDEN,
                "this is for callers on the daemon's own machine; for others name a token in \
                 [http] bearer_token_env",
            ),
        };
        let body = serde_json::json!({ "code": status.as_u16(), "message": message });
        let mut response = (status, Json(body)).into_response();
        if self == Self::NoToken {
            let scheme = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

/// Lets nobody else to a page.
pub async fn guard(
    State(access): State<Access>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    match access.check(peer, request.version(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(denied) => denied.into_response(),
    }
}

/// The token of an `Authorization` header; the scheme is written in any case.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

fn is_here(peer: IpAddr, headers: &HeaderMap) -> bool {
    let is_forwarded = FORWARDED.iter().any(|name| headers.contains_key(name));
    peer.to_canonical().is_loopback() && !is_forwarded && names_this_machine(headers)
}

/// Whether the request is for `localhost` or a loopback address.
fn names_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).map(HeaderValue::to_str);
    let Some(Ok(host)) = host else {
        return false;
    };
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().to_canonical().is_loopback();
    }
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        match port.bytes().all(|byte| byte.is_ascii_digit()) {
            true => name,
            false => host,
        }
    });
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let address = name.parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn whoever_is_here_gets_in_and_from_elsewhere_only_with_the_token() {
        let (here, v6, far) = ("127.0.0.1:5", "[::1]:5", "192.0.2.1:5");
        let open = Access::default();
        let closed = Access::new(Some("s3cret".into()));
        let local = ("host", "127.0.0.1:18080");
        for (peer, pairs, without, with) in [
            (here, &[local][..], true, true),
            (v6, &[("host", "[::1]:18080")], true, true),
            ("[::ffff:127.0.0.1]:5", &[local], true, true),
            (here, &[("host", "localhost:18080")], true, true),
            (here, &[("host", "LocalHost")], true, true),
            // A page from elsewhere that has pointed its name at this machine.
            (here, &[("host", "evil.example:18080")], false, false),
            (here, &[("host", "127.0.0.1.evil.example")], false, false),
            (here, &[("host", "localhost.evil.example:80")], false, false),
            (here, &[], false, false),
            // nginx, or a tunnel.
            (
                here,
                &[local, ("x-forwarded-for", "192.0.2.1")],
                false,
                false,
            ),
            (here, &[local, ("forwarded", "for=192.0.2.1")], false, false),
            (here, &[local, ("x-real-ip", "192.0.2.1")], false, false),
            (far, &[local], false, false),
            (far, &[("authorization", "Bearer s3cret")], false, true),
            (far, &[("authorization", "bearer  s3cret ")], false, true),
            (far, &[("authorization", "Bearer s3cre")], false, false),
            (far, &[("authorization", "Bearer ")], false, false),
            (far, &[("authorization", "Basic s3cret")], false, false),
            (far, &[("authorization", "s3cret")], false, false),
        ] {
            let headers = headers(pairs);
            let peer = peer.parse().unwrap();
            for (access, expected) in [(&open, without), (&closed, with)] {
                let checked = access.check(peer, Version::HTTP_11, &headers);
                assert_eq!(checked.is_ok(), expected, "{pairs:?}");
            }
        }
    }

    #[test]
    fn what_nginx_forwards_without_a_word_is_from_elsewhere() {
        let headers = headers(&[("host", "127.0.0.1:18080")]);
        let peer = "127.0.0.1:5".parse().unwrap();
        let denied = Access::default().check(peer, Version::HTTP_10, &headers);
        assert_eq!(denied, Err(Denied::NotHere));
    }
}
