//! A client made of nothing but sockets, for holding the simulator to the
//! protocol. It shares no code with any bot.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test file uses its part"
)]

use std::time::Duration;

use feishu_sim::{Sim, SimConfig};
use futures_util::{SinkExt as _, StreamExt as _};
use proto_core::{Frame, FrameFields, Header, Limits, Method};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Longer than anything here takes.
pub const SOON: Duration = Duration::from_secs(10);

/// A platform whose waits are a thousandth: redeliveries after 15 ms, 300 ms.
pub fn quick() -> SimConfig {
    SimConfig {
        time_scale: 0.001,
        seed: Some(7),
        ..SimConfig::default()
    }
}

pub fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Asks for a URL; gives the whole answer.
pub async fn discover(sim: &Sim, body: Value) -> Value {
    let url = format!("{}/callback/ws/endpoint", sim.base_url());
    let answer = http().post(url).json(&body).send().await.unwrap();
    answer.json().await.unwrap()
}

pub fn credentials(sim: &Sim) -> Value {
    json!({"AppID": sim.config().app_id, "AppSecret": sim.config().app_secret})
}

pub async fn url(sim: &Sim) -> String {
    let answer = discover(sim, credentials(sim)).await;
    assert_eq!(answer["code"], 0, "{answer}");
    answer["data"]["URL"].as_str().unwrap().to_owned()
}

pub async fn dial(url: &str) -> Result<Client, Error> {
    let host = url
        .strip_prefix("ws://")
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    let stream = TcpStream::connect(host).await.unwrap();
    let (socket, _) = tokio_tungstenite::client_async(url, stream).await?;
    Ok(Client { socket })
}

pub async fn connect(sim: &Sim) -> Client {
    let url = url(sim).await;
    dial(&url).await.unwrap()
}

pub struct Client {
    pub socket: WebSocketStream<TcpStream>,
}

/// A frame with everything owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    pub seq_id: u64,
    pub log_id: u64,
    pub service: i32,
    pub method: i32,
    pub headers: Vec<(String, String)>,
    pub payload: Option<Vec<u8>>,
    pub log_id_new: Option<String>,
}

impl Owned {
    pub fn decode(bytes: &[u8]) -> Self {
        let frame = Frame::decode(bytes, &Limits::default()).unwrap();
        Self {
            seq_id: frame.seq_id,
            log_id: frame.log_id,
            service: frame.service,
            method: frame.method.to_i32(),
            headers: frame
                .headers()
                .map(|header| (header.key.to_owned(), header.value.to_owned()))
                .collect(),
            payload: frame.payload.map(<[u8]>::to_vec),
            log_id_new: frame.log_id_new().map(str::to_owned),
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let fields = FrameFields {
            seq_id: self.seq_id,
            log_id: self.log_id,
            service: self.service,
            method: Method::from(self.method),
            payload_encoding: None,
            payload_type: None,
            payload: self.payload.as_deref(),
            log_id_new: self.log_id_new.as_deref(),
        };
        let headers = self
            .headers
            .iter()
            .map(|(key, value)| Header { key, value });
        let mut out = Vec::new();
        fields.encode(headers, &mut out).unwrap();
        out
    }

    pub fn header(&self, key: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == key);
        &found.unwrap_or_else(|| panic!("no header {key}")).1
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(self.payload.as_deref().unwrap()).unwrap()
    }

    /// The ack of this frame.
    pub fn ack(&self, payload: &str) -> Self {
        let mut ack = self.clone();
        ack.headers.push(("biz_rt".to_owned(), "1".to_owned()));
        ack.payload = Some(payload.as_bytes().to_vec());
        ack
    }
}

impl Client {
    pub async fn message(&mut self) -> Option<Result<Message, Error>> {
        timeout(SOON, self.socket.next())
            .await
            .expect("a message in time")
    }

    /// The next binary message as a frame.
    pub async fn frame(&mut self) -> Owned {
        loop {
            match self.message().await {
                Some(Ok(Message::Binary(bytes))) => return Owned::decode(&bytes),
                Some(Ok(_)) => {}
                other => panic!("expected a frame, got {other:?}"),
            }
        }
    }

    pub async fn send(&mut self, frame: &Owned) {
        self.send_bytes(frame.encode()).await;
    }

    pub async fn send_bytes(&mut self, bytes: Vec<u8>) {
        self.socket
            .send(Message::Binary(bytes.into()))
            .await
            .unwrap();
    }

    pub async fn ping(&mut self, service: i32) {
        let ping = Owned {
            seq_id: 0,
            log_id: 0,
            service,
            method: 0,
            headers: vec![("type".to_owned(), "ping".to_owned())],
            payload: None,
            log_id_new: None,
        };
        self.send(&ping).await;
    }

    /// Takes the next event and acks it with code 200.
    pub async fn take(&mut self) -> Value {
        let frame = self.frame().await;
        self.send(&frame.ack(r#"{"code":200}"#)).await;
        frame.json()
    }
}

/// A tenant token and a client for the API.
pub struct Api {
    http: reqwest::Client,
    base: String,
    pub token: String,
}

impl Api {
    pub async fn of(sim: &Sim) -> Self {
        let mut api = Self {
            http: http(),
            base: format!("{}/open-apis", sim.base_url()),
            token: String::new(),
        };
        let body = json!({"app_id": sim.config().app_id, "app_secret": sim.config().app_secret});
        let answer = api
            .post("/auth/v3/tenant_access_token/internal", body)
            .await;
        answer["tenant_access_token"]
            .as_str()
            .unwrap()
            .clone_into(&mut api.token);
        api
    }

    pub async fn raw(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<reqwest::Response, reqwest::Error> {
        let method = method.parse().unwrap();
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await
    }

    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let answer = self.raw(method, path, body).await.unwrap();
        assert!(answer.headers().contains_key("x-tt-logid"));
        answer.json().await.unwrap()
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.call("POST", path, Some(body)).await
    }

    pub async fn get(&self, path: &str) -> Value {
        self.call("GET", path, None).await
    }

    /// Sends a text into a chat.
    pub async fn say(&self, chat_id: &str, text: &str, uuid: Option<&str>) -> Value {
        let body = json!({
            "receive_id": chat_id,
            "msg_type": "text",
            "content": json!({"text": text}).to_string(),
            "uuid": uuid,
        });
        self.post("/im/v1/messages?receive_id_type=chat_id", body)
            .await
    }
}
