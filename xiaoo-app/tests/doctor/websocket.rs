//! The long connection's layers, broken one by one.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use feishu_sim::{Fault, FaultKind, SimConfig};
use model_sim::Script;

use crate::doctor::{Produced, Run, findings, output};
use crate::harness::daemon::PLANTED;
use crate::harness::{Daemon, Rig, Setup, Via};

pub const PLATFORM: &[&str] = &[
    "app-disabled",
    "bot-off",
    "clock-skew",
    "feishu-refuses",
    "feishu-silent",
    "feishu-trouble",
    "feishu-unreachable",
    "ip-not-allowed",
    "link-blocked",
    "link-forbidden",
    "link-refused",
    "no-endpoint",
    "not-published",
    "scope-missing",
    "secret-wrong",
    "too-many-connections",
];
pub const MODEL: &[&str] = &[
    "model-busy",
    "model-credit",
    "model-key",
    "model-refuses",
    "model-silent",
    "model-unknown",
    "model-unreachable",
];
pub const MACHINE: &[&str] = &[
    "ca-file-unusable",
    "config-wrong",
    "daemon-down",
    "dns-fails",
    "env-file-unreadable",
    "feishu-unreachable",
    "not-feishu",
    "port-taken",
    "proxy-unreachable",
    "second-daemon",
    "secret-wrong",
    "secrets-readable",
    "store-damaged",
    "unit-no-secrets",
    "unit-other-config",
    "variable-missing",
];

