//! The socket that systemd listens on.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// One end of it.
#[derive(Debug)]
pub(super) struct Socket {
    datagrams: UnixDatagram,
    systemd: SocketAddr,
}

impl Socket {
    /// By the name that `NOTIFY_SOCKET` has: a path, or with `@` in front a name that is no file.
    pub(super) fn open(name: &str) -> io::Result<Self> {
        let systemd = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(name)?,
        };
        let datagrams = UnixDatagram::unbound()?;
        // Whoever does not read must not hold up the daemon.
        datagrams.set_nonblocking(true)?;
        Ok(Self { datagrams, systemd })
    }

    pub(super) fn send(&self, lines: &str) -> io::Result<()> {
        self.datagrams
            .send_to_addr(lines.as_bytes(), &self.systemd)
            .map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(systemd: &UnixDatagram) -> String {
        let mut buffer = [0; 64];
        let bytes = systemd.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..bytes].to_vec()).unwrap()
    }

    #[test]
    fn a_path_and_a_name_that_is_no_file_are_both_reached() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        Socket::open(path.to_str().unwrap())
            .unwrap()
            .send("READY=1")
            .unwrap();
        assert_eq!(heard(&systemd), "READY=1");

        let name = format!("xiaoo-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let systemd = UnixDatagram::bind_addr(&address).unwrap();
        Socket::open(&format!("@{name}"))
            .unwrap()
            .send("STOPPING=1")
            .unwrap();
        assert_eq!(heard(&systemd), "STOPPING=1");
    }

    #[test]
    fn nobody_who_does_not_read_holds_up_the_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let _deaf = UnixDatagram::bind(&path).unwrap();
        let socket = Socket::open(path.to_str().unwrap()).unwrap();
        // The kernel keeps some hundred datagrams at most.
        let refused = (0..100_000).find_map(|_| socket.send("STATUS=x").err());
        assert_eq!(refused.unwrap().kind(), io::ErrorKind::WouldBlock);
    }
}
