//! nginx on this machine: files that it refuses, and files that it doesn't run with.

use std::path::Path;

use crate::doctor::{Produced, Run};
use crate::harness::daemon::free_port;
use crate::harness::{Rig, Via};
use crate::nginx::Nginx;

pub const PRODUCED: &[&str] = &["nginx-config", "nginx-not-reloaded", "route-missing"];

/// Commands of a shell after which this is the machine's configuration of nginx.
fn installed(folder: &Path, text: &str) -> String {
    let file = folder.join("nginx.conf");
    std::fs::write(&file, text).unwrap();
    format!("mount --bind '{}' /etc/nginx/nginx.conf", file.display())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nginx_refuses_and_what_it_was_not_told_to_load_is_named() {
    let mut produced = Produced::default();
    let rig = Rig::via(Via::Webhook).await;
    let port = rig.daemon.port;
    let folder = rig.folder.path();
    let health = format!(
        "location = /api/v1/health {{ proxy_pass http://127.0.0.1:{port}/api/v1/health; }}"
    );
    let events = format!(
        "location = /api/v1/channels/xiaoo/events {{ \
         proxy_pass http://127.0.0.1:{port}/api/v1/channels/feishu/events; }}"
    );
    // Nothing but what is in the folder is written, and for nobody else: it takes no rights.
    let place = folder.display();
    let unused = free_port();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {place}/{kind};"))
        .concat();
    let file = |locations: &str| {
        format!(
            "user root; pid {place}/pid; error_log stderr;\nevents {{}}\n\
             http {{ access_log off; {temporary}\n\
             server {{ listen 127.0.0.1:{unused};\n{locations}\n}} }}\n"
        )
    };

    let broken = file(&events.replace("; }", " }"));
    let run = Run::default().in_a_world(&installed(folder, &broken));
    produced.by(&rig, run, &["nginx-config"]).await;

    // What runs has not been told of the events.
    let nginx = Nginx::start(&health).await;
    let public = || Run::args(["--public-url", &nginx.url()]);
    let both = format!("{health}\n{events}");
    let run = public().in_a_world(&installed(folder, &file(&both)));
    produced.by(&rig, run, &["nginx-not-reloaded"]).await;
    let run = public().in_a_world(&installed(folder, &file(&health)));
    produced.by(&rig, run, &["route-missing"]).await;
    produced.are(PRODUCED);
}
