//! Anything that can happen to a connection, in any order: its contract holds
//! after every step.

mod ledger;

use std::time::Duration;

use arbitrary::{Result, Unstructured};
use proto_core::conn::{
    AckToken, CloseReason, Connection, Epoch, FixedMemory, HeapMemory, LinkState, Memory, Outcome,
    Output,
};
use proto_core::{
    Config, EndpointReply, Frame, FrameFields, HandshakeRefusal, Header, Instant, Limits, Method,
};

use crate::link::GRANT;
use ledger::Ledger;

/// Outputs that one step may cause: the machine's own queue and one refusal
/// for each delivery in flight.
const OUTPUTS_MAX: usize = 200;
const EVENT_BYTES_MAX: usize = 96;

/// Plays the operations that the bytes describe to a machine.
pub fn connection(bytes: &[u8]) {
    let mut input = Unstructured::new(bytes);
    let _ = play(&mut input);
}

fn play(input: &mut Unstructured<'_>) -> Result<()> {
    let config = config(input)?;
    let seed = u64::from(input.arbitrary::<u8>()?);
    let now = Instant::from_millis(0);
    // Memory that is soon full, of both kinds; many sets can expire at once.
    let (acks, sets): (u8, u8) = (input.arbitrary()?, input.arbitrary()?);
    if acks & 0x80 == 0 {
        let memory = FixedMemory::<3, 256, 2, 64>::default();
        Rig::new(Connection::new(now, config, seed, memory)).run(input)
    } else {
        let memory = HeapMemory::new((acks & 7).into(), 64 << (acks >> 3 & 7), (sets & 63).into());
        Rig::new(Connection::new(now, config, seed, memory)).run(input)
    }
}

/// Time-outs from one millisecond to a minute.
fn config(input: &mut Unstructured<'_>) -> Result<Config> {
    let mut time = || -> Result<Duration> {
        Ok(Duration::from_millis(
            1 + u64::from(input.arbitrary::<u8>()?) * 235,
        ))
    };
    Ok(Config {
        limits: Limits {
            frame_bytes_max: 1000,
            event_bytes_max: EVENT_BYTES_MAX,
            parts_max: 5,
        },
        connect_timeout: time()?,
        pong_timeout: time()?,
        ack_timeout: time()?,
        reassembly_timeout: time()?,
        stable_after: time()?,
        ..Config::default()
    })
}

struct Rig<M> {
    machine: Connection<M>,
    now: Instant,
    /// The attempts so far; the last one is current.
    epochs: Vec<Epoch>,
    tokens: Vec<AckToken>,
    ledger: Ledger,
}

impl<M: Memory> Rig<M> {
    fn new(machine: Connection<M>) -> Self {
        Self {
            machine,
            now: Instant::from_millis(0),
            epochs: vec![Epoch::default()],
            tokens: Vec::new(),
            ledger: Ledger::default(),
        }
    }

    fn run(mut self, input: &mut Unstructured<'_>) -> Result<()> {
        while !input.is_empty() {
            let stepped = self.step(input);
            self.drain();
            self.ledger.balances(self.machine.stats());
            stepped?;
        }
        self.ends();
        Ok(())
    }

    fn step(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let now = self.now;
        match input.arbitrary::<u8>()? % 16 {
            0 => self.endpoint(input)?,
            1 => self.machine.handle_open(now, self.epoch(input)?),
            2 => self.refused(input)?,
            3 => self
                .machine
                .handle_closed(now, self.epoch(input)?, CloseReason::Transport),
            4 | 5 => self.event(input)?,
            6 => self.pong(input)?,
            7 => self.raw_message(input)?,
            8 => self
                .machine
                .handle_other_message(self.epoch(input)?, input.arbitrary()?),
            9 | 10 => self.acknowledge(input)?,
            11 => self.forget(input)?,
            12 => self.pass(Duration::from_millis(input.arbitrary::<u16>()?.into())),
            13 => self.next_timer(),
            14 if input.arbitrary()? => self.machine.handle_wake(now),
            // Time passes, and something else comes first.
            14 => self.now = now + Duration::from_millis(input.arbitrary::<u16>()?.into()),
            _ => {
                // Closing ends everything: not on one byte alone.
                if input.arbitrary::<u8>()? == 0xff {
                    self.machine.close(now);
                }
            }
        }
        Ok(())
    }

