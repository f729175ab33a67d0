//! One request with its redirects, each judged like the first.

use core::time::Duration;
use std::sync::Arc;

use reqwest::header::{ACCEPT, CONTENT_ENCODING, HeaderMap, LOCATION};
use reqwest::{Client, ClientBuilder, Response, StatusCode};
use secrecy::ExposeSecret as _;
use url::{Host, Url};

use super::address::Reachable;
use super::resolve::{Gate, Lookup};
use super::settings::WebFetchSettings;
use super::target::{self, Refused};

/// Redirects that are followed; browsers follow 20, honest sites need two or three.
const REDIRECTS_MAX: usize = 5;
/// What a page is best asked for as.
const ACCEPTED: &str =
    "text/html,application/xhtml+xml,text/markdown,application/json;q=0.9,*/*;q=0.8";

/// Fetches, by the rules of one set of settings.
#[derive(Debug)]
pub(super) struct Fetcher {
    http: Client,
    settings: WebFetchSettings,
    gate: Gate,
}

impl Fetcher {
    pub(super) fn new(
        http: ClientBuilder,
        settings: WebFetchSettings,
        lookup: Arc<dyn Lookup>,
        reachable: Arc<dyn Reachable>,
    ) -> Result<Self, reqwest::Error> {
        let gate = Gate {
            lookup,
            reachable,
            allow_private_hosts: settings.allow_private_hosts.clone().into(),
        };
        // What is behind a redirect, and behind the environment's proxy, is judged here.
        let http = http
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(settings.connect_timeout)
            // Every connection is opened to an address that was checked for this very request.
            .pool_max_idle_per_host(0);
        let http = match &settings.proxy {
            // The client looks up the proxy's name only, which is the operator's.
            Some(proxy) => http.proxy(reqwest::Proxy::all(proxy.expose_secret())?),
            None => http.dns_resolver(gate.clone()),
        };
        Ok(Self {
            http: http.build()?,
            settings,
            gate,
        })
    }

    pub(super) fn settings(&self) -> &WebFetchSettings {
        &self.settings
    }

    /// The response behind all redirects, its body still to be read.
    pub(super) async fn fetch(&self, text: &str) -> Result<Fetched, FetchError> {
        let mut url = target::parse(text)?;
        for _ in 0..=REDIRECTS_MAX {
            self.judge(&url).await?;
            let asked = self.http.get(url.clone()).header(ACCEPT, ACCEPTED).send();
            let response = asked.await.map_err(unreachable)?;
            let Some(next) = redirect(&response) else {
                return Fetched::new(url, response);
            };
            url = url
                .join(&next)
                .map_err(|error| Refused::Invalid(error.to_string()))?;
        }
        Err(FetchError::TooManyRedirects)
    }

    async fn judge(&self, url: &Url) -> Result<(), FetchError> {
        target::check(url, &self.settings, &*self.gate.reachable)?;
        if self.settings.proxy.is_none() {
            // The client asks the gate when it connects.
            return Ok(());
        }
        // The proxy may know names that are not known here, and others by other addresses; but
        // what is private by what is known here is not asked for.
        if let Some(Host::Domain(name)) = url.host()
            && let Err(refused @ Refused::Host(_)) = self.gate.resolve(name).await
        {
            return Err(refused.into());
        }
        Ok(())
    }
}

/// A response whose body is to be read.
#[derive(Debug)]
pub(super) struct Fetched {
    /// Where it came from in the end.
    pub(super) url: Url,
    response: Response,
}

impl Fetched {
    fn new(url: Url, response: Response) -> Result<Self, FetchError> {
        // What the client undoes it takes out of the headers.
        if let Some(encoding) = response.headers().get(CONTENT_ENCODING)
            && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
        {
            return Err(FetchError::Encoding);
        }
        Ok(Self { url, response })
    }

    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The first `bytes_max` bytes, decompressed, and whether there are more.
    pub(super) async fn read(mut self, bytes_max: usize) -> Result<(Vec<u8>, bool), FetchError> {
        let mut body = Vec::new();
        while let Some(read) = self.response.chunk().await.map_err(unreachable)? {
            let room = bytes_max - body.len();
            if read.len() > room {
                body.extend(read.iter().take(room));
                return Ok((body, true));
            }
            body.extend_from_slice(&read);
        }
        Ok((body, false))
    }
}

/// Why there is no page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FetchError {
    #[error("the server compressed its answer in a way that was not asked for")]
    Encoding,
    #[error("{0}")]
    Refused(#[from] Refused),
    #[error("it took longer than {0:?}")]
    TimedOut(Duration),
    #[error("it was redirected more than {REDIRECTS_MAX} times")]
    TooManyRedirects,
    #[error("it could not be fetched: {0}")]
    Transport(String),
}

/// Where a response sends on to.
fn redirect(response: &Response) -> Option<String> {
    let status = response.status();
    let sends_on = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(LOCATION).filter(|_| sends_on)?;
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned())
}

/// A failed request. The gate's refusal is somewhere below it, if it was one.
fn unreachable(error: reqwest::Error) -> FetchError {
    let error = error.without_url();
    let mut what = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(below) = cause {
        if let Some(refused) = below.downcast_ref::<Refused>() {
            return FetchError::Refused(refused.clone());
        }
        what = format!("{what}: {below}");
        cause = below.source();
    }
    FetchError::Transport(what)
}
