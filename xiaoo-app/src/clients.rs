//! The daemon's outgoing connections.

use std::path::PathBuf;

use anyhow::Context as _;
use runtime_tokio::http::{self, HttpOptions};

/// The HTTP clients of a daemon. Roots are loaded once, and only if anything is beyond this
/// machine.
pub struct Clients {
    options: HttpOptions,
    shared: Option<reqwest::Client>,
}

impl Clients {
    /// Clients that trust what is in this file, too.
    #[must_use]
    pub fn new(ca_file: Option<PathBuf>) -> Self {
        Self {
            options: HttpOptions {
                ca_file,
                no_proxy: false,
            },
            shared: None,
        }
    }

    /// A client's beginning, for tools that have more to say about it.
    ///
    /// # Errors
    /// When the certificate authorities can't be read.
    pub fn builder(&self) -> anyhow::Result<reqwest::ClientBuilder> {
        http::client_builder(&self.options).context("no HTTP client")
    }

    /// The client for an address.
    ///
    /// # Errors
    /// When the certificate authorities can't be read.
    pub fn of(&mut self, base: &str) -> anyhow::Result<reqwest::Client> {
        if http::is_plain_loopback(base) {
            return http::loopback_client().context("no HTTP client");
        }
        if let Some(client) = &self.shared {
            return Ok(client.clone());
        }
        let client = http::client(&self.options).context("no HTTP client")?;
        Ok(self.shared.insert(client).clone())
    }
}
