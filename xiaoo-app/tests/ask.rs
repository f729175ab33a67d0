//! Cards that ask, on the simulated platform: sent, pressed over both transports,
//! answered with a toast and the settled card.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test that can't go on fails the test"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use feishu_sim::view::ControlKind;
use feishu_sim::{CardAction as Press, Sim, SimConfig};
use proto_core::{Config, Event, HostPolicy, Verifier};
use runtime_tokio::link::{self, Dialer, LinkOptions, LinkStatus, TlsSource};
use runtime_tokio::openapi::{OpenApi, OpenApiConfig, Patience};
use runtime_tokio::server::{self, ServerLimits};
use runtime_tokio::webhook::{self, WebhookLimits, WebhookStats};
use runtime_tokio::{InboundEvent, Ingress, Transport, Verdict, WallClock};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use xiaoo_app::render::action::{CardAction, CardAnswer, Reply, Toast};
use xiaoo_app::render::ask::{
    ApprovalCard, ApprovalOutcome, By, Choice, QuestionCard, QuestionOutcome,
};
use xiaoo_app::render::language::Language;

const LI_LEI: &str = "ou_11e10000000000000000000000000001";
const ALICE: &str = "ou_a11ce000000000000000000000000003";
const SOON: Duration = Duration::from_secs(10);
/// 2026-11-28 16:05:00 in China.
const AT_MS: i64 = 1_795_853_100_000;

/// Words that try to be more than words.
const EVIL: &str = "rm -rf / ```\n<at id=all></at> ![x](img_no) **[link](http://a)** \u{202e}";

fn approval(what: &str) -> ApprovalCard<'_> {
    ApprovalCard {
        ask: "ask-7",
        tool: "shell",
        what,
        place: "/work/chats/oc_1",
        asked: LI_LEI,
        offers_always: true,
        language: Language::English,
    }
}

/// Takes presses as an application does, by the person who is asked alone.
#[derive(Default)]
struct App {
    taken: Mutex<Vec<(String, Reply, Transport)>>,
}

impl Ingress for App {
    async fn accept(&self, event: InboundEvent) -> Verdict {
        let parsed = Event::parse(&event.payload).unwrap();
        let Some(action) = CardAction::from_event(&parsed) else {
            return Verdict::Accepted;
        };
        let answer = match action.reply() {
            None => CardAnswer::default(),
            Some(_) if action.operator_open_id != LI_LEI => CardAnswer::toast(Toast::NOT_YOURS),
            Some((ask, reply)) => {
                let taken = (ask.to_owned(), reply.clone(), event.transport);
                self.taken.lock().unwrap().push(taken);
                CardAnswer {
                    toast: Some(Toast::TAKEN),
                    card: Some(settled(&action, &reply)),
                }
            }
        };
        Verdict::Answer(answer.to_bytes(Language::English))
    }
}

fn settled(action: &CardAction, reply: &Reply) -> Value {
    let by = By {
        open_id: &action.operator_open_id,
        at_ms: AT_MS,
    };
    let question = QuestionCard {
        ask: "ask-8",
        text: "Which one?",
        options: &[],
        asked: LI_LEI,
        language: Language::English,
    };
    match reply {
        Reply::Choice(choice) => approval("ls").settled(&ApprovalOutcome::Decided(*choice, by)),
        Reply::Option(_) => question.settled(&QuestionOutcome::Answered("by option", by)),
        Reply::Text(text) => question.settled(&QuestionOutcome::Answered(text, by)),
    }
}

