//! What a simulated platform starts with, and the bounds it keeps.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use proto_core::StatedConfig;
use serde::{Deserialize, Serialize};

/// How a [`Sim`](crate::Sim) is set up. `Default` is a working platform on a
/// free loopback port.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// Where to listen. Default `127.0.0.1:0`: any free port.
    pub bind: SocketAddr,
    /// The app's id. The official Node client refuses ids that are not `cli_`
    /// and 16 hex digits.
    pub app_id: String,
    /// The app's secret. It guards a world of toys, so it may be shown.
    pub app_secret: String,
    /// The token that webhook bodies carry.
    pub verification_token: String,
    /// Set: webhook bodies are encrypted and signed.
    pub encrypt_key: Option<String>,
    /// The bot under test.
    pub bot_open_id: String,
    /// Its name in chats.
    pub bot_name: String,
    /// Its English name.
    pub bot_en_name: String,
    /// Multiplies the platform's long waits: redeliveries (15 s, 5 min, 1 h,
    /// 6 h), the uuid window, streaming (10 min), card life (14 days).
    /// 1.0 is real time, 0.01 a hundred times as fast.
    pub time_scale: f64,
    /// How long a uuid is known: the platform's hour, at this simulation's speed.
    /// Longer for a client whose own waits are not sped up.
    pub uuid_window: Duration,
    /// How long a push may stay without an ack. The platform's is 3 s.
    pub ack_within: Duration,
    /// Life of a tenant token; the same one is handed out while a quarter of
    /// it is left. The platform's is 2 h.
    pub token_lifetime: Duration,
    /// What the long connection tells clients about pings and reconnects.
    pub client_config: ClientConfig,
    /// Set: connection URLs begin with this (`wss://gateway.example`) and not with the
    /// simulator's own address. For tests with a proxy or TLS in between.
    pub link_base: Option<String>,
    /// Set: events go to this URL and not over the long connection.
    pub webhook_url: Option<String>,
    /// Whether the platform's rate limits are enforced. Load tests switch
    /// them off.
    pub limits_on: bool,
    /// Whether the app may read all messages of its groups
    /// (`im:message.group_msg`), not only those that mention it.
    pub group_all: bool,
    /// Event types that the app subscribed to; a pushed event of another
    /// type (`POST /sim/events`) goes out regardless.
    pub subscriptions: Vec<String>,
    /// The bot's state as `GET /bot/v3/info` tells it: 2 is enabled, 0 not installed,
    /// which an app is whose versions were never published.
    pub activate_status: i64,
    /// What the app was granted, as `GET /application/v6/scopes` lists it. With some of it
    /// the platform tells the app of its versions and subscriptions.
    pub granted_scopes: Vec<String>,
    /// Set: a version with these subscriptions waits to be published.
    pub draft_subscriptions: Option<Vec<String>>,
    /// Events above this many bytes are split. The platform's figure is not
    /// known; 32 KiB makes splits happen.
    pub part_bytes_max: usize,
    /// Seed of every random choice (ids, connections, shuffles); `None` takes
    /// one from the system.
    pub seed: Option<u64>,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            app_id: "cli_a1b2c3d4e5f60718".into(),
            app_secret: "simulated-app-secret".into(),
            verification_token: "simulated-verification-token".into(),
            encrypt_key: None,
            bot_open_id: "ou_b07000000000000000000000000000b0".into(),
            bot_name: "小欧".into(),
            bot_en_name: "xiaoO".into(),
            time_scale: 1.0,
            uuid_window: Duration::from_secs(3600),
            ack_within: Duration::from_secs(3),
            token_lifetime: Duration::from_secs(7200),
            client_config: ClientConfig::default(),
            link_base: None,
            webhook_url: None,
            limits_on: true,
            group_all: false,
            subscriptions: [
                "im.message.receive_v1",
                "im.message.recalled_v1",
                "card.action.trigger",
            ]
            .map(String::from)
            .to_vec(),
            activate_status: 2,
            granted_scopes: [
                "im:message.p2p_msg:readonly",
                "im:message.group_at_msg:readonly",
                "im:message:send_as_bot",
                "im:message.reactions:write_only",
                "im:message:readonly",
                "im:resource",
                "im:chat:readonly",
                "contact:user.basic_profile:readonly",
                "cardkit:card:write",
                "application:application.app_version:readonly",
                "admin:app.info:readonly",
            ]
            .map(String::from)
            .to_vec(),
            draft_subscriptions: None,
            part_bytes_max: 32 * 1024,
            seed: None,
        }
    }
}

