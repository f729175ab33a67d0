//! The program that the sandbox's tests run: the sandbox's own helper, as the daemon is; and acts
//! of harm that a shell has no words for.

use std::collections::BTreeMap;
use std::env::args_os;
use std::error::Error;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, socket};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

fn main() -> ExitCode {
    if let Some(code) = xiaoo_agent::sandbox::entered(args_os()) {
        return code;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match act(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn act(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    match arguments {
        ["tcp", address] => {
            let address: SocketAddr = address.parse()?;
            TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        }
        ["udp", address] => {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.send_to(b"out", address)?;
        }
        ["unix", path] => {
            UnixStream::connect(path)?;
        }
        ["abstract", name] => {
            UnixStream::connect_addr(&UnixAddr::from_abstract_name(name)?)?;
        }
        ["datagram", path] => {
            // A pair needs no `socket`, and its ends may send elsewhere.
            let (one, _other) = UnixDatagram::pair()?;
            one.send_to(b"out", path)?;
        }
        ["pair"] => {
            let (mut one, _other) = UnixStream::pair()?;
            one.write_all(b"in")?;
        }
        ["raw"] => {
            socket(
                AddressFamily::INET,
                SocketType::RAW,
                Some(rustix::net::ipproto::ICMP),
            )?;
        }
        ["threads", count] => {
            let threads: Vec<_> = (0..count.parse::<usize>()?)
                .map(|_| {
                    std::thread::Builder::new()
                        .spawn(|| std::thread::park_timeout(Duration::from_secs(60)))
                })
                .collect::<Result<_, _>>()?;
            for thread in threads {
                let _ = thread.join();
            }
        }
        ["memory", mebibytes] => {
            let memory = vec![1_u8; mebibytes.parse::<usize>()? << 20];
            write!(
                std::io::stdout(),
                "{}",
                memory.iter().map(|b| u64::from(*b)).sum::<u64>() >> 20
            )?;
        }
        ["without-landlock", program, rest @ ..] => {
            let rules: BTreeMap<_, _> = [
                libc::SYS_landlock_create_ruleset,
                libc::SYS_landlock_add_rule,
                libc::SYS_landlock_restrict_self,
            ]
            .map(|call| (call, Vec::new()))
            .into();
            let filter = SeccompFilter::new(
                rules,
                SeccompAction::Allow,
                SeccompAction::Errno(u32::try_from(libc::ENOSYS)?),
                std::env::consts::ARCH.try_into()?,
            )?;
            let filter: BpfProgram = filter.try_into()?;
            apply_filter(&filter)?;
            return Err(Command::new(program).args(rest).exec().into());
        }
        _ => return Err("no such act".into()),
    }
    Ok(())
}
