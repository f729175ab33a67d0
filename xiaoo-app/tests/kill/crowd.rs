//! People who go on talking while the daemon dies, and what they must have
//! seen in the end.

use std::collections::HashMap;
use std::time::Duration;

use feishu_sim::view::{DeliveryState, Message};
use feishu_sim::{Sim, UserFile, UserMessage};
use model_sim::{ModelSim, Script};
use tokio::time::Instant;

use crate::harness::{Rig, is_card};

/// How often it is looked whether all is settled.
const LOOK_AGAIN: Duration = Duration::from_millis(300);
/// A file that people send, and want back.
pub const FILE: &str = "numbers.csv";

/// Somebody said something.
struct Said {
    chat: String,
    message_id: String,
    /// Whether it is a file.
    is_file: bool,
}

/// People in chats of their own.
pub struct Crowd {
    chats: Vec<String>,
    said: Vec<Said>,
}

/// What the checks counted.
#[derive(Debug, Default)]
pub struct Tally {
    pub said: usize,
    pub acknowledged: usize,
    pub answered: usize,
    pub notices: usize,
    pub lost: Vec<String>,
    pub doubled: Vec<String>,
    pub out_of_order: Vec<String>,
    pub unfinished: Vec<String>,
}

impl Crowd {
    pub fn new(sim: &Sim, model: &ModelSim, people: usize) -> Self {
        sends_back(model);
        let chats = (0..people)
            .map(|number| sim.add_p2p_chat(&format!("person {number}")).unwrap())
            .collect();
        Self {
            chats,
            said: Vec::new(),
        }
    }

    /// Somebody says something; every fourth message needs a tool, and every fifth is a file.
    pub fn says(&mut self, sim: &Sim, rng: &mut fastrand::Rng) {
        let chat = self.chats[rng.usize(..self.chats.len())].clone();
        let number = self.said.len();
        let is_file = number.is_multiple_of(5);
        let message = if is_file {
            a_file()
        } else if number.is_multiple_of(4) {
            UserMessage::text(format!("what time is it? ({number})"))
        } else {
            UserMessage::text(format!("message number {number}"))
        };
        let said = sim.user_says(message.in_chat(&chat));
        self.said.push(Said {
            chat,
            message_id: said.unwrap().message_id,
            is_file,
        });
    }