    /// The current attempt, mostly; else an old one.
    fn epoch(&self, input: &mut Unstructured<'_>) -> Result<Epoch> {
        let back = usize::from(input.arbitrary::<u8>()?.saturating_sub(0xf0));
        let mut newest_first = self.epochs.iter().rev();
        Ok(newest_first.nth(back).copied().unwrap_or_default())
    }
}

/// What comes in from the world.
impl<M: Memory> Rig<M> {
    fn endpoint(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let epoch = self.epoch(input)?;
        let (status, body): (u16, &[u8]) = match input.arbitrary::<u8>()? % 12 {
            0..=3 => (200, GRANT),
            4 => (200, br#"{"code":0,"data":{"URL":"wss://a.feishu.cn/ws","ClientConfig":{"ReconnectNonce":0,"ReconnectInterval":1,"PingInterval":1}}}"#),
            5 => (200, br#"{"code":0,"data":{"URL":"wss://a.example/ws"}}"#),
            6 => (200, br#"{"code":1}"#),
            7 => (200, br#"{"code":1000040350}"#),
            8 => (200, br#"{"code":514}"#),
            9 => (401, b""),
            10 => {
                self.machine.handle_endpoint(self.now, epoch, EndpointReply::Failed);
                return Ok(());
            }
            _ => (200, bytes(input)?),
        };
        let reply = EndpointReply::Http { status, body };
        self.machine.handle_endpoint(self.now, epoch, reply);
        Ok(())
    }

    fn refused(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let epoch = self.epoch(input)?;
        let codes = [None, Some(403), Some(514), Some(1_000_040_350)];
        let refusal = HandshakeRefusal {
            http_status: 400,
            status: *input.choose(&codes)?,
            auth_error: *input.choose(&codes)?,
        };
        self.machine.handle_refused(self.now, epoch, refusal);
        Ok(())
    }

    /// A data frame, as a platform or a bad imitation of one might send it.
    fn event(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let epoch = self.epoch(input)?;
        let kind = *input.choose(&["event", "event", "card", "other"])?;
        let push_id = format!("push-{}", input.int_in_range(0..=31)?);
        let sum = *input.choose(&["1", "2", "3", "6", "x"])?;
        let seq = *input.choose(&["0", "1", "2", "-1"])?;
        let encoding = *input.choose(&[None, None, Some("gzip"), Some("br")])?;
        let payload = bytes(input)?;
        let headers = [
            ("type", kind),
            ("message_id", &push_id),
            ("sum", sum),
            ("seq", seq),
        ];
        let message = frame(Method::Data, &headers, encoding, payload);
        let delivery = self.machine.handle_message(self.now, epoch, &message);
        if let Some(delivery) = delivery {
            assert_eq!((delivery.kind, delivery.push_id), (kind, &*push_id));
            assert!(delivery.parts > 1 || delivery.payload == payload);
            assert!(delivery.payload.len() <= EVENT_BYTES_MAX.max(payload.len()));
            self.ledger.delivered(delivery.token.id());
            self.tokens.push(delivery.token);
        }
        Ok(())
    }

    fn pong(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let epoch = self.epoch(input)?;
        let config = *input.choose(&[
            "",
            "{}",
            r#"{"PingInterval":1,"ReconnectNonce":0}"#,
            r#"{"PingInterval":90,"ReconnectInterval":1,"ReconnectNonce":2}"#,
            r#"{"PingInterval":9223372036854775807,"ReconnectNonce":-1}"#,
        ])?;
        let message = frame(
            Method::Control,
            &[("type", "pong")],
            None,
            config.as_bytes(),
        );
        assert!(
            self.machine
                .handle_message(self.now, epoch, &message)
                .is_none()
        );
        Ok(())
    }

    fn raw_message(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let epoch = self.epoch(input)?;
        let message = bytes(input)?;
        if let Some(delivery) = self.machine.handle_message(self.now, epoch, message) {
            self.ledger.delivered(delivery.token.id());
            self.tokens.push(delivery.token);
        }
        Ok(())
    }
}

/// What comes from us, and from the clock.
impl<M: Memory> Rig<M> {
    fn acknowledge(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let Some(token) = self.some_token(input)? else {
            return Ok(());
        };
        let (outcome, code) = match input.arbitrary::<u8>()? % 3 {
            0 => (Outcome::Done, "200"),
            1 => (Outcome::Answer(br#"{"toast":{}}"#), "200"),
            _ => (Outcome::Failed, "500"),
        };
        let (now, id) = (self.now, token.id());
        let is_open = self.machine.state() == LinkState::Open;
        let mut ack = Vec::new();
        let redeemed = if input.arbitrary::<u8>()? == 0xff {
            let mut small = heapless::Vec::<u8, 40>::new();
            self.machine.acknowledge(now, token, outcome, &mut small)
        } else {
            self.machine.acknowledge(now, token, outcome, &mut ack)
        };
        if redeemed.is_ok() {
            assert!(is_open, "an acknowledgement without a link");
            let ack = Frame::decode(&ack, &Limits::default()).expect("it is a frame");
            let payload = String::from_utf8_lossy(ack.payload.unwrap_or_default());
            assert!(payload.contains(code), "{payload}");
        } else {
            assert!(ack.is_empty(), "a failed acknowledgement was written");
        }
        self.ledger.redeemed(id, redeemed);
        Ok(())
    }

    /// A token that is never redeemed.
    fn forget(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let _forgotten = self.some_token(input)?;
        Ok(())
    }

    fn some_token(&mut self, input: &mut Unstructured<'_>) -> Result<Option<AckToken>> {
        if self.tokens.is_empty() {
            return Ok(None);
        }
        let index = input.choose_index(self.tokens.len())?;
        Ok(Some(self.tokens.swap_remove(index)))
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.machine.handle_timeout(self.now);
        self.drain();
        let next = self.machine.poll_timeout();
        assert!(
            next.is_none_or(|(due, _)| due > self.now),
            "due at {next:?}, and it is {:?}",
            self.now
        );
    }

    fn next_timer(&mut self) {
        if let Some((due, _)) = self.machine.poll_timeout() {
            self.pass(due.since(self.now));
        }
    }

    fn drain(&mut self) {
        let mut scratch = Vec::new();
        for _ in 0..OUTPUTS_MAX {
            let state = self.machine.state();
            let Some(output) = self.machine.poll_output(self.now, &mut scratch) else {
                return;
            };
            if let Output::FetchEndpoint(epoch) = output {
                self.epochs.push(epoch);
            }
            self.ledger.output(&output, state);
        }
        panic!("outputs without an end");
    }

    /// In the end every delivery has come to its own, and who is done rests.
    fn ends(mut self) {
        self.pass(Duration::from_secs(3600));
        self.ledger.balances(self.machine.stats());
        self.ledger.nothing_waits();
        assert_eq!(self.machine.in_flight(), 0);
        if matches!(self.machine.state(), LinkState::Fatal | LinkState::Closed) {
            assert_eq!(self.machine.poll_timeout(), None);
        }
    }
}

/// Up to 63 of the fuzzer's bytes.
fn bytes<'a>(input: &mut Unstructured<'a>) -> Result<&'a [u8]> {
    let len = usize::from(input.arbitrary::<u8>()? & 63).min(input.len());
    input.bytes(len)
}

fn frame(
    method: Method,
    headers: &[(&str, &str)],
    payload_encoding: Option<&str>,
    payload: &[u8],
) -> Vec<u8> {
    let fields = FrameFields {
        seq_id: 1,
        log_id: 2,
        service: 1,
        method,
        payload_encoding,
        payload_type: None,
        payload: Some(payload),
        log_id_new: None,
    };
    let mut message = Vec::new();
    let headers = headers.iter().map(|(key, value)| Header { key, value });
    fields
        .encode(headers, &mut message)
        .expect("a Vec has no bound");
    message
}
