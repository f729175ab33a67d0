//! What can happen to a connection, as values that shrink.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proto_core::HandshakeRefusal;
use proto_core::conn::CloseReason;

use crate::support::PlainFrame;

/// One thing that happens. `Attempt` says to which attempt it belongs.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// Time passes, in ms, and no timer is asked.
    Pass(u64),
    /// Timers are asked, due or not.
    Timeout,
    /// Time passes to the next deadline.
    NextTimer,
    /// Whatever leads to an attempt, one timer after the other.
    Attempt,
    /// Whatever leads to an open link.
    Connect,
    Endpoint(Attempt, Answer),
    Open(Attempt),
    Refused(Attempt, HandshakeRefusal),
    Closed(Attempt, CloseReason),
    Message(Attempt, Message),
    /// Not a binary message: text, or the websocket's own ping or pong.
    Other(Attempt, bool),
    Wake,
    /// A delivery of so many ago, ended or not, or one that never was; and how
    /// many bytes there is room for.
    Acknowledge(usize, Reply, usize),
    Close,
}

/// How many attempts ago: mostly the current one.
pub(crate) type Attempt = usize;

/// What the endpoint answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Grant(i32, Intervals),
    Code(i64),
    Status(u16),
    /// HTTP 200 with nothing that can be dialled.
    Body(&'static str),
    Foreign(&'static str),
    Failed,
}

#[derive(Clone, Debug)]
pub(crate) enum Message {
    Frame(PlainFrame),
    Garbage(Vec<u8>),
}

#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Done,
    Answer(&'static str),
    Failed,
}

/// A `ClientConfig` of the server, any key of which may be missing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Intervals {
    pub(crate) count: Option<i64>,
    pub(crate) interval: Option<i64>,
    pub(crate) nonce: Option<i64>,
    pub(crate) ping: Option<i64>,
}

impl Intervals {
    pub(crate) fn to_json(&self) -> String {
        let keys = [
            ("ReconnectCount", self.count),
            ("ReconnectInterval", self.interval),
            ("ReconnectNonce", self.nonce),
            ("PingInterval", self.ping),
        ];
        let stated = keys
            .iter()
            .filter_map(|(key, value)| Some((key, (*value)?)));
        let stated: Vec<_> = stated
            .map(|(key, value)| format!("\"{key}\":{value}"))
            .collect();
        format!("{{{}}}", stated.join(","))
    }
}

pub(crate) fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let some = prop_oneof![
        30 => operation().prop_map(|one| vec![one]),
        1 => ending(),
        1 => push_and_again(),
    ];
    // Most of what matters happens on an open link; closing is for good, so it
    // comes late, and not always.
    let (opens, closes) = (
        weighted(0.9, Just(Operation::Connect)),
        weighted(0.1, any::<Index>()),
    );
    (opens, vec(some, 1..OPERATIONS_MAX), closes).prop_map(|(opens, all, closes)| {
        let all = opens.into_iter().chain(all.into_iter().flatten());
        let mut all: Vec<_> = all.take(OPERATIONS_MAX).collect();
        if let Some(at) = closes {
            all.insert(at.index(all.len() + 1), Operation::Close);
        }
        all
    })
}

/// In a sequence, but for closing.
const OPERATIONS_MAX: usize = 60;

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        5 => milliseconds().prop_map(Operation::Pass),
        3 => Just(Operation::Timeout),
        3 => Just(Operation::NextTimer),
        6 => Just(Operation::Connect),
        1 => (attempt(), answer()).prop_map(|(at, answer)| Operation::Endpoint(at, answer)),
        1 => attempt().prop_map(Operation::Open),
        1 => (attempt(), refusal()).prop_map(|(at, refusal)| Operation::Refused(at, refusal)),
        1 => (attempt(), reason()).prop_map(|(at, reason)| Operation::Closed(at, reason)),
        30 => (attempt(), message()).prop_map(|(at, message)| Operation::Message(at, message)),
        1 => (attempt(), any::<bool>()).prop_map(|(at, text)| Operation::Other(at, text)),
        1 => Just(Operation::Wake),
        12 => (push(), reply(), room())
            .prop_map(|(back, reply, room)| Operation::Acknowledge(back, reply, room)),
    ]
}

