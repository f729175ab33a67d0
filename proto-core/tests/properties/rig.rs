//! A machine, its clock, and the platform's side by hand.

use core::time::Duration;

use prost::Message as _;
use proto_core::conn::{
    AckError, AckToken, CloseReason, Connection, Epoch, LinkState, Memory, Outcome, Timer,
};
use proto_core::{Buffer, Config, EndpointReply, Instant};

use crate::support::{PlainFrame, Said, drain, grant};

/// What an endpoint answers with that has nothing to say about intervals.
pub(crate) const NO_CONFIG: &str = "{}";

pub(crate) struct Rig<M> {
    pub(crate) machine: Connection<M>,
    pub(crate) now: Instant,
    pub(crate) epoch: Epoch,
}

impl<M: Memory> Rig<M> {
    pub(crate) fn new(config: Config, seed: u64, memory: M) -> Self {
        let now = Instant::from_millis(1_000_000);
        Self {
            machine: Connection::new(now, config, seed, memory),
            now,
            epoch: Epoch::default(),
        }
    }

    /// A machine whose link has just opened.
    pub(crate) fn open(config: Config, memory: M) -> Self {
        let mut rig = Self::new(config, 7, memory);
        rig.connect(NO_CONFIG);
        rig
    }

    /// From a lost link, or none yet, to an open one.
    pub(crate) fn connect(&mut self, client_config: &str) {
        self.attempt();
        self.grant(client_config);
        self.machine.handle_open(self.now, self.epoch);
        self.drain();
        assert_eq!(self.machine.state(), LinkState::Open);
    }

    /// To the next attempt.
    pub(crate) fn attempt(&mut self) {
        while self.machine.state() != LinkState::Connecting {
            self.next_timer();
        }
    }

    pub(crate) fn grant(&mut self, client_config: &str) {
        let body = grant(1, client_config);
        let (status, body) = (200, body.as_bytes());
        let reply = EndpointReply::Http { status, body };
        self.machine.handle_endpoint(self.now, self.epoch, reply);
        self.drain();
    }

    pub(crate) fn lose(&mut self) -> Vec<Said> {
        self.machine
            .handle_closed(self.now, self.epoch, CloseReason::Transport);
        self.drain()
    }

    /// A message comes in; what is delivered, copied.
    pub(crate) fn receive(&mut self, message: &PlainFrame) -> Option<(AckToken, Vec<u8>)> {
        self.receive_bytes(&message.encode_to_vec())
    }

    pub(crate) fn receive_bytes(&mut self, message: &[u8]) -> Option<(AckToken, Vec<u8>)> {
        let delivery = self.machine.handle_message(self.now, self.epoch, message)?;
        Some((delivery.token, delivery.payload.to_vec()))
    }

    pub(crate) fn pong(&mut self, payload: &str) {
        let pong = PlainFrame::new(0, &[("type", "pong")], payload.as_bytes());
        assert_eq!(self.receive(&pong), None);
        self.drain();
    }

    pub(crate) fn acknowledge(&mut self, token: AckToken) -> Result<Vec<u8>, AckError> {
        let mut ack = Vec::new();
        self.machine
            .acknowledge(self.now, token, Outcome::Done, &mut ack)
            .map(|()| ack)
    }

    /// Lets time pass without any timer noticing.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// Lets whatever is due happen; nothing is due afterwards.
    pub(crate) fn fire(&mut self) -> Vec<Said> {
        self.machine.handle_timeout(self.now);
        let said = self.drain();
        if let Some((due, timer)) = self.machine.poll_timeout() {
            assert!(due > self.now, "{timer:?} is due after handle_timeout");
        }
        said
    }

    /// Jumps to the next deadline; which timer it was, and what it did.
    pub(crate) fn next_timer(&mut self) -> (Timer, Vec<Said>) {
        let (due, timer) = self.machine.poll_timeout().unwrap();
        self.now = due.max(self.now);
        (timer, self.fire())
    }

    /// Everything said, and which attempt is the current one.
    pub(crate) fn drain(&mut self) -> Vec<Said> {
        self.drain_by(&mut Vec::new())
    }

    pub(crate) fn drain_by(&mut self, scratch: &mut impl Buffer) -> Vec<Said> {
        let said = drain(&mut self.machine, self.now, scratch);
        for output in &said {
            if let Said::Fetch(epoch) = output {
                self.epoch = *epoch;
            }
        }
        said
    }
}
