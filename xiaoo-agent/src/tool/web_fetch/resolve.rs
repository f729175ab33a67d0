//! Looks names up and lets through only what may be connected to.
//!
//! The HTTP client asks this resolver and no other, and connects to what it gives: what was
//! checked and what is connected to can't differ, however often a name changes its addresses.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use std::io;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::Reachable;
use super::settings::HostRule;
use super::target::{Refused, is_allowed, may_connect};

/// Addresses of one name that are looked at; a name with more is tried at the first.
const ADDRESSES_MAX: usize = 64;

/// Looks a name up.
pub(super) trait Lookup: Send + Sync + 'static {
    /// All addresses of the name.
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug)]
pub(super) struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// The resolver of the HTTP client.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) lookup: Arc<dyn Lookup>,
    pub(super) reachable: Arc<dyn Reachable>,
    pub(super) allow_private_hosts: Arc<[HostRule]>,
}

impl Gate {
    /// The addresses of a name; refused as a whole when one of them may not be connected to:
    /// whoever mixes public and private ones wants something.
    pub(super) async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, Refused> {
        let unknown = || Refused::Unknown(name.to_owned());
        let found = self.lookup.lookup(name.to_owned()).await;
        let mut addresses = found.map_err(|_| unknown())?;
        addresses.truncate(ADDRESSES_MAX);
        if addresses.is_empty() {
            return Err(unknown());
        }
        let may_be_private = is_allowed(&self.allow_private_hosts, name);
        let may_connect =
            |address: &IpAddr| may_connect(*address, may_be_private, &*self.reachable);
        if addresses.iter().all(may_connect) {
            Ok(addresses)
        } else {
            Err(Refused::Host(name.to_owned()))
        }
    }
}

impl Resolve for Gate {
    fn resolve(&self, name: Name) -> Resolving {
        let gate = self.clone();
        Box::pin(async move {
            let addresses = Self::resolve(&gate, name.as_str()).await?;
            // Port 0 stands for the one of the URL.
            let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("allow_private_hosts", &self.allow_private_hosts)
            .finish_non_exhaustive()
    }
}