struct Rig {
    sim: Sim,
    api: OpenApi,
    app: Arc<App>,
    stop: CancellationToken,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Rig {
    async fn start(transport: Transport) -> Self {
        let config = SimConfig {
            limits_on: false,
            ..SimConfig::default()
        };
        let sim = Sim::start(config).await.unwrap();
        let api = OpenApi::new(
            runtime_tokio::http::loopback_client().unwrap(),
            OpenApiConfig {
                base_url: sim.base_url(),
                app_id: sim.config().app_id.clone(),
                app_secret: sim.config().app_secret.clone().into(),
                patience: Patience::default(),
            },
        );
        let (app, stop) = (Arc::new(App::default()), CancellationToken::new());
        match transport {
            Transport::LongConnection => {
                let hosts = HostPolicy {
                    loopback: true,
                    ..HostPolicy::default()
                };
                let options = LinkOptions {
                    core: Config {
                        hosts,
                        ..Config::default()
                    },
                    dialer: Dialer::tcp(TlsSource::new(|| Err("no TLS in this test".into()))),
                    clock: WallClock::default(),
                };
                let running = link::run(
                    options,
                    api.clone(),
                    Arc::clone(&app),
                    LinkStatus::default(),
                    stop.clone(),
                );
                tokio::spawn(running);
                let up = sim.until(SOON, |sim| sim.link().up.then_some(()));
                up.await.expect("the link is up");
            }
            Transport::Webhook => {
                let token = sim.config().verification_token.clone();
                let router = webhook::router(
                    &["/events"],
                    Verifier::new(Some(&token), None).unwrap(),
                    Arc::clone(&app),
                    WebhookLimits::default(),
                    Arc::new(WebhookStats::default()),
                );
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                let serving =
                    server::serve(listener, router, ServerLimits::default(), stop.clone());
                tokio::spawn(serving);
                sim.set_webhook_url(Some(format!("http://{address}/events")));
            }
        }
        Self {
            sim,
            api,
            app,
            stop,
        }
    }

    async fn show(&self, card: &Value) -> String {
        let chat = self.sim.group_chat_id();
        let uuid = format!("uuid-{}", self.sim.messages(chat).len());
        let sent = self
            .api
            .create_message("chat_id", chat, "interactive", &card.to_string(), &uuid)
            .await;
        sent.unwrap().message_id
    }
}

#[tokio::test]
async fn a_press_is_answered_with_a_toast_and_the_settled_card_over_both_transports() {
    for transport in [Transport::LongConnection, Transport::Webhook] {
        let rig = Rig::start(transport).await;
        let message_id = rig.show(&approval("ls").asking()).await;
        let shown = rig.sim.message(&message_id).unwrap();
        assert_eq!(shown.mentions.len(), 1);
        assert_eq!(shown.mentions.first().unwrap().open_id, LI_LEI);
        let labels: Vec<String> = shown
            .card
            .unwrap()
            .buttons
            .into_iter()
            .map(|button| button.text)
            .collect();
        assert_eq!(labels, ["Allow once", "Always in this chat", "Deny"]);

        let press = Press::label(&message_id, "Always in this chat");
        let by_alice = rig.sim.press(press.clone().by(ALICE)).await.unwrap();
        assert_eq!(by_alice.toast(), Some("Only the person asked can answer"));
        assert_eq!(by_alice.toast_type(), Some("warning"));
        assert_eq!(by_alice.card.unwrap().buttons.len(), 3, "it stays open");
        assert!(rig.app.taken.lock().unwrap().is_empty());

        let by_li_lei = rig.sim.press(press.by(LI_LEI)).await.unwrap();
        assert_eq!(by_li_lei.toast(), Some("Got it"));
        let card = by_li_lei.card.unwrap();
        assert_eq!(
            (card.title.as_str(), card.template.as_str()),
            ("Allowed", "green")
        );
        assert!(card.controls.is_empty());
        let text = rig.sim.message(&message_id).unwrap().text;
        assert!(
            text.contains("allowed this always in this chat · 2026-11-28 16:05:00 (UTC+8)"),
            "{text}"
        );
        let expected = ("ask-7".to_owned(), Reply::Choice(Choice::Always), transport);
        assert_eq!(*rig.app.taken.lock().unwrap(), [expected]);
        assert_eq!(rig.sim.violations(), []);
    }
}

#[tokio::test]
async fn questions_are_answered_by_option_or_in_words() {
    let rig = Rig::start(Transport::LongConnection).await;
    let options = ["red".to_owned(), "<at id=all>".to_owned(), "x".repeat(200)];
    let with_options = QuestionCard {
        ask: "ask-8",
        text: EVIL,
        options: &options,
        asked: LI_LEI,
        language: Language::English,
    };
    let message_id = rig.show(&with_options.asking()).await;
    let press = Press {
        message_id,
        button: 1,
        ..Press::default()
    };
    rig.sim.press(press.by(LI_LEI)).await.unwrap();

    let with_field = QuestionCard {
        options: &[],
        ..with_options
    };
    let message_id = rig.show(&with_field.asking()).await;
    let controls = rig.sim.message(&message_id).unwrap().card.unwrap().controls;
    let kinds: Vec<ControlKind> = controls.iter().map(|control| control.kind).collect();
    assert_eq!(kinds, [ControlKind::Input, ControlKind::Button]);
    let press = Press::label(&message_id, QuestionCard::submit_label(Language::English))
        .by(LI_LEI)
        .with(QuestionCard::FIELD, "the <at id=all></at> one");
    let pressed = rig.sim.press(press).await.unwrap();
    assert_eq!(pressed.card.unwrap().title, "Answered");
    let text = rig.sim.message(&message_id).unwrap().text;
    assert!(text.contains("the <\u{200b}at id=all>"), "{text}");

    let taken: Vec<Reply> = rig
        .app
        .taken
        .lock()
        .unwrap()
        .iter()
        .map(|(_, reply, _)| reply.clone())
        .collect();
    let words = Reply::Text("the <at id=all></at> one".into());
    assert_eq!(taken, [Reply::Option(1), words]);
    assert_eq!(rig.sim.everyone_mentioned(), 0);
    assert_eq!(rig.sim.violations(), []);
}

#[tokio::test]
async fn no_words_break_a_card_or_reach_everyone() {
    let rig = Rig::start(Transport::LongConnection).await;
    let long = EVIL.repeat(400);
    let by = By {
        open_id: LI_LEI,
        at_ms: AT_MS,
    };
    for language in [Language::Chinese, Language::English] {
        let approval = ApprovalCard {
            ask: "ask-7",
            tool: &long,
            what: &long,
            place: EVIL,
            asked: LI_LEI,
            offers_always: false,
            language,
        };
        let options = vec![EVIL.to_owned(); 40];
        let question = QuestionCard {
            ask: "ask-8",
            text: &long,
            options: &options,
            asked: LI_LEI,
            language,
        };
        let nobody = ApprovalCard {
            asked: "nobody> <at id=all>",
            ..approval
        };
        let answered = QuestionOutcome::Answered(&long, by);
        for card in [
            approval.asking(),
            nobody.asking(),
            approval.settled(&ApprovalOutcome::Decided(Choice::Once, by)),
            approval.settled(&ApprovalOutcome::Decided(Choice::Deny, by)),
            approval.settled(&ApprovalOutcome::TimedOut),
            approval.settled(&ApprovalOutcome::Withdrawn),
            question.asking(),
            question.settled(&answered),
            question.settled(&QuestionOutcome::TimedOut),
            question.settled(&QuestionOutcome::Withdrawn),
        ] {
            let bytes = card.to_string().len();
            assert!(bytes < 28_000, "{bytes} bytes");
            let message_id = rig.show(&card).await;
            let shown = rig.sim.message(&message_id).unwrap();
            let html = shown.card.unwrap().html;
            assert!(
                !html.contains("<a href") && !html.contains("<img"),
                "{html}"
            );
            let ids: Vec<String> = shown.mentions.into_iter().map(|one| one.open_id).collect();
            assert!(ids.iter().all(|id| id == LI_LEI), "{ids:?}");
        }
    }
    assert_eq!(rig.sim.everyone_mentioned(), 0);
}