impl SimConfig {
    /// A wait of the platform's, at this simulation's speed.
    pub(crate) fn scaled(&self, real: Duration) -> Duration {
        Duration::try_from_secs_f64(real.as_secs_f64() * self.time_scale).unwrap_or(real)
    }
}

/// `ClientConfig` of the endpoint answer and of pongs. Times are seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ClientConfig {
    /// Reconnect attempts per outage; negative: no limit.
    pub reconnect_count: i64,
    /// Seconds between attempts.
    pub reconnect_interval: i64,
    /// Upper bound of the random wait before the first attempt, seconds.
    pub reconnect_nonce: i64,
    /// Seconds between pings.
    pub ping_interval: i64,
}

impl ClientConfig {
    /// As it goes on the wire.
    pub(crate) const fn stated(&self) -> StatedConfig {
        StatedConfig {
            reconnect_count: Some(self.reconnect_count),
            reconnect_interval: Some(self.reconnect_interval),
            reconnect_nonce: Some(self.reconnect_nonce),
            ping_interval: Some(self.ping_interval),
        }
    }
}

impl Default for ClientConfig {
    /// Short enough that nobody at a chat page waits long for a reconnect.
    fn default() -> Self {
        Self {
            reconnect_count: -1,
            reconnect_interval: 2,
            reconnect_nonce: 1,
            ping_interval: 30,
        }
    }
}

/// Every bound of the simulator, in one place.
pub(crate) mod bound {
    use std::time::Duration;

    /// Messages kept per chat; older ones are forgotten, as a load test would
    /// otherwise grow without end.
    pub(crate) const MESSAGES_PER_CHAT_MAX: usize = 20_000;
    /// Chats, so that a loop of `POST /sim/chats` ends.
    pub(crate) const CHATS_MAX: usize = 20_000;
    /// People, for the same reason.
    pub(crate) const PEOPLE_MAX: usize = 50_000;
    /// Versions kept of one message: a long streamed answer makes hundreds.
    pub(crate) const VERSIONS_MAX: usize = 1_000;
    /// Reactions on one message.
    pub(crate) const REACTIONS_MAX: usize = 200;
    /// Card entities of `CardKit`.
    pub(crate) const CARDS_MAX: usize = 10_000;
    /// Bytes of all uploaded images and files together; the oldest go first.
    pub(crate) const RESOURCE_BYTES_MAX: usize = 256 * 1024 * 1024;
    /// Connections of one app, the platform's own limit.
    pub(crate) const CONNECTIONS_MAX: usize = 50;
    /// Closed connections remembered for inspection.
    pub(crate) const CLOSED_CONNECTIONS_MAX: usize = 1_000;
    /// TCP connections at once.
    pub(crate) const SOCKETS_MAX: usize = 4_096;
    /// Frames queued for one connection; a slower reader is cut off.
    pub(crate) const OUTGOING_MAX: usize = 8_192;
    /// Bytes of one inbound websocket message.
    pub(crate) const FRAME_BYTES_MAX: usize = 8 * 1024 * 1024;
    /// Events on their way (with redeliveries) at once.
    pub(crate) const DELIVERIES_MAX: usize = 100_000;
    /// Bytes of an uploaded file, 30 MB on the platform, plus its form.
    pub(crate) const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
    /// Bytes read of a webhook's answer.
    pub(crate) const WEBHOOK_ANSWER_BYTES_MAX: usize = 1024 * 1024;
    /// Acks, violations and calls remembered one by one; counters go on.
    pub(crate) const LOG_MAX: usize = 100_000;
    /// Faults in force at once.
    pub(crate) const FAULTS_MAX: usize = 256;
    /// Changes that a slow reader of the stream may lag behind.
    pub(crate) const STREAM_LAG_MAX: usize = 4_096;
    /// Rate-limit windows kept; idle ones are dropped beyond it.
    pub(crate) const WINDOWS_MAX: usize = 10_000;
    /// Endpoint tickets handed out and not yet used.
    pub(crate) const TICKETS_MAX: usize = 1_024;
    /// How long a ticket is good.
    pub(crate) const TICKET_LIFE: Duration = Duration::from_secs(60);
    /// A write to a connection may take this long.
    pub(crate) const WRITE_WITHIN: Duration = Duration::from_secs(10);
    /// The head of a request may take this long.
    pub(crate) const HEAD_WITHIN: Duration = Duration::from_secs(30);
    /// The longest that a hanging answer hangs.
    pub(crate) const HANG_MAX: Duration = Duration::from_secs(600);
    /// Shutdown waits this long for tasks.
    pub(crate) const SHUTDOWN_WITHIN: Duration = Duration::from_secs(2);
}
