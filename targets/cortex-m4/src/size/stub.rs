//! A link that plays one day and keeps the time.

use core::hint::black_box;

use proto_core::conn::{Event, Stats};
use proto_core::{Instant, Refusal};

include!(concat!(env!("OUT_DIR"), "/played.rs"));

/// The longest message that is taken in.
pub(crate) const FRAME_BYTES_MAX: usize = 4096;

const GRANT: &[u8] = br#"{"code":0,"msg":"","data":{"URL":"wss://msg-frontier.feishu.cn/ws/v2?service_id=33554678&ticket=t","ClientConfig":{"ReconnectCount":-1,"ReconnectInterval":120,"ReconnectNonce":30,"PingInterval":120}}}"#;
const BUSY: &[u8] = br#"{"code":1,"msg":"system busy"}"#;

/// What comes in, in this order.
const DAY: [Act; 17] = [
    Act::Message(EVENT_SINGLE),
    Act::Message(PONG_WITH_CONFIG),
    Act::Message(b"garbage"),
    Act::Message(EVENT_PART_0_OF_3),
    Act::Message(EVENT_PART_2_OF_3),
    Act::Message(EVENT_PART_1_OF_3),
    Act::Silence, // The outage counts as over.
    Act::Silence, // A ping goes out…
    Act::Message(PONG_WITH_CONFIG),
    Act::Cut,
    Act::Silence, // …then the first attempt, which is refused…
    Act::Silence, // …and the second, which is not.
    Act::Message(EVENT_SINGLE),
    Act::Silence, // The second outage is over, too.
    Act::Silence, // A ping goes out…
    Act::Silence, // …and no pong comes: the link is given up.
    Act::End,
];

#[derive(Clone, Copy)]
enum Act {
    Message(&'static [u8]),
    Silence,
    Cut,
    End,
}

/// What the machine hears of it.
pub(crate) enum Received {
    /// So many bytes are in the frame buffer.
    Message(usize),
    /// The deadline came first.
    Nothing,
    Cut,
    Goodnight,
}

#[derive(Default)]
pub(crate) struct Stub {
    now: Instant,
    act: usize,
    asked: u32,
    sent: u32,
    refused: u32,
    hung_up: u32,
}

impl Stub {
    pub(crate) const fn now(&self) -> Instant {
        self.now
    }

    pub(crate) fn ask_for_endpoint(&mut self) -> (u16, &'static [u8]) {
        self.asked += 1;
        // `black_box`: the image must not know what will come.
        black_box((200, if self.asked == 2 { BUSY } else { GRANT }))
    }

    pub(crate) fn dial(&self, url: &str) -> bool {
        black_box(url).starts_with("wss://")
    }

    pub(crate) fn send(&mut self, message: &[u8]) {
        black_box(message);
        self.sent += 1;
    }

    pub(crate) const fn hang_up(&mut self) {
        self.hung_up += 1;
    }

    pub(crate) fn note(&mut self, event: Event) {
        if matches!(event, Event::Refused(Refusal::Code(1))) {
            self.refused += 1;
        }
    }

    pub(crate) fn receive(
        &mut self,
        deadline: Instant,
        frame: &mut [u8; FRAME_BYTES_MAX],
    ) -> Received {
        let act = black_box(DAY).get(self.act).copied();
        self.act += 1;
        match act {
            Some(Act::Message(message)) => {
                frame[..message.len()].copy_from_slice(message);
                Received::Message(message.len())
            }
            Some(Act::Silence) => {
                self.now = deadline;
                Received::Nothing
            }
            Some(Act::Cut) => Received::Cut,
            Some(Act::End) | None => Received::Goodnight,
        }
    }

    /// Whether everything was played, and came to what it should.
    pub(crate) fn was_a_good_day(&self, stats: &Stats) -> bool {
        self.act == DAY.len()
            && (self.asked, self.refused, self.hung_up) == (3, 1, 1)
            && (stats.opened, stats.delivered, stats.acknowledged) == (2, 3, 3)
            && (stats.pongs, stats.bad_frames) == (2, 1)
            && u64::from(self.sent) == stats.pings + stats.acknowledged
    }
}
