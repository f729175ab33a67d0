//! A filter below the websocket that lets no message above a limit through.
//!
//! A websocket library can only end the connection when a message is too long.
//! Feishu's link should survive that: here the bytes of such a message are
//! read and thrown away as they come, in constant memory. An unfragmented
//! message vanishes; of a fragmented one the frames beyond the limit are
//! emptied, so that what is left fails to decode and is counted as a bad frame.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes taken from the socket at once.
const READ_BYTES: usize = 16 * 1024;
/// The longest frame header: two bytes, a 64-bit length and a mask.
const HEADER_BYTES_MAX: usize = 14;
/// What ends the HTTP answer that precedes the first frame.
const HANDSHAKE_END: &[u8] = b"\r\n\r\n";

/// A byte stream from a websocket server, without messages above a limit.
#[derive(Debug)]
pub(super) struct Oversize<S> {
    inner: S,
    message_bytes_max: u64,
    dropped: Arc<AtomicU64>,
    stage: Stage,
    /// Payload bytes of the current message in frames before this one.
    message_bytes: u64,
    header: Header,
    raw: Box<[u8]>,
    raw_at: usize,
    raw_end: usize,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Inside the HTTP answer; so many bytes of its end have been seen.
    Handshake(usize),
    /// Collecting a frame's header.
    Header,
    /// Handing a header on; so many of its bytes are handed on, then so many
    /// payload bytes pass or are thrown away.
    EmitHeader {
        done: usize,
        pass: u64,
        skip: u64,
    },
    Pass(u64),
    Skip(u64),
}

#[derive(Clone, Copy, Debug, Default)]
struct Header {
    bytes: [u8; HEADER_BYTES_MAX],
    len: usize,
}

impl<S> Oversize<S> {
    /// `dropped` counts the messages that were too long.
    pub(super) fn new(inner: S, message_bytes_max: usize, dropped: Arc<AtomicU64>) -> Self {
        Self {
            inner,
            message_bytes_max: message_bytes_max as u64,
            dropped,
            stage: Stage::Handshake(0),
            message_bytes: 0,
            header: Header::default(),
            raw: vec![0; READ_BYTES].into_boxed_slice(),
            raw_at: 0,
            raw_end: 0,
        }
    }

    /// Moves what is in `raw` on to `out` as far as both reach.
    fn filter(&mut self, out: &mut ReadBuf<'_>) {
        while out.remaining() > 0 {
            if let Stage::EmitHeader { done, pass, skip } = self.stage {
                let header = self
                    .header
                    .bytes
                    .get(done..self.header.len)
                    .unwrap_or_default();
                let step = header.len().min(out.remaining());
                out.put_slice(header.get(..step).unwrap_or_default());
                self.stage = if done + step < self.header.len {
                    Stage::EmitHeader {
                        done: done + step,
                        pass,
                        skip,
                    }
                } else {
                    self.header.len = 0;
                    if skip > 0 {
                        Stage::Skip(skip)
                    } else {
                        Stage::payload(pass)
                    }
                };
                continue;
            }
            let raw = self.raw.get(self.raw_at..self.raw_end).unwrap_or_default();
            let Some(first) = raw.first().copied() else {
                return;
            };
            match self.stage {
                Stage::Handshake(matched) => {
                    out.put_slice(&[first]);
                    self.raw_at += 1;
                    let matched = match HANDSHAKE_END.get(matched) {
                        Some(expected) if *expected == first => matched + 1,
                        _ => usize::from(first == b'\r'),
                    };
                    self.stage = if matched == HANDSHAKE_END.len() {
                        Stage::Header
                    } else {
                        Stage::Handshake(matched)
                    };
                }
                Stage::Header => {
                    self.raw_at += 1;
                    self.header.push(first);
                    if let Some(len) = self.header.payload_len() {
                        self.stage = self.judge(len);
                    }
                }
                Stage::Pass(left) => {
                    let step = bounded(left, raw.len().min(out.remaining()));
                    out.put_slice(raw.get(..step).unwrap_or_default());
                    self.raw_at += step;
                    self.stage = Stage::payload(left - step as u64);
                }
                Stage::Skip(left) => {
                    let step = bounded(left, raw.len());
                    self.raw_at += step;
                    self.stage = match left - step as u64 {
                        0 => Stage::Header,
                        left => Stage::Skip(left),
                    };
                }
                Stage::EmitHeader { .. } => {}
            }
        }
    }

