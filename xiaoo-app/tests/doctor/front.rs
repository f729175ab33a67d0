//! What answers in the daemon's place, or late.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::doctor::{Produced, Run};
use crate::harness::{Rig, Setup, Via};

pub const PRODUCED: &[&str] = &["anyone-accepted", "challenge-slow"];

/// More than Feishu waits for a challenge, and less than doctor.
const LATE: Duration = Duration::from_millis(1_300);

/// A tunnel in which each request stays for a while.
async fn tunnel(to: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            tokio::spawn(pass(near, to));
        }
    });
    port
}

async fn pass(near: TcpStream, to: u16) -> Option<()> {
    let far = TcpStream::connect(("127.0.0.1", to)).await.ok()?;
    let (mut near_in, mut near_out) = near.into_split();
    let (mut far_in, mut far_out) = far.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut far_in, &mut near_out).await });
    let mut request = [0; 4_096];
    loop {
        let bytes = near_in.read(&mut request).await.ok()?;
        tokio::time::sleep(LATE).await;
        far_out.write_all(request.get(..bytes)?).await.ok()?;
        if bytes == 0 {
            return Some(());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_way_and_a_daemon_that_takes_anybodys_word_are_named() {
    let mut produced = Produced::default();
    let rig = Rig::via(Via::Webhook).await;
    let port = tunnel(rig.daemon.port).await;
    let url = format!("http://127.0.0.1:{port}");
    let run = Run::args(["--public-url", &url]);
    produced.by(&rig, run, &["challenge-slow"]).await;

    // It runs with another configuration than the one that is looked at.
    let mut rig = Rig::without_daemon(Setup {
        via: Via::Webhook,
        ..Setup::default()
    })
    .await;
    let token = format!(
        "verification_token = \"{}\"",
        rig.sim.config().verification_token
    );
    let careless = "accept_unverified_events = true";
    rig.reconfigure(|text| text.replace(&token, careless));
    rig.start_daemon().await;
    rig.reconfigure(|text| text.replace(careless, &token));
    produced
        .by(&rig, Run::default(), &["anyone-accepted"])
        .await;
    produced.are(PRODUCED);
}