/// A link is lost, and the attempts after it go wrong.
fn ending() -> impl Strategy<Value = Vec<Operation>> {
    let refused_by_endpoint = answer().prop_map(|answer| vec![Operation::Endpoint(0, answer)]);
    let refused_by_handshake = refusal().prop_map(|refusal| {
        let grant = Answer::Grant(1, Intervals::default());
        vec![
            Operation::Endpoint(0, grant),
            Operation::Refused(0, refusal),
        ]
    });
    let attempt = prop_oneof![refused_by_endpoint, refused_by_handshake];
    let again = prop_oneof![3 => 1..3_usize, 1 => 3..8_usize];
    (reason(), attempt, again).prop_map(|(reason, attempt, again)| {
        let attempt = [vec![Operation::Attempt], attempt].concat();
        [
            vec![Operation::Closed(0, reason)],
            vec![attempt; again].concat(),
        ]
        .concat()
    })
}

/// A split event comes in and is redeemed, perhaps without a link; then the same
/// parts come once more.
fn push_and_again() -> impl Strategy<Value = Vec<Operation>> {
    let parts = ["0", "1"].map(|seq| part_frame("a", "2", seq, 0));
    let parts = parts.map(|part| Operation::Message(0, Message::Frame(part)));
    (weighted(0.3, reason()), reply(), room()).prop_map(move |(lost, reply, room)| {
        let lost = lost.map(|reason| Operation::Closed(0, reason));
        let redeemed = [Operation::Acknowledge(1, reply, room), Operation::Connect];
        let redeemed = lost.into_iter().chain(redeemed);
        parts
            .iter()
            .cloned()
            .chain(redeemed)
            .chain(parts.clone())
            .collect()
    })
}

fn milliseconds() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => Just(0),
        8 => 1..50_u64,
        12 => 50..3000_u64,
        6 => 3000..70_000_u64,
        2 => 70_000..10_000_000_u64,
        // To the end of the clock, by and by.
        1 => Just(u64::MAX / 3),
    ]
}

fn attempt() -> impl Strategy<Value = Attempt> {
    prop_oneof![9 => Just(0), 1 => 1..4_usize]
}

/// How many deliveries ago: one that was just handed up, mostly.
fn push() -> impl Strategy<Value = usize> {
    prop_oneof![6 => Just(1), 4 => 2..5_usize, 1 => 0..12_usize]
}

fn answer() -> impl Strategy<Value = Answer> {
    let codes = vec![
        1,
        1_000_040_343,
        1_000_040_350,
        1_000_040_350,
        403,
        514,
        1_000_040_344,
        77,
    ];
    prop_oneof![
        6 => (any::<i32>(), intervals()).prop_map(|(id, intervals)| Answer::Grant(id, intervals)),
        2 => select(codes).prop_map(Answer::Code),
        4 => select(vec![401, 403, 401, 500, 302]).prop_map(Answer::Status),
        2 => select(vec![
            "", "<html>", r#"{"code":0}"#, r#"{"code":0,"data":{}}"#, r#"{"code":0,"data":{"URL":""}}"#,
        ]).prop_map(Answer::Body),
        1 => select(vec![
            "wss://feishu.cn.evil.example/ws", "ws://msg-frontier.feishu.cn/ws", "http://x.feishu.cn/",
            "wss://x.feishu.cn@evil.example/ws", "wss://127.0.0.1/ws",
        ]).prop_map(Answer::Foreign),
        2 => Just(Answer::Failed),
    ]
}

fn intervals() -> impl Strategy<Value = Intervals> {
    let value = || {
        weighted(
            0.6,
            prop_oneof![6 => 1..130_i64, 2 => -2..2_i64, 1 => any::<i64>()],
        )
    };
    (value(), value(), value(), value()).prop_map(|(count, interval, nonce, ping)| Intervals {
        count,
        interval,
        nonce,
        ping,
    })
}

fn refusal() -> impl Strategy<Value = HandshakeRefusal> {
    let status = weighted(0.7, select(vec![403, 514, 514, 514, 7]));
    let auth_error = weighted(0.6, select(vec![1_000_040_350, 1_000_040_344]));
    (select(vec![403_u16, 502]), status, auth_error).prop_map(
        |(http_status, status, auth_error)| HandshakeRefusal {
            http_status,
            status,
            auth_error,
        },
    )
}

