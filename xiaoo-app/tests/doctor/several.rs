//! Several bots in one daemon: each is looked at, and each finding says whose it is.

use feishu_sim::{Sim, SimConfig};

use crate::doctor::{Run, checks};
use crate::harness::{Rig, Setup};

pub const PRODUCED: &[&str] = &["bot-off", "secret-wrong"];

/// A bot of this name on a platform of its own, and its lines of the configuration.
async fn bot(name: &str, app_id: &str) -> (Sim, String) {
    let config = SimConfig {
        app_id: app_id.into(),
        bot_open_id: format!("ou_bot-{name}"),
        ..Setup::default().sim
    };
    let sim = Sim::start(config).await.unwrap();
    let lines = format!(
        "[[channels.feishu.accounts]]\nchannel_instance_id = \"{name}\"\napp_id = \"{app_id}\"\n\
         app_secret_env = \"E2E_SECRET\"\ntransport = \"websocket\"\nbase_url = \"{}\"\n",
        sim.base_url()
    );
    (sim, lines)
}

/// Each finding, with the bot that it is about.
async fn found(rig: &Rig) -> Vec<(String, Option<String>)> {
    let checks = checks(rig, Run::default()).await;
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let found = checks
        .iter()
        .filter_map(|check| Some((text(&check["finding"])?, text(&check["about"]))));
    found.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_bots_each_is_looked_at_and_named() {
    let mut rig = Rig::without_daemon(Setup::default()).await;
    let (second, its_lines) = bot("second", "cli_0000000000000002").await;
    let (third, other_lines) = bot("third", "cli_0000000000000003").await;
    rig.reconfigure(|text| text + &its_lines + &other_lines);
    rig.start_daemon().await;
    assert!(found(&rig).await.is_empty(), "all are well");

    let code = |code| feishu_sim::FaultKind::ApiCode { code, status: 200 };
    second
        .faults()
        .set([code(10_014).on("POST /open-apis/auth")]);
    third
        .faults()
        .set([code(230_006).on("GET /open-apis/bot/v3/info")]);
    let about = |id: &str, name: &str| (id.to_owned(), Some(name.to_owned()));
    let [off, wrong] = PRODUCED else { panic!() };
    assert_eq!(
        found(&rig).await,
        [about(wrong, "second"), about(off, "third")]
    );
    let (_, out) = crate::doctor::output(&rig, Run::default(), &[]).await;
    let failed: Vec<_> = out
        .lines()
        .filter(|line| line.starts_with("FAILED"))
        .collect();
    let of = |name: &str| {
        failed
            .iter()
            .any(|line| line.contains(&format!("[{name}]")))
    };
    assert!(of("second") && of("third"), "{out}");
}
