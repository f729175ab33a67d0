//! A response's bytes, read with two clocks and three limits.

use core::time::Duration;
use std::pin::pin;

use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt, unfold};
use sse_stream::SseByteStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::accumulator::Accumulator;
use super::{AnswerLimits, ModelError};

/// The body of a response, in reads as they come. Ends with an error when nothing comes for
/// `idle`, or when more comes than the limits allow.
pub(super) fn reads(
    response: reqwest::Response,
    idle: Duration,
    limits: AnswerLimits,
) -> impl Stream<Item = Result<Bytes, ModelError>> + Send {
    let state = Some((response, Meter::new(limits)));
    unfold(state, move |state| async move {
        let (mut response, mut meter) = state?;
        let read = match timeout(idle, response.chunk()).await {
            Err(_) => Err(ModelError::Idle { waited: idle }),
            Ok(Err(error)) => Err(transport(error)),
            Ok(Ok(None)) => return None,
            Ok(Ok(Some(bytes))) => meter.take(&bytes).map(|()| bytes),
        };
        let state = read.is_ok().then_some((response, meter));
        Some((read, state))
    })
}

/// Reads a stream of events into `answer` until its end; calls `grown` when its text has grown.
pub(super) async fn events<S>(
    reads: S,
    answer: &mut Accumulator,
    no_progress: Duration,
    grown: &mut (dyn FnMut(&str) + Send),
) -> Result<(), ModelError>
where
    S: Stream<Item = Result<Bytes, ModelError>> + Send,
{
    let mut events = pin!(SseByteStream::new(reads));
    let mut deadline = Instant::now() + no_progress;
    loop {
        let event = match timeout_at(deadline, events.next()).await {
            Err(_) => {
                return Err(ModelError::NoProgress {
                    waited: no_progress,
                });
            }
            Ok(None) => return Ok(()),
            Ok(Some(Err(error))) => return Err(undecodable(error)),
            Ok(Some(Ok(event))) => event,
        };
        let data = event.data.as_deref().unwrap_or_default();
        let advance = answer.event(event.event.as_deref(), data)?;
        if advance.text {
            grown(answer.text());
        }
        if advance.progress {
            deadline = Instant::now() + no_progress;
        }
        if advance.done {
            return Ok(());
        }
    }
}

/// Reads a body to its end, up to `bytes_max`.
pub(super) async fn whole<S>(
    reads: S,
    bytes_max: usize,
    no_progress: Duration,
) -> Result<Vec<u8>, ModelError>
where
    S: Stream<Item = Result<Bytes, ModelError>> + Send,
{
    let mut reads = pin!(reads);
    let read = async {
        let mut body = Vec::new();
        while let Some(bytes) = reads.next().await {
            let bytes = bytes?;
            if body.len() + bytes.len() > bytes_max {
                return Err(ModelError::TooLarge {
                    what: "an answer in one piece",
                    limit_bytes: bytes_max,
                });
            }
            body.extend_from_slice(&bytes);
        }
        Ok(body)
    };
    timeout(no_progress, read)
        .await
        .unwrap_or(Err(ModelError::NoProgress {
            waited: no_progress,
        }))
}

/// A failed read or connection, without the address: an operator may have put a secret into it.
pub(super) fn transport(error: reqwest::Error) -> ModelError {
    let error = error.without_url();
    let mut what = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        what = format!("{what}: {error}");
        cause = error.source();
    }
    ModelError::Transport { what }
}

fn undecodable(error: sse_stream::Error) -> ModelError {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "not our enum, and non-exhaustive: the rest is one case to us"
    )]
    match error {
        // Ours, from `reads`, on its way through the decoder.
        sse_stream::Error::Body(error) => match error.downcast::<ModelError>() {
            Ok(error) => *error,
            Err(error) => ModelError::Transport {
                what: error.to_string(),
            },
        },
        other => ModelError::Malformed {
            what: other.to_string(),
        },
    }
}

/// Counts bytes on their way to the event decoder, which has no limits of its own.
#[derive(Debug)]
struct Meter {
    limits: AnswerLimits,
    stream_bytes: usize,
    event_bytes: usize,
    line_bytes: usize,
    after_cr: bool,
}

impl Meter {
    fn new(limits: AnswerLimits) -> Self {
        Self {
            limits,
            stream_bytes: 0,
            event_bytes: 0,
            line_bytes: 0,
            after_cr: false,
        }
    }

    /// An event ends at a blank line; CR, LF and CRLF end a line.
    fn take(&mut self, bytes: &[u8]) -> Result<(), ModelError> {
        self.stream_bytes = self.stream_bytes.saturating_add(bytes.len());
        if self.stream_bytes > self.limits.stream_bytes_max {
            return Err(ModelError::TooLarge {
                what: "the whole stream",
                limit_bytes: self.limits.stream_bytes_max,
            });
        }
        for byte in bytes {
            let second_half = self.after_cr && *byte == b'\n';
            self.after_cr = *byte == b'\r';
            match byte {
                b'\n' if second_half => {}
                b'\n' | b'\r' => {
                    if self.line_bytes == 0 {
                        self.event_bytes = 0;
                    }
                    self.line_bytes = 0;
                }
                _ => {
                    self.line_bytes += 1;
                    self.event_bytes += 1;
                }
            }
            if self.event_bytes > self.limits.event_bytes_max {
                return Err(ModelError::TooLarge {
                    what: "one event",
                    limit_bytes: self.limits.event_bytes_max,
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(stream_bytes_max: usize, event_bytes_max: usize) -> Meter {
        Meter::new(AnswerLimits {
            stream_bytes_max,
            event_bytes_max,
            ..AnswerLimits::default()
        })
    }

    #[test]
    fn an_event_may_have_its_limit_and_no_byte_more() {
        for separator in ["\n\n", "\r\n\r\n", "\r\r"] {
            let event = format!("data:12345{separator}");
            let mut meter = meter(1000, 10);
            for _ in 0..20 {
                for byte in event.bytes() {
                    assert_eq!(meter.take(&[byte]), Ok(()), "{separator:?}");
                }
            }
            assert!(meter.take(b"data:123456").is_err(), "{separator:?}");
        }
    }

    #[test]
    fn one_line_end_does_not_end_an_event() {
        let mut meter = meter(1000, 10);
        assert_eq!(meter.take(b"data:1\r\ndata"), Ok(()));
        assert!(meter.take(b":").is_err());
    }

    #[test]
    fn the_stream_may_have_its_limit_and_no_byte_more() {
        let mut meter = meter(4, 10);
        assert_eq!(meter.take(b"\n\n\n\n"), Ok(()));
        assert!(meter.take(b"\n").is_err());
    }
}
