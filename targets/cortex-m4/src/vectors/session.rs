//! One life of the connection machine in memory of its own: asked, opened,
//! acknowledged, pinged, lost, waited, closed.

use core::time::Duration;

use proto_core::conn::{
    AckError, AckToken, CloseReason, Connection, Epoch, Event, FixedMemory, LinkState, Outcome,
    Output, Timer,
};
use proto_core::{Config, EndpointReply, Frame, Instant, Limits, Refusal};

use crate::frames::named;

type Machine = Connection<FixedMemory<4, 2048, 1, 2048>>;
type Ack = heapless::Vec<u8, 1024>;

const SECOND: Duration = Duration::from_secs(1);
/// The service of the recorded frames.
const URL: &str = "wss://msg-frontier.feishu.cn/ws/v2?service_id=33554678&ticket=t";
const ENDPOINT: &str = r#"{"code":0,"msg":"","data":{"URL":"wss://msg-frontier.feishu.cn/ws/v2?service_id=33554678&ticket=t","ClientConfig":{"ReconnectCount":-1,"ReconnectInterval":20,"ReconnectNonce":3,"PingInterval":45}}}"#;

/// Acknowledges a message on an open link after so many milliseconds.
pub(crate) fn acknowledge(message: &[u8], took_ms: u64, outcome: Outcome<'_>) -> Ack {
    let mut rig = Rig::open();
    let mut ack = Ack::new();
    let token = rig.deliver(message, b"{}", 1);
    rig.now = rig.now + Duration::from_millis(took_ms);
    let written = rig.machine.acknowledge(rig.now, token, outcome, &mut ack);
    assert_eq!(written, Ok(()));
    ack
}

/// Returns how many steps were taken.
pub(crate) fn check() -> usize {
    let mut rig = Rig::open();
    let steps: [fn(&mut Rig); 6] = [
        Rig::one_event,
        Rig::an_event_in_parts,
        Rig::an_event_that_nobody_acknowledges,
        Rig::pings_and_a_pong,
        Rig::a_lost_link,
        Rig::close,
    ];
    for step in steps {
        step(&mut rig);
    }
    steps.len()
}

/// A machine and its world.
struct Rig {
    machine: Machine,
    now: Instant,
    epoch: Epoch,
}

