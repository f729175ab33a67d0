//! What an operator may set.

use core::time::Duration;

use secrecy::SecretString;
use url::Host;

/// How pages are fetched, and from where.
///
/// Its `Debug` form shows no proxy: its address may hold a password.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WebFetchSettings {
    /// Ports that may be connected to. Default 80, 443, 8080, 8443: behind others, databases
    /// and mail servers can be made to believe that they are spoken to.
    pub ports: Vec<u16>,
    /// Hosts that may have private addresses; none by default. They are looked up once a request
    /// and connected to at what was found, as all others.
    pub allow_private_hosts: Vec<HostRule>,
    /// A proxy that all requests go through, as `http://host:port`; none by default, whatever the
    /// environment says. A proxy looks names up by itself, so that what it resolves can't be
    /// checked here: it has to refuse private addresses on its own.
    pub proxy: Option<SecretString>,
    /// How long one call may take with all its redirects. Default 60 s.
    pub timeout: Duration,
    /// How long one connection may take to open. Default 10 s.
    pub connect_timeout: Duration,
    /// How much is read of a page or text, decompressed; what is beyond is left out. Default 4 MiB.
    pub page_bytes_max: usize,
    /// The largest file that is saved, decompressed. Default 20 MiB.
    pub file_bytes_max: usize,
    /// How much text the model gets; the whole is saved beside it. Default 24 KiB, so that the
    /// closing tag survives the loop's own limit.
    pub text_bytes_max: usize,
}

impl Default for WebFetchSettings {
    fn default() -> Self {
        Self {
            ports: vec![80, 443, 8080, 8443],
            allow_private_hosts: Vec::new(),
            proxy: None,
            timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(10),
            page_bytes_max: 4 << 20,
            file_bytes_max: 20 << 20,
            text_bytes_max: 24 << 10,
        }
    }
}

/// A host, or all hosts below a name; and a port of theirs beside the usual ones, if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRule {
    /// As the `url` crate writes hosts: lower case, IPv6 in brackets.
    host: String,
    is_suffix: bool,
    port: Option<u16>,
}

impl HostRule {
    /// `wiki.example.com` or an address is that host; `*.example.com`, or `.example.com`, all
    /// names below it. `wiki.example.com:3000` may be fetched from that port, too; an IPv6 address
    /// with a port stands in brackets.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, InvalidHostRule> {
        let invalid = || InvalidHostRule(text.to_owned());
        let (host, is_suffix) = match text.strip_prefix("*.").or_else(|| text.strip_prefix('.')) {
            Some(below) => (below, true),
            None => (text, false),
        };
        let (host, port) = with_port(host).ok_or_else(invalid)?;
        let bracketed = if host.parse::<core::net::Ipv6Addr>().is_ok() {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        let parsed = Host::parse(&bracketed).map_err(|_| invalid())?;
        let is_name = matches!(parsed, Host::Domain(_));
        if (is_suffix && !is_name) || host.contains('*') {
            return Err(invalid());
        }
        let host = parsed.to_string();
        Ok(Self {
            host: host.trim_end_matches('.').to_owned(),
            is_suffix,
            port,
        })
    }

    /// Whether the rule means this host, as the `url` crate writes it.
    pub(super) fn matches(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        if self.is_suffix {
            host.strip_suffix(self.host.as_str())
                .is_some_and(|below| below.len() > 1 && below.ends_with('.'))
        } else {
            host == self.host
        }
    }

    /// Whether the rule means this port of this host.
    pub(super) fn opens(&self, host: &str, port: u16) -> bool {
        self.port == Some(port) && self.matches(host)
    }
}

/// A host and the port behind it, if there is one; `None` when what is behind it is no port.
fn with_port(text: &str) -> Option<(&str, Option<u16>)> {
    // An address of several colons is one without a port, unless it is in brackets.
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            let port = port.parse().ok().filter(|port| *port > 0)?;
            Some((host, Some(port)))
        }
        Some(_) | None => Some((text, None)),
    }
}

/// Not a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a host, an address nor `*.` and a name")]
pub struct InvalidHostRule(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_means_its_host_and_no_other() {
        let cases = [
            ("wiki.example.com", "wiki.example.com", true),
            ("Wiki.Example.com.", "wiki.example.com", true),
            ("wiki.example.com", "wiki.example.com.", true),
            ("wiki.example.com", "a.wiki.example.com", false),
            ("wiki.example.com", "evilwiki.example.com", false),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("*.example.com", "evilexample.com", false),
            ("10.0.0.5", "10.0.0.5", true),
            ("0x0a000005", "10.0.0.5", true),
            ("10.0.0.5", "10.0.0.55", false),
            ("fd00::1", "[fd00::1]", true),
            ("[fd00::1]:3000", "[fd00::1]", true),
            ("localhost", "localhost", true),
            ("wiki.example.com:3000", "wiki.example.com", true),
            (".example.com", "a.example.com", true),
            (".example.com", "example.com", false),
        ];
        for (rule, host, expected) in cases {
            let rule = HostRule::parse(rule).unwrap();
            assert_eq!(rule.matches(host), expected, "{rule:?} {host}");
        }
    }

    #[test]
    fn what_is_no_host_is_no_rule() {
        for text in [
            "",
            "*",
            "*.",
            "a b",
            "a:",
            "a:0",
            "a:http",
            "a:65536",
            "a:80:81",
            "u@a",
            "a/b",
            "a.*.b",
            "*.10.0.0.5",
            "http://a",
        ] {
            assert!(HostRule::parse(text).is_err(), "{text}");
        }
    }
}