    /// What is to happen to the frame whose header is complete.
    fn judge(&mut self, len: u64) -> Stage {
        let (is_control, starts, ends) = self.header.kind();
        if is_control {
            return Stage::EmitHeader {
                done: 0,
                pass: len,
                skip: 0,
            };
        }
        let before = if starts { 0 } else { self.message_bytes };
        let total = before.saturating_add(len);
        let fits = total <= self.message_bytes_max;
        self.message_bytes = if ends { 0 } else { total };
        if fits {
            return Stage::EmitHeader {
                done: 0,
                pass: len,
                skip: 0,
            };
        }
        if before <= self.message_bytes_max {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        if starts && ends {
            self.header.len = 0;
            return Stage::Skip(len);
        }
        self.header.set_empty();
        Stage::EmitHeader {
            done: 0,
            pass: 0,
            skip: len,
        }
    }
}

impl Stage {
    const fn payload(left: u64) -> Self {
        if left == 0 {
            Self::Header
        } else {
            Self::Pass(left)
        }
    }
}

impl Header {
    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.len) {
            *slot = byte;
            self.len += 1;
        }
    }

    /// Control frame, first frame of a message, last frame of a message.
    fn kind(&self) -> (bool, bool, bool) {
        let first = self.bytes.first().copied().unwrap_or_default();
        let opcode = first & 0x0f;
        (opcode >= 8, opcode != 0, first & 0x80 != 0)
    }

    /// The payload's length, once the header is complete.
    fn payload_len(&self) -> Option<u64> {
        let (_, second) = (self.bytes.first()?, *self.bytes.get(1)?);
        if self.len < 2 {
            return None;
        }
        let length_bytes = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask_bytes = if second & 0x80 == 0 { 0 } else { 4 };
        if self.len < 2 + length_bytes + mask_bytes {
            return None;
        }
        if length_bytes == 0 {
            return Some(u64::from(second & 0x7f));
        }
        let digits = self.bytes.get(2..2 + length_bytes)?;
        Some(
            digits
                .iter()
                .fold(0, |len, byte| len << 8 | u64::from(*byte)),
        )
    }

    /// The same frame without a payload.
    fn set_empty(&mut self) {
        if let Some(second) = self.bytes.get_mut(1) {
            *second = 0;
        }
        self.len = 2;
    }
}

fn bounded(left: u64, room: usize) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(room)
}

impl<S: AsyncRead + Unpin> AsyncRead for Oversize<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = out.filled().len();
        loop {
            this.filter(out);
            if out.filled().len() > before || out.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let mut raw = ReadBuf::new(&mut this.raw);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut raw))?;
            let read = raw.filled().len();
            (this.raw_at, this.raw_end) = (0, read);
            if read == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Oversize<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    const LIMIT: usize = 300;

    #[tokio::test]
    async fn long_messages_vanish_and_their_neighbours_stay() {
        let small = frame(0x82, &[1; 5]);
        let at_limit = frame(0x82, &[2; LIMIT]);
        let over = frame(0x82, &[3; LIMIT + 1]);
        let huge = frame(0x82, &vec![4; 70_000]);
        let ping = frame(0x89, b"hi");
        let sent = [&small[..], &over, &at_limit, &ping, &huge, &small].concat();
        let kept = [&small[..], &at_limit, &ping, &small].concat();
        for chunk in [1, 3, 7, 1000, 100_000] {
            assert_eq!(through(&sent, chunk).await, (kept.clone(), 2), "{chunk}");
        }
    }

    #[tokio::test]
    async fn a_long_fragmented_message_is_emptied_not_left_open() {
        let sent = [
            frame(0x02, &[1; 200]),
            frame(0x00, &[2; 200]),
            frame(0x89, b"hi"),
            frame(0x80, &[3; 200]),
            frame(0x82, &[4; 9]),
        ]
        .concat();
        let kept = [
            frame(0x02, &[1; 200]),
            frame(0x00, &[]),
            frame(0x89, b"hi"),
            frame(0x80, &[]),
            frame(0x82, &[4; 9]),
        ]
        .concat();
        for chunk in [1, 64, 100_000] {
            assert_eq!(through(&sent, chunk).await, (kept.clone(), 1), "{chunk}");
        }
    }

    async fn through(frames: &[u8], chunk: usize) -> (Vec<u8>, u64) {
        let answer = b"HTTP/1.1 101 Switching\r\n\r\n";
        let mut source = chunked(&[&answer[..], frames].concat(), chunk);
        let dropped = Arc::new(AtomicU64::new(0));
        let mut filter = Oversize::new(&mut source, LIMIT, Arc::clone(&dropped));
        let mut out = Vec::new();
        filter.read_to_end(&mut out).await.unwrap();
        let frames = out.strip_prefix(&answer[..]).unwrap().to_vec();
        (frames, dropped.load(Ordering::Relaxed))
    }

    /// A reader that hands out at most `chunk` bytes at once.
    fn chunked(bytes: &[u8], chunk: usize) -> impl AsyncRead + Unpin + use<> {
        struct Chunked(Vec<u8>, usize, usize);
        impl AsyncRead for Chunked {
            fn poll_read(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
                out: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                let end = (self.1 + self.2)
                    .min(self.0.len())
                    .min(self.1 + out.remaining());
                out.put_slice(&self.0[self.1..end]);
                self.1 = end;
                Poll::Ready(Ok(()))
            }
        }
        Chunked(bytes.to_vec(), 0, chunk)
    }

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            len @ 0..=125 => bytes.push(len as u8),
            len @ 126..=0xffff => {
                bytes.push(126);
                bytes.extend((len as u16).to_be_bytes());
            }
            len => {
                bytes.push(127);
                bytes.extend((len as u64).to_be_bytes());
            }
        }
        bytes.extend(payload);
        bytes
    }
}