fn reason() -> impl Strategy<Value = CloseReason> {
    select(vec![
        CloseReason::Transport,
        CloseReason::ConnectFailed,
        CloseReason::Peer(None),
        CloseReason::Peer(Some(1000)),
    ])
}

/// Bytes for an acknowledgement: enough, mostly.
fn room() -> impl Strategy<Value = usize> {
    prop_oneof![9 => Just(1000), 1 => 0..500_usize]
}

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        3 => Just(Reply::Done),
        1 => select(vec!["{}", r#"{"toast":{"type":"success","content":"好"}}"#]).prop_map(Reply::Answer),
        1 => Just(Reply::Failed),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        8 => event().prop_map(Message::Frame),
        12 => part().prop_map(Message::Frame),
        4 => pong().prop_map(Message::Frame),
        1 => strange().prop_map(Message::Frame),
        1 => garbage().prop_map(Message::Garbage),
    ]
}

fn event() -> impl Strategy<Value = PlainFrame> {
    let encoding = prop_oneof![
        6 => Just(None),
        1 => select(vec![Some(""), Some("gzip"), Some("br")]),
    ];
    let kind = select(vec!["event", "event", "card"]);
    (kind, any::<bool>(), vec(any::<u8>(), 0..40), encoding).prop_map(
        |(kind, bare, payload, encoding)| {
            let headers = [
                ("type", kind),
                ("message_id", "a"),
                ("trace_id", "t"),
                ("type", "pong"),
            ];
            let headers = if bare { &headers[..1] } else { &headers };
            PlainFrame {
                payload_encoding: encoding.map(Into::into),
                ..PlainFrame::new(1, headers, &payload)
            }
        },
    )
}

/// Parts of few events, so that sets get complete; some impossible, some that
/// contradict others, some that nobody can read.
fn part() -> impl Strategy<Value = PlainFrame> {
    let ids = ["", "a", "b", "c"].map(str::to_owned).to_vec();
    // The longest id whose parts are kept, and a longer one.
    let long_ids = vec!["d".repeat(128), "e".repeat(129)];
    let id = prop_oneof![8 => select(ids), 1 => select(long_ids)];
    let sum = prop_oneof![20 => Just("2"), 4 => Just("3"), 1 => select(vec!["0", "1", "5", "x", "-1", "4294967296"])];
    let seq = prop_oneof![12 => select(vec!["0", "1"]), 2 => Just("2"), 1 => select(vec!["4", "y", "-1"])];
    let payload = prop_oneof![12 => Just(0), 2 => Just(12), 1 => Just(7)];
    let encoding = weighted(0.05, Just("br".to_owned()));
    (id, sum, seq, payload, encoding).prop_map(|(id, sum, seq, longer, encoding)| PlainFrame {
        payload_encoding: encoding,
        ..part_frame(&id, sum, seq, longer)
    })
}

fn part_frame(id: &str, sum: &str, seq: &str, longer: usize) -> PlainFrame {
    let payload = [
        id.get(..1).unwrap_or_default(),
        seq,
        &"more"[..4].repeat(longer),
    ]
    .concat();
    let headers = [
        ("type", "event"),
        ("message_id", id),
        ("sum", sum),
        ("seq", seq),
    ];
    PlainFrame::new(1, &headers, payload.as_bytes())
}

fn pong() -> impl Strategy<Value = PlainFrame> {
    let stated = intervals().prop_map(|intervals| intervals.to_json());
    let payload =
        prop_oneof![4 => stated, 1 => select(vec!["", "?", "[1]"]).prop_map(str::to_owned)];
    payload.prop_map(|payload| PlainFrame::new(0, &[("type", "pong")], payload.as_bytes()))
}

/// Well-formed, and nothing that a client acts on.
fn strange() -> impl Strategy<Value = PlainFrame> {
    select(vec![
        (0, "ping"),
        (0, "event"),
        (1, "pong"),
        (1, "gossip"),
        (7, "event"),
        (-1, "pong"),
    ])
    .prop_map(|(method, kind)| PlainFrame::new(method, &[("type", kind)], b"{}"))
}

fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let too_long =
        prost::Message::encode_to_vec(&PlainFrame::new(1, &[("type", "event")], &[b'x'; 600]));
    select(vec![
        Vec::new(),
        b"{}".to_vec(),
        vec![0xff; 30],
        vec![0x08, 0, 0x10, 0, 0x18, 0],
        too_long,
    ])
}