/// The promise is ten seconds; a busy machine gets more.
const GOOD_CASE_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_daemon_gives_no_alarm_and_all_is_said_in_time() {
    let rig = Rig::via(Via::LongConnection).await;
    let began = Instant::now();
    let (code, out) = output(&rig, Run::default(), &[]).await;
    assert_eq!(code, Some(0), "{out}");
    assert!(began.elapsed() < GOOD_CASE_WITHIN);
    for held in [
        "configuration is complete",
        "long connection opens",
        "model answers",
    ] {
        let line = out.lines().find(|line| line.contains(held)).unwrap();
        assert!(line.starts_with("ok "), "{out}");
    }
    // The daemon's own link is untouched.
    assert_eq!(rig.ready().await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_trouble_of_the_platform_is_named() {
    const INFO: &str = "GET /open-apis/bot/v3/info";
    const TOKEN: &str = "POST /open-apis/auth";
    let code = |code, target: &str| FaultKind::ApiCode { code, status: 200 }.on(target);
    let handshake = |status, auth_code| {
        Fault::from(FaultKind::Handshake {
            http_status: 403,
            status,
            auth_code,
        })
    };
    let endpoint = |code| Fault::from(FaultKind::EndpointCode { code });
    let cases: [(Fault, &str); 21] = [
        (FaultKind::ApiDate { skew: -300 }.on(INFO), "clock-skew"),
        (FaultKind::ApiDate { skew: 300 }.on(INFO), "clock-skew"),
        (
            FaultKind::ApiStatus { status: 502 }.on(INFO),
            "feishu-trouble",
        ),
        (FaultKind::ApiHang.on(INFO), "feishu-silent"),
        (FaultKind::ApiCut.on(INFO), "feishu-unreachable"),
        (code(10_014, TOKEN), "secret-wrong"),
        (code(99_991_662, TOKEN), "app-disabled"),
        (code(99_991_673, INFO), "not-published"),
        (code(230_006, INFO), "bot-off"),
        (code(99_991_401, INFO), "ip-not-allowed"),
        (code(99_991_672, INFO), "scope-missing"),
        (code(424_242, INFO), "feishu-refuses"),
        (endpoint(403), "link-forbidden"),
        (endpoint(514), "secret-wrong"),
        (endpoint(1_000_040_350), "too-many-connections"),
        (FaultKind::EndpointGarbage.into(), "no-endpoint"),
        (FaultKind::EndpointHang.into(), "feishu-silent"),
        (handshake(Some(403), None), "link-forbidden"),
        (
            handshake(Some(514), Some(1_000_040_350)),
            "too-many-connections",
        ),
        (handshake(Some(514), Some(1_000_040_344)), "link-refused"),
        (handshake(None, None), "link-blocked"),
    ];
    let rig = Rig::via(Via::LongConnection).await;
    let mut produced = Produced::default();
    for (fault, id) in cases {
        rig.sim.faults().set([fault]);
        produced.by(&rig, Run::default(), &[id]).await;
    }
    rig.sim.faults().clear();
    produced.by(&rig, Run::default(), &[]).await;
    produced.are(PLATFORM);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_trouble_of_the_model_is_named() {
    let rig = Rig::via(Via::LongConnection).await;
    let cases = [
        (Script::error(401, "bad key"), "model-key"),
        (Script::error(404, "no such model"), "model-unknown"),
        (Script::error(402, "no credit"), "model-credit"),
        (Script::error(429, "slow down"), "model-busy"),
        (Script::error(400, "bad parameter"), "model-refuses"),
        (Script::HangBeforeHeaders, "model-silent"),
    ];
    let mut produced = Produced::default();
    for (script, id) in cases {
        rig.model.script(script);
        produced.by(&rig, Run::default(), &[id]).await;
    }
    // One that thinks first, and can't in one token, works.
    let thinks = Script::error(400, "max_tokens must be greater than budget_tokens");
    rig.model.script(thinks);
    assert_eq!(findings(&rig, Run::default()).await, [""; 0]);
    // The model that the only agent asks, and no other.
    let own = "[[agents.list]]\nmodel = \"of-its-own\"\n";
    let before = rig.model.requests().len();
    let run = Run::config("[[agents.list]]\n", own);
    assert_eq!(findings(&rig, run).await, [""; 0]);
    let asked = rig.model.requests().split_off(before);
    let asked: Vec<_> = asked.iter().map(|asked| &asked.body["model"]).collect();
    assert_eq!(asked, ["of-its-own"]);
    let elsewhere = Run::config(rig.model.base_url(), "http://127.0.0.1:9/v1");
    produced.by(&rig, elsewhere, &["model-unreachable"]).await;
    produced.are(MODEL);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_trouble_of_the_machine_is_named() {
    let rig = Rig::via(Via::LongConnection).await;
    let folder = rig.folder.path();
    let put = |name: &str, text: &str, mode: u32| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = put("good.env", "A=1\n", 0o600);
    let open = put("open.env", "A=1\n", 0o644);
    let not_ours = "[Service]\nExecStart=/x daemon --config /etc/hosts\nEnvironmentFile=";
    let other = put("other.service", &format!("{not_ours}{good}\n"), 0o644);
    let joined = put(
        "joined.service",
        &format!("[Service]\nExecStart=/x daemon --config=/etc/hosts\nEnvironmentFile={good}\n"),
        0o644,
    );
    let own = folder.join("doctor.toml");
    let own = own.display();
    let bare = format!("[Service]\nExecStart=/x daemon --config {own}\n");
    let bare = put("bare.service", &bare, 0o644);
    let started = |env: &str| format!("[Service]\nExecStart=/x daemon --config {own}\n{env}");
    let lacking = started(&format!("EnvironmentFile={good}\n"));
    let lacking = put("lacking.service", &lacking, 0o644);
    let secrets = format!(
        "E2E_SECRET={}\nE2E_MODEL_KEY={}\n",
        rig.sim.config().app_secret,
        PLANTED[0]
    );
    let whole = put("whole.env", &secrets, 0o600);
    let whole = started(&format!(
        "EnvironmentFile={good}\nEnvironmentFile={whole}\n"
    ));
    let whole = put("whole.service", &whole, 0o644);
    let half = started(&format!(
        "EnvironmentFile={good}\nEnvironment=E2E_MODEL_KEY=k\n"
    ));
    let half = put("half.service", &half, 0o644);
    let passed = started(&format!(
        "EnvironmentFile={good}\nPassEnvironment=E2E_SECRET E2E_MODEL_KEY\n"
    ));
    let passed = put("passed.service", &passed, 0o644);
    let damaged = put("damaged.db", &"not a database ".repeat(1_000), 0o600);
    let base = format!("base_url = \"{}\"", rig.sim.base_url());
    let at = |url: &str| Run::config(base.clone(), format!("base_url = \"{url}\""));
    let port_of_model = rig.model.address().port();
    let proxied = Run {
        env: vec![("HTTPS_PROXY", Some("http://127.0.0.1:9".into()))],
        ..at("https://open.feishu.cn")
    };
    let bad_ca = at(&format!("https://127.0.0.1:9\"\nca_file = \"{open}"));
    let cases: Vec<(Run, &[&str])> = vec![
        (Run::env("E2E_SECRET", None), &["variable-missing"]),
        (
            Run::env("E2E_SECRET", Some("wrong-secret")),
            &["secret-wrong"],
        ),
        (Run::config("transport =", "transprot ="), &["config-wrong"]),
        (Run::config("app_id =", "#"), &["config-wrong"]),
        (Run::config("app_secret_env =", "#"), &["config-wrong"]),
        (
            Run::config("transport = \"websocket\"", "transport = \"webhook\"")
                .and("verification_token =", "#"),
            &["config-wrong"],
        ),
        (Run::env("E2E_MODEL_KEY", None), &["variable-missing"]),
        (
            Run::config("enabled = true", "enabled = false"),
            &["config-wrong"],
        ),
        (Run::args(["--env-file", &good]), &[]),
        (Run::args(["--env-file", &open]), &["secrets-readable"]),
        (
            Run::args(["--env-file", "/nowhere"]),
            &["env-file-unreadable"],
        ),
        (Run::args(["--unit", &other]), &["unit-other-config"]),
        (Run::args(["--unit", &joined]), &["unit-other-config"]),
        (Run::args(["--unit", &bare]), &["unit-no-secrets"]),
        // What this shell has is nothing that the service has.
        (Run::args(["--unit", &lacking]), &["variable-missing"]),
        (Run::args(["--unit", &half]), &["variable-missing"]),
        (Run::args(["--unit", &passed]), &[]),
        (
            Run {
                env: vec![("E2E_SECRET", None), ("E2E_MODEL_KEY", None)],
                ..Run::args(["--unit", &whole])
            },
            &[],
        ),
        (
            Run::config(
                "[agents]",
                format!("[store]\nurl = \"sqlite:{damaged}\"\n[agents]"),
            ),
            &["store-damaged"],
        ),
        (at("http://127.0.0.1:9"), &["feishu-unreachable"]),
        (at("https://nowhere.invalid"), &["dns-fails"]),
        (
            at(&format!("http://127.0.0.1:{port_of_model}")),
            &["not-feishu"],
        ),
        (proxied, &["proxy-unreachable"]),
        (bad_ca, &["ca-file-unusable"]),
        (
            Run {
                port: Some(9),
                ..Run::default()
            },
            &["daemon-down", "second-daemon"],
        ),
        (
            Run {
                port: Some(port_of_model),
                ..Run::default()
            },
            &["port-taken", "second-daemon"],
        ),
    ];
    let mut produced = Produced::default();
    for (run, wanted) in cases {
        produced.by(&rig, run, wanted).await;
    }
    produced.are(MACHINE);

    // The same app on another machine: with a store of its own.
    let text = std::fs::read_to_string(folder.join("config.toml")).unwrap();
    let store = "[store]\nurl = \"sqlite:elsewhere.db\"\n[agents]";
    std::fs::write(
        folder.join("second.toml"),
        text.replacen("[agents]", store, 1),
    )
    .unwrap();
    let mut second = Daemon::new(
        folder.join("second.toml"),
        folder.join("second.log"),
        &rig.sim.config().app_secret,
    );
    second.start().await;
    assert_eq!(findings(&rig, Run::default()).await, ["second-daemon"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_and_a_missing_permission_are_named() {
    let draft = SimConfig {
        activate_status: 0,
        ..Setup::default().sim
    };
    let unable = SimConfig {
        granted_scopes: vec!["im:message.p2p_msg:readonly".into()],
        ..Setup::default().sim
    };
    for (sim, id) in [(draft, "not-published"), (unable, "scope-missing")] {
        let setup = Setup {
            sim,
            ..Setup::default()
        };
        let rig = Rig::without_daemon(setup).await;
        assert_eq!(findings(&rig, Run::default()).await, ["daemon-down", id]);
    }
}
