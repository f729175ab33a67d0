//! Certificates that nobody should trust, each at every place where TLS is spoken.

use std::path::{Path, PathBuf};

use feishu_sim::SimConfig;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::doctor::{Produced, Run};
use crate::harness::daemon::free_port;
use crate::harness::{Rig, Setup, Via};
use crate::nginx::Nginx;

pub const PRODUCED: &[&str] = &["daemon-down", "public-tls", "tls-untrusted"];

/// A certificate that signs itself, with its key.
struct Certificate {
    authority: PathBuf,
    key: PathBuf,
}

impl Certificate {
    /// For this name, good in these years.
    fn new(folder: &Path, name: &str, years: [i32; 2]) -> Self {
        let mut about = CertificateParams::new(vec![name.to_owned()]).unwrap();
        about.not_before = date_time_ymd(years[0], 1, 1);
        about.not_after = date_time_ymd(years[1], 1, 1);
        let key = KeyPair::generate().unwrap();
        let made = about.self_signed(&key).unwrap();
        let place = |kind: &str| folder.join(format!("{name}-{}-{}.{kind}", years[0], years[1]));
        let certificate = Self {
            authority: place("crt"),
            key: place("key"),
        };
        std::fs::write(&certificate.authority, made.pem()).unwrap();
        std::fs::write(&certificate.key, key.serialize_pem()).unwrap();
        certificate
    }

    /// A real nginx that shows it at `port`, and passes all on to `target`.
    async fn shown(&self, port: u16, target: &str) -> Nginx {
        let locations = format!(
            "listen 127.0.0.1:{port} ssl;\nssl_certificate {};\nssl_certificate_key {};\n\
             location / {{ proxy_pass {target}; proxy_http_version 1.1;\n\
             proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection; }}",
            self.authority.display(),
            self.key.display()
        );
        Nginx::start(&locations).await
    }
}

const NOW: [i32; 2] = [2020, 2090];

/// What is wrong with each, though its authority is trusted.
const WRONG: [(&str, [i32; 2]); 3] = [
    ("127.0.0.1", [2020, 2021]),
    ("127.0.0.1", [2089, 2090]),
    ("elsewhere.example", NOW),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_to_be_trusted_is_named_wherever_it_is_shown() {
    let gate = free_port();
    let setup = Setup {
        sim: SimConfig {
            link_base: Some(format!("wss://127.0.0.1:{gate}")),
            ..Setup::default().sim
        },
        ..Setup::default()
    };
    // The gateway is only there for a moment: no daemon holds a link to it.
    let rig = Rig::without_daemon(setup).await;
    let folder = rig.folder.path();
    let platform = rig.sim.base_url();
    let model = rig.model.base_url();
    let mut produced = Produced::default();
    let untrusted = &["daemon-down", "tls-untrusted"];
    let base = format!("https://127.0.0.1:{gate}");

    let good = Certificate::new(folder, "127.0.0.1", NOW);
    let nginx = good.shown(gate, &platform).await;
    let trusting = Run::platform(&rig, &base).trusting(&good.authority);
    produced.by(&rig, trusting, &["daemon-down"]).await;
    // The calls, and the long connection alone.
    produced
        .by(&rig, Run::platform(&rig, &base), untrusted)
        .await;
    produced.by(&rig, Run::default(), untrusted).await;
    drop(nginx);

    for (name, years) in WRONG {
        let wrong = Certificate::new(folder, name, years);
        let _nginx = wrong.shown(gate, &platform).await;
        let run = Run::platform(&rig, &base).trusting(&wrong.authority);
        produced.by(&rig, run, untrusted).await;
    }

    // The model's server. The link is not looked at: a webhook has none.
    let port = free_port();
    let _nginx = good.shown(port, model.trim_end_matches("/v1")).await;
    let hidden = || {
        Run::config(&model, format!("https://127.0.0.1:{port}/v1"))
            .and("transport = \"websocket\"", "transport = \"webhook\"")
    };
    let mode = ["daemon-down", "subscription-mode"];
    let run = hidden().trusting(&good.authority);
    let found = crate::doctor::findings(&rig, run).await;
    assert_eq!(found, mode);
    let found = crate::doctor::findings(&rig, hidden()).await;
    assert_eq!(found, ["daemon-down", "subscription-mode", "tls-untrusted"]);

    let rig = Rig::via(Via::Webhook).await;
    let daemon = format!("http://127.0.0.1:{}", rig.daemon.port);
    let public = |port: u16| Run::args(["--public-url", &format!("https://127.0.0.1:{port}")]);
    let locations = |port: u16, certificate: &Certificate| {
        format!(
            "listen 127.0.0.1:{port} ssl;\nssl_certificate {};\nssl_certificate_key {};\n\
             location = /api/v1/health {{ proxy_pass {daemon}; }}\n\
             location = /api/v1/channels/xiaoo/events {{ proxy_pass {daemon}/api/v1/channels/feishu/events; }}",
            certificate.authority.display(),
            certificate.key.display()
        )
    };
    let port = free_port();
    let nginx = Nginx::start(&locations(port, &good)).await;
    let run = public(port).trusting(&good.authority);
    produced.by(&rig, run, &[]).await;
    produced.by(&rig, public(port), &["public-tls"]).await;
    drop(nginx);
    for (name, years) in WRONG {
        let wrong = Certificate::new(rig.folder.path(), name, years);
        let _nginx = Nginx::start(&locations(port, &wrong)).await;
        let run = public(port).trusting(&wrong.authority);
        produced.by(&rig, run, &["public-tls"]).await;
    }
    produced.are(PRODUCED);
}
