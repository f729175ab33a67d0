//! Sockets without sleep: this side has a core of its own, and waking up would
//! be waited for by the program that is measured.

use std::io::{ErrorKind, Read as _, Result, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A program that does nothing for so long is broken.
const PATIENCE: Duration = Duration::from_secs(10);
/// Tries between two looks at the clock.
const TRIES: u32 = 1024;

/// Reads what is there as soon as something is.
pub(crate) fn read(stream: &mut TcpStream, into: &mut [u8]) -> Result<usize> {
    until_ready(|| stream.read(into))
}

/// Writes everything.
pub(crate) fn write_all(stream: &mut TcpStream, bytes: &[u8]) -> Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = until_ready(|| stream.write(rest))?;
        rest = rest.get(written..).unwrap_or_default();
    }
    Ok(())
}

fn until_ready(mut call: impl FnMut() -> Result<usize>) -> Result<usize> {
    let begun = Instant::now();
    loop {
        for _ in 0..TRIES {
            match call() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
                done => return done,
            }
        }
        if begun.elapsed() > PATIENCE {
            return Err(ErrorKind::TimedOut.into());
        }
    }
}