/// What the machine is to say.
#[derive(Debug)]
enum Say<'a> {
    Connect(&'a str),
    Send(&'a [u8]),
    Disconnect(CloseReason),
    Event(Event),
}

impl Rig {
    /// Dials, and is on an open link that was pinged.
    fn open() -> Self {
        let now = Instant::from_millis(1000);
        let mut rig = Self {
            machine: Machine::new(now, Config::default(), 1, FixedMemory::default()),
            now,
            epoch: Epoch::default(),
        };
        assert_eq!(rig.next_timer(), (Duration::ZERO, Timer::Reconnect));
        rig.fetched();
        let reply = EndpointReply::Http {
            status: 200,
            body: ENDPOINT.as_bytes(),
        };
        rig.machine.handle_endpoint(now, rig.epoch, reply);
        let config = rig.machine.server_config();
        assert_eq!(config.ping_interval, 45 * SECOND);
        rig.says(&[Say::Event(Event::Reconfigured(config)), Say::Connect(URL)]);
        rig.machine.handle_open(now, rig.epoch);
        let ping = Say::Send(named("ping_basic").message);
        rig.says(&[Say::Event(Event::LinkUp(rig.epoch)), ping]);
        rig
    }

    fn one_event(&mut self) {
        let event = named("event_single");
        let token = self.deliver(event.message, event.payload(), 1);
        let mut ack = Ack::new();
        let written = self
            .machine
            .acknowledge(self.now, token, Outcome::Done, &mut ack);
        assert_eq!(written, Ok(()));
        self.says(&[]);
        assert_eq!(self.machine.stats().acknowledged, 1);
    }

    /// In the wrong order, cut inside a character.
    fn an_event_in_parts(&mut self) {
        let (last, first) = (named("event_part_2_of_3"), named("event_part_0_of_3"));
        for early in [last, first, first] {
            let kept = self
                .machine
                .handle_message(self.now, self.epoch, early.message);
            assert!(kept.is_none(), "{}", early.name);
            self.says(&[]);
        }
        assert_eq!(self.machine.stats().doubles, 1);
        let whole = named("event_single").payload();
        let token = self.deliver(named("event_part_1_of_3").message, whole, 3);
        let mut ack = Ack::new();
        let written = self
            .machine
            .acknowledge(self.now, token, Outcome::Failed, &mut ack);
        assert_eq!(written, Ok(()));
    }

    fn an_event_that_nobody_acknowledges(&mut self) {
        let event = named("card_callback_event");
        let token = self.deliver(event.message, event.payload(), 1);
        let allowed = Config::default().ack_timeout;
        assert_eq!(self.next_timer(), (allowed, Timer::Ack));

        let mut scratch = Ack::new();
        let refused = match self.machine.poll_output(self.now, &mut scratch) {
            Some(Output::Send(message)) => ends_with_500(message),
            _ => false,
        };
        assert!(refused, "an overdue delivery is refused");
        self.says(&[Say::Event(Event::AckOverdue(token.id()))]);
        let late = self
            .machine
            .acknowledge(self.now, token, Outcome::Done, &mut scratch);
        assert_eq!(late, Err(AckError::TooLate));
    }

    /// The pong brings a longer interval, which counts after the ping that was
    /// planned.
    fn pings_and_a_pong(&mut self) {
        let pong = named("pong_with_config").message;
        assert!(
            self.machine
                .handle_message(self.now, self.epoch, pong)
                .is_none()
        );
        let config = self.machine.server_config();
        assert_eq!(config.ping_interval, 120 * SECOND);
        self.says(&[Say::Event(Event::Reconfigured(config))]);
        for (waited_ms, timer) in [
            (42_500, Timer::Ping),
            (15_000, Timer::Stable),
            (105_000, Timer::Ping),
            (120_000, Timer::Ping),
        ] {
            assert_eq!(self.next_timer(), (Duration::from_millis(waited_ms), timer));
            if timer == Timer::Stable {
                self.says(&[]);
                continue;
            }
            self.says(&[Say::Send(named("ping_basic").message)]);
            let pong = named("pong_no_payload").message;
            assert!(
                self.machine
                    .handle_message(self.now, self.epoch, pong)
                    .is_none()
            );
        }
        let stats = self.machine.stats();
        assert_eq!((stats.pings, stats.pongs), (4, 4));
    }

    /// Waits grow from the nonce to the server's interval.
    fn a_lost_link(&mut self) {
        let reason = CloseReason::Peer(Some(1006));
        self.machine.handle_closed(self.now, self.epoch, reason);
        self.says(&[Say::Event(Event::LinkDown(self.epoch, reason))]);
        assert_eq!(self.machine.state(), LinkState::Waiting);
        let config = self.machine.server_config();
        let mut bound = config.reconnect_nonce;
        for attempt in 0..8 {
            let (waited, timer) = self.next_timer();
            assert_eq!(timer, Timer::Reconnect);
            assert!(waited <= bound, "attempt {attempt} after {waited:?}");
            self.fetched();
            let reason = CloseReason::Refused;
            self.machine
                .handle_endpoint(self.now, self.epoch, EndpointReply::Failed);
            self.says(&[
                Say::Event(Event::Refused(Refusal::Unreachable)),
                Say::Event(Event::LinkDown(self.epoch, reason)),
            ]);
            bound = (SECOND * 2_u32.pow(attempt)).min(config.reconnect_interval);
        }
    }

    fn close(&mut self) {
        self.next_timer();
        self.fetched();
        self.machine.close(self.now);
        let reason = CloseReason::Shutdown;
        let down = Event::LinkDown(self.epoch, reason);
        self.says(&[Say::Disconnect(reason), Say::Event(down)]);
        assert_eq!(self.machine.poll_timeout(), None);
    }

    fn deliver(&mut self, message: &[u8], payload: &[u8], parts: u32) -> AckToken {
        let Some(delivery) = self.machine.handle_message(self.now, self.epoch, message) else {
            panic!("no delivery");
        };
        assert!(delivery.payload == payload, "another payload");
        assert_eq!(delivery.parts, parts);
        delivery.token
    }

    /// Goes to the next deadline.
    fn next_timer(&mut self) -> (Duration, Timer) {
        let Some((due, timer)) = self.machine.poll_timeout() else {
            panic!("the machine waits for nothing");
        };
        let waited = due.since(self.now);
        self.now = due.max(self.now);
        self.machine.handle_timeout(self.now);
        (waited, timer)
    }

    /// The machine asks for an endpoint, in a new epoch.
    fn fetched(&mut self) {
        let mut scratch = Ack::new();
        if let Some(Output::FetchEndpoint(epoch)) = self.machine.poll_output(self.now, &mut scratch)
        {
            assert!(epoch > self.epoch);
            self.epoch = epoch;
        }
        self.says(&[]);
    }

    /// The machine says this and nothing more; then nothing is due.
    fn says(&mut self, expected: &[Say<'_>]) {
        let mut scratch = Ack::new();
        for say in expected {
            let output = self.machine.poll_output(self.now, &mut scratch);
            let same = match (&output, say) {
                (Some(Output::Connect { epoch, url }), Say::Connect(to)) => {
                    *epoch == self.epoch && url == to
                }
                (Some(Output::Send(message)), Say::Send(bytes)) => message == bytes,
                (Some(Output::Disconnect(epoch, why)), Say::Disconnect(reason)) => {
                    *epoch == self.epoch && why == reason
                }
                (Some(Output::Event(said)), Say::Event(event)) => said == event,
                _ => false,
            };
            assert!(same, "{output:?} instead of {say:?}");
        }
        let more = self.machine.poll_output(self.now, &mut scratch);
        assert!(more.is_none(), "{more:?} besides");
        let next = self.machine.poll_timeout();
        assert!(
            next.is_none_or(|(due, _)| due > self.now),
            "{next:?} is due"
        );
    }
}

fn ends_with_500(message: &[u8]) -> bool {
    Frame::decode(message, &Limits::default())
        .is_ok_and(|frame| frame.payload == Some(br#"{"code":500}"#))
}
