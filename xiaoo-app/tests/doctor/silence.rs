//! A network in which nothing ever answers. Doctor ends all the same, in time, and says where
//! the silence begins.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use feishu_sim::FaultKind;
use xiaoo_app::commands::doctor::ALL_WITHIN;

use crate::doctor::{Produced, Run, checks};
use crate::harness::{Rig, Via};

pub const PRODUCED: &[&str] = &[
    "daemon-silent",
    "feishu-silent",
    "model-silent",
    "proxy-unreachable",
    "public-unreachable",
];
pub const OF_NAMES: &[&str] = &["dns-fails", "public-dns", "webhook-off"];

/// To start, and to end: a busy machine gets some.
const AROUND: Duration = Duration::from_secs(10);
/// A connection on this machine opens at once, or not at all.
const OPENS_WITHIN: Duration = Duration::from_millis(500);

/// An address that swallows all that is sent to it, as behind a firewall that drops packets.
struct BlackHole {
    address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl BlackHole {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // Who is not accepted fills the queue; once it is full, the system drops what comes.
        rustix::net::listen(&listener, 0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        loop {
            match TcpStream::connect_timeout(&address, OPENS_WITHIN) {
                Ok(stream) => waiting.push(stream),
                Err(why) => {
                    assert_eq!(why.kind(), ErrorKind::TimedOut, "{why}");
                    break;
                }
            }
        }
        Self {
            address,
            _listener: listener,
            _waiting: waiting,
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// What is found, and that it took no longer than it may.
async fn in_time(produced: &mut Produced, rig: &Rig, run: Run, wanted: &[&str]) {
    let began = Instant::now();
    produced.by(rig, run, wanted).await;
    let took = began.elapsed();
    assert!(took < ALL_WITHIN + AROUND, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_answers_doctor_ends_in_time_and_names_each_layer() {
    let mut produced = Produced::default();
    let hole = BlackHole::new();
    let rig = Rig::via(Via::LongConnection).await;
    let model = rig.model.base_url();

    let all = Run {
        port: Some(hole.address.port()),
        args: vec!["--public-url".into(), hole.url()],
        ..Run::platform(&rig, &hole.url())
            .and(&model, format!("{}/v1", hole.url()))
            .and("transport = \"websocket\"", "transport = \"webhook\"")
    };
    let wanted = [
        "daemon-silent",
        "feishu-silent",
        "model-silent",
        "public-unreachable",
    ];
    in_time(&mut produced, &rig, all, &wanted).await;

    let proxied = Run {
        env: vec![("HTTPS_PROXY", Some(hole.url()))],
        ..Run::platform(&rig, "https://open.feishu.cn")
    };
    in_time(&mut produced, &rig, proxied, &["proxy-unreachable"]).await;

    // It is there, and says nothing.
    rig.daemon.signal("-STOP");
    in_time(&mut produced, &rig, Run::default(), &["daemon-silent"]).await;
    rig.daemon.signal("-CONT");
    produced.are(PRODUCED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_trickles_is_told_and_not_waited_for() {
    let rig = Rig::via(Via::LongConnection).await;
    // Each call by itself is in time, and so is each of those that are made again.
    let late = |target: &str| FaultKind::ApiLatency { ms: 4_000 }.on(target);
    rig.sim.faults().set([
        late("GET /open-apis/bot/v3/info"),
        late("GET /open-apis/event/v1/connection"),
    ]);
    let began = Instant::now();
    let lost = Run {
        port: Some(9),
        ..Run::default()
    };
    let checks = checks(&rig, lost).await;
    assert!(began.elapsed() < ALL_WITHIN + AROUND);
    let outcomes = ["scopes", "mode", "connections", "endpoint", "dial"].map(|id| {
        let check = checks.iter().find(|check| check["id"] == id).unwrap();
        (
            check["outcome"].as_str().unwrap(),
            check["finding"].as_str(),
        )
    });
    let [holds, fails, unknown] = ["holds", "fails", "unknown"];
    assert_eq!(
        outcomes,
        [
            (holds, None),
            (holds, None),
            (fails, Some("feishu-silent")),
            (unknown, None),
            (unknown, None),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_server_that_never_answers_is_named_and_not_waited_for() {
    let Some((server, address)) = silent_name_server() else {
        eprintln!("not looked at: port 53 is not ours (it takes root)");
        return;
    };
    let mut produced = Produced::default();
    let rig = Rig::via(Via::LongConnection).await;
    let resolv = rig.folder.path().join("resolv.conf");
    let text = format!("nameserver {address}\noptions timeout:30 attempts:3\n");
    std::fs::write(&resolv, text).unwrap();
    let mount = format!("mount --bind '{}' /etc/resolv.conf", resolv.display());
    let model = rig.model.base_url();
    let run = Run {
        args: vec!["--public-url".into(), "https://bot.feishu.invalid".into()],
        ..Run::platform(&rig, "https://open.feishu.invalid")
            .and(&model, "https://model.feishu.invalid/v1")
            .and("transport = \"websocket\"", "transport = \"webhook\"")
    };
    in_time(&mut produced, &rig, run.in_a_world(&mount), OF_NAMES).await;
    drop(server);
    produced.are(OF_NAMES);
}

/// A name server at the usual port of an address of this machine alone.
fn silent_name_server() -> Option<(UdpSocket, String)> {
    // Another test program may have taken one.
    for last in 1..=254 {
        let address = format!("127.0.53.{last}");
        match UdpSocket::bind((address.as_str(), 53)) {
            Ok(socket) => return Some((socket, address)),
            Err(why) if why.kind() == ErrorKind::AddrInUse => {}
            Err(why) => {
                assert_eq!(why.kind(), ErrorKind::PermissionDenied, "{why}");
                return None;
            }
        }
    }
    None
}
