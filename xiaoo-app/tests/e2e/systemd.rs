//! What systemd hears from the daemon: when it can do its work, that its loops turn, and that it
//! stops.

use std::collections::VecDeque;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use feishu_sim::FaultKind;
use xiaoo_app::fail_point::Loop;

use crate::harness::{PATIENCE, Rig, Setup, Via};

/// As short as the slowest heart, the long connection's, allows.
const WATCHDOG: Duration = Duration::from_secs(12);
/// For a daemon that has none.
const SHORT_WATCHDOG: Duration = Duration::from_secs(2);

/// The other end of `NOTIFY_SOCKET`.
struct Listener {
    socket: UnixDatagram,
    heard: VecDeque<String>,
}

impl Listener {
    fn for_daemon_of(rig: &mut Rig, watchdog: Duration) -> Self {
        let path = rig.folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let micros = watchdog.as_micros();
        rig.daemon.wrapper = vec![
            "env".into(),
            format!("NOTIFY_SOCKET={}", path.display()),
            format!("WATCHDOG_USEC={micros}"),
        ];
        Self {
            socket,
            heard: VecDeque::new(),
        }
    }

    /// Waits for the next line with this beginning, and gives it and all before it.
    async fn until(&mut self, beginning: &str) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = Vec::new();
        loop {
            while let Some(line) = self.heard.pop_front() {
                lines.push(line);
                if lines.last().unwrap().starts_with(beginning) {
                    return lines;
                }
            }
            let mut buffer = [0; 4096];
            match self.socket.recv(&mut buffer) {
                Ok(bytes) => {
                    let datagram = str::from_utf8(&buffer[..bytes]).unwrap();
                    self.heard.extend(datagram.lines().map(str::to_owned));
                }
                Err(_) => {
                    assert!(Instant::now() < deadline, "no {beginning} after {lines:?}");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_when_feishu_delivers_fed_while_it_works_and_told_of_the_stop() {
    for (via, watchdog, times) in [
        (Via::LongConnection, WATCHDOG, 1),
        (Via::Webhook, SHORT_WATCHDOG, 3),
    ] {
        let mut rig = Rig::without_daemon(Setup {
            via,
            ..Setup::default()
        })
        .await;
        let mut systemd = Listener::for_daemon_of(&mut rig, watchdog);
        rig.spawn();
        let before = systemd.until("READY=1").await;
        assert_eq!(before[0], "STATUS=opening the store", "{before:?}");
        assert_eq!(rig.ready().await.0, 200, "{via:?}");
        assert_eq!(systemd.until("STATUS=").await, ["STATUS=Feishu delivers"]);
        for _ in 0..times {
            assert_eq!(systemd.until("WATCHDOG=1").await, ["WATCHDOG=1"]);
        }
        rig.daemon.signal("-TERM");
        systemd.until("STOPPING=1").await;
        // Twenty seconds of grace are the default, and the end takes its time, too.
        let extended = systemd.until("EXTEND_TIMEOUT_USEC=").await;
        assert_eq!(extended.last().unwrap(), "EXTEND_TIMEOUT_USEC=60000000");
        assert_eq!(rig.daemon.ended().await, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_outage_it_is_started_all_the_same_and_says_what_is_in_the_way() {
    let mut rig = Rig::without_daemon(Setup::default()).await;
    let mut systemd = Listener::for_daemon_of(&mut rig, WATCHDOG);
    rig.sim
        .faults()
        .add(FaultKind::EndpointStatus { status: 500 });
    rig.spawn();
    let before = systemd.until("READY=1").await;
    assert!(
        before
            .iter()
            .any(|line| line.starts_with("STATUS=not ready: ")),
        "{before:?}"
    );
    let after = systemd
        .until("STATUS=not ready: feishu websocket: not connected")
        .await;
    assert!(!after.iter().any(|line| line == "STATUS=Feishu delivers"));
    // Nothing stands still: it tries.
    systemd.until("WATCHDOG=1").await;
    rig.sim.faults().clear();
    systemd.until("STATUS=Feishu delivers").await;
    rig.daemon.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_that_stands_still_is_named_and_the_watchdog_goes_hungry() {
    for (place, name) in [
        (Loop::Lanes, "the turns of feishu"),
        (Loop::Urgent, "the urgent turns of feishu"),
        (Loop::Outbox, "the outbox of feishu"),
        (Loop::Http, "the HTTP server"),
    ] {
        let mut rig = Rig::without_daemon(Setup {
            via: Via::Webhook,
            ..Setup::default()
        })
        .await;
        let mut systemd = Listener::for_daemon_of(&mut rig, SHORT_WATCHDOG);
        rig.daemon.spawn_to_stand_still(place);
        let heard = systemd.until("STATUS=stands still: ").await;
        assert_eq!(
            heard.last().unwrap(),
            &format!("STATUS=stands still: {name}")
        );
        assert!(rig.log().contains("systemd will start the daemon again"));
        // What was fed before its first round is all that is ever fed.
        let fed = heard.iter().filter(|line| *line == "WATCHDOG=1").count();
        assert!(fed <= 1, "{heard:?}");
        rig.daemon.kill();
    }
}
