//! What may be asked for, judged by the address alone.

use core::net::IpAddr;

use url::{Host, Url};

use super::address::{Reachable, is_unicast};
use super::settings::{HostRule, WebFetchSettings};

/// Longest address that is taken: servers refuse longer ones, and it is repeated in the output.
const URL_BYTES_MAX: usize = 2048;
/// Endings of names that the public DNS does not have.
const INTERNAL_ENDINGS: [&str; 11] = [
    "localhost",
    "localdomain",
    "local",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "home.arpa",
    "onion",
];

/// Why an address is not fetched. Each says what the model could do instead, if anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("addresses with a user name or password are not fetched")]
    Credentials,
    #[error("{0} does not belong to the public internet, and is not fetched")]
    Host(String),
    #[error("the address can't be read: {0}")]
    Invalid(String),
    #[error("port {0} is not one that is fetched from")]
    Port(u16),
    #[error("{0}: addresses are not fetched; only http and https ones are")]
    Scheme(String),
    #[error("the address is longer than {URL_BYTES_MAX} bytes")]
    TooLong,
    #[error("the name {0} is not known")]
    Unknown(String),
}

/// Reads an address. Numbers for hosts become addresses here, in whatever base they are.
pub(super) fn parse(text: &str) -> Result<Url, Refused> {
    if text.len() > URL_BYTES_MAX {
        return Err(Refused::TooLong);
    }
    Url::parse(text.trim()).map_err(|error| Refused::Invalid(error.to_string()))
}

/// Everything that can be judged without looking a name up; the rest is the resolver's.
pub(super) fn check(
    url: &Url,
    settings: &WebFetchSettings,
    reachable: &dyn Reachable,
) -> Result<(), Refused> {
    if url.as_str().len() > URL_BYTES_MAX {
        return Err(Refused::TooLong);
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Refused::Scheme(url.scheme().to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refused::Credentials);
    }
    let Some(host) = url.host() else {
        return Err(Refused::Invalid("it has no host".into()));
    };
    let name = host.to_string();
    let rules = &settings.allow_private_hosts;
    let port = url.port_or_known_default().unwrap_or_default();
    if !settings.ports.contains(&port) && !rules.iter().any(|rule| rule.opens(&name, port)) {
        return Err(Refused::Port(port));
    }
    let may_be_private = is_allowed(rules, &name);
    let may_be_asked = match host {
        Host::Domain(name) => may_be_private || is_public_name(name),
        Host::Ipv4(address) => may_connect(address.into(), may_be_private, reachable),
        Host::Ipv6(address) => may_connect(address.into(), may_be_private, reachable),
    };
    if may_be_asked {
        Ok(())
    } else {
        Err(Refused::Host(name))
    }
}

pub(super) fn is_allowed(rules: &[HostRule], host: &str) -> bool {
    rules.iter().any(|rule| rule.matches(host))
}

/// Whether an address may be connected to; `may_be_private` is the operator's word for its host.
pub(super) fn may_connect(
    address: IpAddr,
    may_be_private: bool,
    reachable: &dyn Reachable,
) -> bool {
    is_unicast(address) && (may_be_private || reachable.is_public(address))
}

/// Whether a name can be one of the public DNS: those without a dot are completed by the search
/// list of the machine.
fn is_public_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name.contains('.')
        && !INTERNAL_ENDINGS.iter().any(|ending| {
            name.strip_suffix(ending)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
}

#[cfg(test)]
mod tests {
    use super::super::address::PublicOnly;
    use super::*;

    #[test]
    fn public_addresses_are_fetched() {
        for text in [
            "http://example.com",
            " https://example.com/a?b=c#d ",
            "https://example.com:8443/",
            "http://例子.中国/",
            "http://93.184.216.34/",
            "http://[2606:4700::1]/",
            "https://internal.example.com/",
            "https://notlocal/../x".replace("notlocal", "a.b").as_str(),
        ] {
            assert_eq!(judge(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn this_machine_is_refused_however_it_is_written() {
        for text in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://017700000001/",
            "http://127.0.0.1./",
            "http://１２７.０.０.１/",
            "http://127。0。0。1/",
            "http://%31%32%37.0.0.1/",
            "http://0/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[0:0:0:0:0:ffff:a9fe:a9fe]/",
            "http://[64:ff9b::7f00:1]/",
            "http://169.254.169.254/latest/meta-data/",
            "http://localhost/",
            "http://LOCALHOST./",
            "http://a.localhost/",
            "http://metadata.google.internal/",
            "http://printer.local/",
            "http://router.lan/",
            "http://intranet/",
            "http://metadata/",
        ] {
            assert!(matches!(judge(text), Err(Refused::Host(_))), "{text}");
        }
    }

    #[test]
    fn what_else_is_refused_says_why() {
        let cases = [
            ("ftp://example.com/", Refused::Scheme("ftp".into())),
            ("file:///etc/passwd", Refused::Scheme("file".into())),
            ("data:text/html,x", Refused::Scheme("data".into())),
            ("gopher://example.com:80/", Refused::Scheme("gopher".into())),
            ("http://me@example.com/", Refused::Credentials),
            ("http://:x@example.com/", Refused::Credentials),
            ("http://example.com:22/", Refused::Port(22)),
            ("https://example.com:0/", Refused::Port(0)),
        ];
        for (text, refused) in cases {
            assert_eq!(judge(text), Err(refused), "{text}");
        }
        for text in ["", "example.com", "http://", "http://[::1", "http://a b/"] {
            assert!(matches!(judge(text), Err(Refused::Invalid(_))), "{text}");
        }
    }

    #[test]
    fn an_address_may_have_its_limit_and_no_byte_more() {
        let long = format!("http://example.com/{}", "a".repeat(URL_BYTES_MAX - 19));
        assert_eq!(judge(&long), Ok(()));
        assert_eq!(judge(&format!("{long}a")), Err(Refused::TooLong));
        // Escaping makes it longer than it was written.
        let grows = format!("http://example.com/{}", "é".repeat(URL_BYTES_MAX / 3));
        assert_eq!(judge(&grows), Err(Refused::TooLong));
    }

    #[test]
    fn the_operators_word_opens_one_host_on_the_usual_ports_and_the_one_it_names() {
        let settings = WebFetchSettings {
            allow_private_hosts: vec![
                HostRule::parse("wiki.internal").unwrap(),
                HostRule::parse("10.0.0.5").unwrap(),
                HostRule::parse("0.0.0.0").unwrap(),
                HostRule::parse("docs.internal:3000").unwrap(),
            ],
            ..WebFetchSettings::default()
        };
        let judge = |text: &str| check(&parse(text).unwrap(), &settings, &PublicOnly);
        assert_eq!(judge("http://wiki.internal/"), Ok(()));
        assert_eq!(judge("http://10.0.0.5/"), Ok(()));
        assert_eq!(judge("http://docs.internal/"), Ok(()));
        assert_eq!(judge("http://docs.internal:3000/"), Ok(()));
        for (text, port) in [
            ("http://wiki.internal:22/", 22),
            ("http://wiki.internal:3000/", 3000),
            ("http://docs.internal:3001/", 3001),
            ("http://example.com:3000/", 3000),
        ] {
            assert_eq!(judge(text), Err(Refused::Port(port)), "{text}");
        }
        for text in [
            "http://x.wiki.internal/",
            "http://10.0.0.6/",
            "http://0.0.0.0/",
        ] {
            assert!(judge(text).is_err(), "{text}");
        }
    }

    fn judge(text: &str) -> Result<(), Refused> {
        check(&parse(text)?, &WebFetchSettings::default(), &PublicOnly)
    }
}
