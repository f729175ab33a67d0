//! The least that a device needs to hear events: decode, acknowledge, join parts,
//! and the connection machine in memory of its own. Everything here is for the figures
//! of `../run.sh`: what it costs in flash, and what in RAM.
//!
//! The link is a stub that plays one day: it opens, brings events and pongs,
//! falls silent, is cut, is refused, and opens again.

#![no_std]
#![no_main]

mod stub;

use cortex_m_rt::entry;
use cortex_m_semihosting::debug::{EXIT_FAILURE, EXIT_SUCCESS, exit};
use cortex_m_semihosting::hio;
use panic_halt as _;
use proto_core::conn::{CloseReason, Connection, Epoch, FixedMemory, Outcome, Output};
use proto_core::{Config, EndpointReply, Instant, Limits};
use proto_core_on_cortex_m4::StackUse;
use stub::{FRAME_BYTES_MAX, Received, Stub};

/// Four deliveries in flight, with the 300 bytes that each echoes; and one event
/// in at most four parts of 1,024 bytes together.
type Memory = FixedMemory<4, 1200, 1, 1024, 4>;

#[entry]
fn main() -> ! {
    // Owned by this function for good: cortex-m-rt hands out the one reference.
    static mut FRAME: [u8; FRAME_BYTES_MAX] = [0; FRAME_BYTES_MAX];
    let mut device = Device {
        machine: &mut machine(),
        wire: Stub::default(),
        out: heapless::Vec::new(),
        epoch: Epoch::default(),
    };
    let done = device.run(FRAME);
    let used = StackUse::measure().deepest;
    let reported = report(used).is_ok();
    exit(if done && reported {
        EXIT_SUCCESS
    } else {
        EXIT_FAILURE
    });
    loop {}
}

#[inline(never)]
fn machine() -> Connection<Memory> {
    let config = Config {
        limits: Limits {
            frame_bytes_max: FRAME_BYTES_MAX,
            ..Limits::default()
        },
        ..Config::default()
    };
    Connection::new(Instant::default(), config, 1, Memory::default())
}

/// The driver. Its steps are not inlined into each other, so that what one of
/// them takes of the stack the next can have.
struct Device<'a> {
    machine: &'a mut Connection<Memory>,
    wire: Stub,
    /// The message that goes out.
    out: heapless::Vec<u8, 512>,
    epoch: Epoch,
}

impl Device<'_> {
    /// Whether the day went as it should.
    fn run(&mut self, frame: &mut [u8; FRAME_BYTES_MAX]) -> bool {
        self.drain();
        while let Some((due, _)) = self.machine.poll_timeout() {
            match self.wire.receive(due, frame) {
                Received::Message(len) => self.hear(&frame[..len]),
                Received::Nothing => {}
                Received::Cut => {
                    let now = self.wire.now();
                    self.machine
                        .handle_closed(now, self.epoch, CloseReason::Transport);
                }
                Received::Goodnight => self.machine.close(self.wire.now()),
            }
            self.drain();
        }
        self.wire.was_a_good_day(self.machine.stats())
    }

    /// A device would act on the payload before it acknowledges.
    #[inline(never)]
    fn hear(&mut self, message: &[u8]) {
        let now = self.wire.now();
        let Some(delivery) = self.machine.handle_message(now, self.epoch, message) else {
            return;
        };
        let token = delivery.token;
        self.out.clear();
        let written = self
            .machine
            .acknowledge(now, token, Outcome::Done, &mut self.out);
        if written.is_ok() {
            self.wire.send(&self.out);
        }
    }

    /// Lets what is due happen, and does what the machine wants done.
    #[inline(never)]
    fn drain(&mut self) {
        let now = self.wire.now();
        self.machine.handle_timeout(now);
        while let Some(output) = self.machine.poll_output(now, &mut self.out) {
            match output {
                Output::FetchEndpoint(epoch) => {
                    self.epoch = epoch;
                    self.fetch();
                }
                Output::Connect { epoch, url } => {
                    if self.wire.dial(url) {
                        self.machine.handle_open(now, epoch);
                    }
                }
                Output::Send(message) => self.wire.send(message),
                Output::Disconnect(..) => self.wire.hang_up(),
                Output::Event(event) => self.wire.note(event),
            }
        }
    }

    #[inline(never)]
    fn fetch(&mut self) {
        let (status, body) = self.wire.ask_for_endpoint();
        let reply = EndpointReply::Http { status, body };
        self.machine
            .handle_endpoint(self.wire.now(), self.epoch, reply);
    }
}

/// One line for `../run.sh`, without the formatting machinery of `core`.
fn report(stack: usize) -> Result<(), ()> {
    let mut line = heapless::Vec::<u8, 64>::new();
    for (name, value) in [(&b"stack="[..], stack), (&b" frame="[..], FRAME_BYTES_MAX)] {
        line.extend_from_slice(name).map_err(drop)?;
        let mut divisor = 100_000;
        while divisor > 0 {
            line.push(b'0' + (value / divisor % 10) as u8)
                .map_err(drop)?;
            divisor /= 10;
        }
    }
    line.push(b'\n').map_err(drop)?;
    hio::hstdout()?.write_all(&line)
}
