//! Every number of the long connection, with its unit, its default and what
//! goes wrong at either extreme.

use core::time::Duration;

/// Bounds on what a peer can make the core hold. Each is met before anything
/// is sized by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one websocket message. Default 8 MiB: the real maximum is
    /// unknown, and the official Python client refuses more than 1 MiB.
    pub frame_bytes_max: usize,
    /// Bytes of one event after its parts are joined. Default 16 MiB.
    pub event_bytes_max: usize,
    /// Parts of one event. Default 1,024; official clients have no bound and
    /// allocate whatever `sum` says.
    pub parts_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes_max: 8 << 20,
            event_bytes_max: 16 << 20,
            parts_max: 1024,
        }
    }
}

/// How the long-connection machine behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bounds on input.
    pub limits: Limits,
    /// How long a dial may take from the request for an endpoint to the open
    /// socket. Default 20 s. Shorter gives up on slow networks, longer
    /// prolongs outages; official Go and Python clients wait for ever.
    pub connect_timeout: Duration,
    /// How long after a ping the link may stay silent before it counts as
    /// dead. Default 30 s. No official client has such a limit by default,
    /// which is why their bots go deaf on half-open sockets.
    pub pong_timeout: Duration,
    /// How long a delivery may stay unacknowledged before it is refused, so
    /// that Feishu pushes it again. Default 2.5 s, inside the platform's 3 s.
    pub ack_timeout: Duration,
    /// How long an incomplete split event is kept after its first part.
    /// Default 10 s.
    pub reassembly_timeout: Duration,
    /// How long a link must stay open before an outage counts as over and the
    /// next one starts with short waits again. Default 60 s.
    pub stable_after: Duration,
    /// The wait after a refusal that means "too many connections". Default
    /// 60 s: another instance may leave.
    pub slow_retry: Duration,
    /// Which hosts the machine may be sent to.
    pub hosts: HostPolicy,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            connect_timeout: Duration::from_secs(20),
            pong_timeout: Duration::from_secs(30),
            ack_timeout: Duration::from_millis(2500),
            reassembly_timeout: Duration::from_secs(10),
            stable_after: Duration::from_secs(60),
            slow_retry: Duration::from_secs(60),
            hosts: HostPolicy::default(),
        }
    }
}

/// Which connection URLs are dialled. The URL comes from the network and
/// carries the app's access key, so it must not lead just anywhere.
#[derive(Clone, Debug, Default)]
pub struct HostPolicy {
    /// Allow `ws://` and `wss://` to loopback addresses: for a local platform.
    pub loopback: bool,
    /// One more host (`gateway.example.com`) or suffix with a leading dot
    /// (`.example.com`) beside `.feishu.cn` and `.larksuite.com`, by `wss`.
    pub also: Option<heapless::String<HOST_BYTES_MAX>>,
}

/// The longest host name that DNS allows.
pub const HOST_BYTES_MAX: usize = 253;

impl HostPolicy {
    const VENDOR: [&'static str; 2] = [".feishu.cn", ".larksuite.com"];

    /// Whether `url` may be dialled: the scheme is `wss` (or `ws` to loopback),
    /// there is no user information, and the host is allowed.
    #[must_use]
    pub fn allows(&self, url: &str) -> bool {
        let (encrypted, rest) = if let Some(rest) = url.strip_prefix("wss://") {
            (true, rest)
        } else if let Some(rest) = url.strip_prefix("ws://") {
            (false, rest)
        } else {
            return false;
        };
        let ends = |byte| matches!(byte, b'/' | b'?' | b'#' | b'\\');
        let end = rest.bytes().position(ends).unwrap_or(rest.len());
        let authority = rest.get(..end).unwrap_or_default();
        if authority.bytes().any(|byte| byte == b'@') {
            return false;
        }
        let host = host_of(authority);
        if self.loopback && is_loopback(host) {
            return true;
        }
        encrypted
            && Self::VENDOR
                .into_iter()
                .chain(self.also.as_deref())
                .any(|rule| matches_rule(host, rule))
    }
}

fn host_of(authority: &str) -> &str {
    fn before(text: &str, end: u8) -> Option<&str> {
        let at = text.bytes().position(|byte| byte == end)?;
        text.get(..at)
    }
    let v6 = authority.strip_prefix('[');
    v6.and_then(|rest| before(rest, b']'))
        .or_else(|| before(authority, b':'))
        .unwrap_or(authority)
}

/// By the usual spellings alone: another one of the same address is refused.
fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host == "::1" || is_loopback_v4(host)
}

fn is_loopback_v4(host: &str) -> bool {
    let Some(rest) = host.strip_prefix("127.") else {
        return false;
    };
    let mut numbers = 0;
    rest.as_bytes().split(|byte| *byte == b'.').all(|number| {
        numbers += 1;
        matches!(number.len(), 1..=3)
            && number.iter().all(u8::is_ascii_digit)
            // Of equal length, digits sort as their numbers do.
            && (number.len() < 3 || number <= b"255")
    }) && numbers == 3
}

/// A leading dot makes the rule a suffix at a dot boundary; otherwise the host
/// must be equal.
fn matches_rule(host: &str, rule: &str) -> bool {
    if !rule.starts_with('.') {
        return host.eq_ignore_ascii_case(rule);
    }
    let (host, rule) = (host.as_bytes(), rule.as_bytes());
    host.len() > rule.len()
        && host
            .split_at_checked(host.len() - rule.len())
            .is_some_and(|(_, tail)| tail.eq_ignore_ascii_case(rule))
}

#[cfg(test)]
mod tests {
    use super::HostPolicy;

    #[test]
    fn only_the_vendors_hosts_and_named_ones_are_dialled() {
        let vendor = HostPolicy::default();
        let local = HostPolicy {
            loopback: true,
            also: heapless::String::try_from(".corp.example").ok(),
        };
        for (url, by_default, opened) in [
            ("wss://msg-frontier.feishu.cn/ws/v2?a=1", true, true),
            ("wss://MSG-frontier.Larksuite.com:443/ws/v2", true, true),
            ("ws://msg-frontier.feishu.cn/ws/v2", false, false),
            ("wss://feishu.cn.evil.example/ws", false, false),
            ("wss://evilfeishu.cn/ws", false, false),
            ("wss://evil.example/.feishu.cn", false, false),
            ("wss://evil.example#.feishu.cn", false, false),
            ("wss://evil.example\\.feishu.cn", false, false),
            ("wss://x.feishu.cn@evil.example/ws", false, false),
            ("https://x.feishu.cn/ws", false, false),
            ("ws://127.0.0.1:9000/ws/v2", false, true),
            ("ws://[::1]:9000/ws/v2", false, true),
            ("ws://localhost/ws/v2", false, true),
            ("ws://127.1.22.255/ws/v2", false, true),
            ("ws://127.0.0.256/ws/v2", false, false),
            ("ws://127.0.1/ws/v2", false, false),
            ("ws://127.0.0.0.1/ws/v2", false, false),
            ("ws://127.0.0./ws/v2", false, false),
            ("ws://127.0.0.+1/ws/v2", false, false),
            ("ws://127.0.0.1.evil.example/ws/v2", false, false),
            ("ws://10.0.0.1/ws/v2", false, false),
            ("wss://gw.corp.example/ws", false, true),
            ("ws://gw.corp.example/ws", false, false),
            ("", false, false),
        ] {
            assert_eq!(vendor.allows(url), by_default, "{url}");
            assert_eq!(local.allows(url), opened, "{url} with more hosts");
        }
    }
}
