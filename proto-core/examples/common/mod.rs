//! What the programs share because it has nothing to do with how bytes travel:
//! Feishu's HTTP calls, what the bot says, and the clock.

use std::error::Error;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use proto_core::conn::{Connection, Delivery, Encoding, HeapMemory, Outcome};
use proto_core::{
    Config, EndpointReply, Event, HandshakeRefusal, HostPolicy, Identity, InboundMessage,
};
use serde_json::{Value, json};
use tungstenite::http::Response;

/// How long sending an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Feishu as the app sees it.
pub(crate) struct Platform {
    domain: String,
    app_id: String,
    app_secret: String,
    http: ureq::Agent,
}

impl Platform {
    /// From `--domain`, `--app-id` and `--app-secret`, or `FEISHU_DOMAIN`,
    /// `FEISHU_APP_ID` and `FEISHU_APP_SECRET`.
    pub(crate) fn from_environment() -> Result<Self, String> {
        let http = ureq::Agent::config_builder()
            // Which status means what is the machine's business.
            .http_status_as_error(false)
            .timeout_global(Some(ANSWER_TIMEOUT))
            .build();
        Ok(Self {
            domain: setting("domain")?,
            app_id: setting("app-id")?,
            app_secret: setting("app-secret")?,
            http: http.new_agent(),
        })
    }

    /// Asks where to connect.
    pub(crate) fn endpoint(&self, timeout: Duration) -> Endpoint {
        let ask = || {
            let answer = self
                .http
                .post(format!("{}/callback/ws/endpoint", self.domain))
                .config()
                .timeout_global(Some(timeout))
                .build()
                .header("locale", "zh")
                .content_type("application/json")
                .send(json!({ "AppID": self.app_id, "AppSecret": self.app_secret }).to_string())?;
            let status = answer.status().as_u16();
            Ok::<_, ureq::Error>((status, answer.into_body().read_to_vec()?))
        };
        Endpoint(ask().ok())
    }

    /// Hands on the question in a delivery, if there is one for this bot.
    ///
    /// A daemon writes the event to its disk here, since only what is safe may
    /// be acknowledged. A queue with a bound stands in for that.
    pub(crate) fn accept(
        &self,
        delivery: &Delivery<'_>,
        keep: impl FnOnce(Question) -> bool,
    ) -> Outcome<'static> {
        let safe = match delivery.encoding {
            Encoding::Identity => self.question(delivery.payload).is_none_or(keep),
            // Documented, and never seen by anybody.
            Encoding::Gzip => false,
        };
        if safe { Outcome::Done } else { Outcome::Failed }
    }

    /// Groups need the bot's own open_id to judge mentions
    /// (`GET /open-apis/bot/v3/info`); without it only direct chats count.
    fn question(&self, event: &[u8]) -> Option<Question> {
        let identity = Identity {
            open_id: "",
            app_id: &self.app_id,
        };
        let message = InboundMessage::from_event(&Event::parse(event).ok()?, identity)?;
        message.addressed.then_some(Question {
            message_id: message.message_id,
            text: message.text,
        })
    }

    /// Replies to the person's own message, and says how that went.
    pub(crate) fn answer(&self, question: &Question) {
        match self.reply(question) {
            Ok(()) => println!("answered {}", question.message_id),
            Err(error) => println!("not answered: {error}"),
        }
    }

    fn reply(&self, question: &Question) -> Result<(), Box<dyn Error>> {
        // A daemon keeps the token for the two hours that it is good for.
        let token = self.call(
            "auth/v3/tenant_access_token/internal",
            None,
            &json!({ "app_id": self.app_id, "app_secret": self.app_secret }),
        )?;
        let words = json!({ "text": format!("You said: {}", question.text) });
        self.call(
            &format!("im/v1/messages/{}/reply", question.message_id),
            token.get("tenant_access_token").and_then(Value::as_str),
            &json!({
                "msg_type": "text",
                "content": words.to_string(),
                // The platform keeps one reply of those with the same uuid, so
                // an event that is pushed twice is answered once.
                "uuid": question.message_id,
            }),
        )?;
        Ok(())
    }

    fn call(&self, path: &str, token: Option<&str>, body: &Value) -> Result<Value, Box<dyn Error>> {
        let mut request = self.http.post(format!("{}/open-apis/{path}", self.domain));
        if let Some(token) = token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let answer = request
            .content_type("application/json")
            .send(body.to_string())?
            .into_body()
            .read_to_vec()?;
        let answer: Value = serde_json::from_slice(&answer)?;
        match answer.get("code").and_then(Value::as_i64) {
            Some(0) => Ok(answer),
            _ => Err(format!("{path}: {}", answer.get("msg").unwrap_or(&answer)).into()),
        }
    }
}

/// What the endpoint call brought.
pub(crate) struct Endpoint(Option<(u16, Vec<u8>)>);

impl Endpoint {
    /// As the machine takes it.
    pub(crate) fn reply(&self) -> EndpointReply<'_> {
        match &self.0 {
            Some((status, body)) => EndpointReply::Http {
                status: *status,
                body,
            },
            None => EndpointReply::Failed,
        }
    }
}

/// A message to answer.
pub(crate) struct Question {
    message_id: String,
    text: String,
}

/// Why the platform answered a websocket handshake with anything but 101.
pub(crate) fn refusal<B>(answer: &Response<B>) -> HandshakeRefusal {
    let number = |name: &str| answer.headers().get(name)?.to_str().ok()?.parse().ok();
    HandshakeRefusal {
        http_status: answer.status().as_u16(),
        status: number("handshake-status"),
        auth_error: number("handshake-autherrcode"),
    }
}

/// A machine that may be sent to a platform on loopback.
pub(crate) fn machine(clock: Clock) -> Connection<HeapMemory> {
    let config = Config {
        hosts: HostPolicy {
            loopback: true,
            also: None,
        },
        ..Config::default()
    };
    // A number that other processes do not draw: the system seeds hash maps.
    let seed = RandomState::new().hash_one(std::process::id());
    Connection::new(clock.now(), config, seed, HeapMemory::default())
}

/// The machine's clock: milliseconds since the start.
#[derive(Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> proto_core::Instant {
        let millis = u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX);
        proto_core::Instant::from_millis(millis)
    }

    pub(crate) fn at(self, instant: proto_core::Instant) -> Instant {
        self.0 + Duration::from_millis(instant.as_millis())
    }
}

fn setting(name: &str) -> Result<String, String> {
    let flag = format!("--{name}");
    let variable = format!("FEISHU_{}", name.to_uppercase().replace('-', "_"));
    std::env::args()
        .skip_while(|word| *word != flag)
        .nth(1)
        .or_else(|| std::env::var(&variable).ok())
        .ok_or_else(|| format!("{flag} is missing, and so is {variable}"))
}