    /// Waits until nothing is owed any more, or nothing has changed for as long as
    /// `patience`. A look at everything is not cheap, and what is looked at needs the
    /// machine.
    pub async fn settles(&self, sim: &Sim, patience: Duration) {
        let mut ends = Instant::now() + patience;
        let mut seen = Vec::new();
        while Instant::now() < ends {
            let is_open = |said: &Said| {
                let message = sim.message(&said.message_id).unwrap();
                let state = message.delivery.unwrap().state;
                matches!(state, DeliveryState::Waiting | DeliveryState::Failed)
            };
            let tally = self.tally(sim, None);
            let is_settled = tally.lost.is_empty() && tally.unfinished.is_empty();
            if is_settled && !self.said.iter().any(is_open) {
                return;
            }
            let sees = vec![tally.acknowledged, tally.answered, tally.unfinished.len()];
            if sees != seen {
                seen = sees;
                ends = Instant::now() + patience;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Looks at everything that people see. `log` tells in which order the
    /// messages of a conversation were taken in.
    pub fn tally(&self, sim: &Sim, log: Option<&str>) -> Tally {
        let mut tally = Tally::default();
        let turns = log.map(turns).unwrap_or_default();
        let mut by_chat: HashMap<&str, Vec<Message>> = HashMap::new();
        for chat in &self.chats {
            by_chat.insert(chat, sim.messages(chat));
        }
        for said in &self.said {
            let messages = &by_chat[said.chat.as_str()];
            let id = &said.message_id;
            let asked = messages.iter().find(|one| one.message_id == *id).unwrap();
            let of_bot = |one: &&Message| {
                one.sender.is_self && one.parent_id.as_deref() == Some(id.as_str())
            };
            let (cards, answers): (Vec<&Message>, Vec<&Message>) = messages
                .iter()
                .filter(of_bot)
                .partition(|one| is_card(one, id));
            let (files, answers): (Vec<&Message>, Vec<&Message>) =
                answers.into_iter().partition(|one| !one.files.is_empty());
            tally.said += 1;
            let acked = asked.delivery.unwrap().state == DeliveryState::Acked;
            tally.acknowledged += usize::from(acked);
            tally.answered += usize::from(answers.len() == 1);
            let is_notice = |one: &&&Message| one.text.starts_with("Sorry");
            tally.notices += answers.iter().filter(is_notice).count();
            let has_answer = answers.iter().any(|one| !is_notice(&one));
            let files_owed = usize::from(said.is_file && has_answer);
            if acked && (answers.is_empty() || files.len() < files_owed) {
                tally.lost.push(id.clone());
            }
            if answers.len() > 1 || cards.len() > 1 || files.len() > files_owed {
                let (answers, cards, files) = (answers.len(), cards.len(), files.len());
                let what = format!("{id}: {answers} answers, {cards} cards, {files} files");
                tally.doubled.push(what);
            }
            let is_final = |card: &&Message| {
                let template = card.card.as_ref().map(|card| card.template.as_str());
                matches!(template, Some("green" | "red"))
            };
            if !cards.iter().all(is_final) || !asked.reactions.is_empty() {
                tally.unfinished.push(id.clone());
            }
        }
        for messages in by_chat.values() {
            let answers = messages
                .iter()
                .filter(|one| one.sender.is_self && one.card.is_none());
            let order: Vec<(u64, &str)> = answers
                .filter_map(|one| {
                    let asked = one.parent_id.as_deref()?;
                    Some((*turns.get(asked)?, asked))
                })
                .collect();
            for pair in order.windows(2) {
                if pair[0].0 > pair[1].0 {
                    let (first, second) = (pair[0], pair[1]);
                    tally
                        .out_of_order
                        .push(format!("{first:?} before {second:?}"));
                }
            }
        }
        tally
    }
}

impl Tally {
    pub fn assert_kept(&self, rig: &Rig) {
        let broken = !self.lost.is_empty()
            || !self.doubled.is_empty()
            || !self.out_of_order.is_empty()
            || !self.unfinished.is_empty();
        if broken {
            let path = std::env::temp_dir().join("xiaoo-kill.log");
            std::fs::write(&path, rig.log()).unwrap();
            panic!("{self:#?}\nthe daemon's log: {}", path.display());
        }
    }
}

/// Somebody sends the file.
pub fn a_file() -> UserMessage {
    UserMessage::file(UserFile::file(FILE, "left,3\nright,5\n"))
}

/// Has the model look at the clock, once more where it is told that this was interrupted, and then
/// send the file back: the one call may be made again by itself, the other may not.
pub fn sends_back(model: &ModelSim) {
    // Never the same call twice in a row: that would be taken for a circle.
    for (parity, arguments) in ["{}", r#"{"again": true}"#].into_iter().enumerate() {
        model.always_when(
            move |request| {
                let results = request.tool_results();
                let is_to_look = results.last().is_none_or(|it| it.contains("interrupted"));
                let is_turn = results.len() % 2 == parity;
                is_to_look && is_turn && request.last_user_message().contains(FILE)
            },
            Script::tool_call("current_time", arguments),
        );
    }
    let arguments = serde_json::json!({ "path": format!("files/{FILE}") });
    model.always_when(
        |request| {
            let results = request.tool_results();
            let has_looked = results.last().is_some_and(|it| it.contains("unix_seconds"));
            has_looked && request.last_user_message().contains(FILE)
        },
        Script::tool_call("send_file", arguments.to_string()),
    );
    model.always_for(FILE, Script::Answer("here it is".into()));
}

/// Which turn each message became: turns are numbered in the order in which
/// the store took them in, which is the order of their conversation.
fn turns(log: &str) -> HashMap<String, u64> {
    let mut turns = HashMap::new();
    for line in log.lines() {
        let Some((_, span)) = line.split_once("turn{id=") else {
            continue;
        };
        let turn = span.split(' ').next().and_then(|id| id.parse().ok());
        let message = span
            .split_once("message_id=\"")
            .and_then(|(_, rest)| rest.split('"').next());
        if let (Some(turn), Some(message)) = (turn, message) {
            turns.insert(message.to_owned(), turn);
        }
    }
    turns
}
