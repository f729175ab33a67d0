//! One turn in a test: what it is given, what it told, and a tool that does what it is told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::{BoxFuture, FutureExt};
use model_sim::ModelSim;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use xiaoo_agent::{
    Approval, ApprovalRequest, ApprovalRules, Chat, ChatError, Member, Message, ModelChain, NoChat,
    Observer, OutgoingFile, PersonQuestion, Progress, RecordFailed, Recorded, Tool, ToolCall,
    ToolContext, ToolOutput, ToolSet, TurnError, TurnFailed, TurnLimits, TurnOutcome, TurnRequest,
    Usage, Workspace, run_turn,
};

use crate::common::model_at;

pub(crate) struct Run {
    pub(crate) system: &'static str,
    pub(crate) history: Vec<Message>,
    pub(crate) user: Message,
    pub(crate) resume: Vec<Recorded>,
    pub(crate) tools: ToolSet,
    pub(crate) approvals: ApprovalRules,
    pub(crate) workspace: Option<Workspace>,
    pub(crate) chat: Arc<dyn Chat>,
    pub(crate) limits: TurnLimits,
    pub(crate) seen: Seen,
    pub(crate) cancel: CancellationToken,
    probe_runs: Arc<AtomicU32>,
}

impl Run {
    pub(crate) fn new(user: &str) -> Self {
        Self {
            system: "",
            history: Vec::new(),
            user: Message::user(user),
            resume: Vec::new(),
            tools: ToolSet::new(),
            approvals: ApprovalRules::none(),
            workspace: None,
            chat: Arc::new(NoChat),
            limits: TurnLimits::default(),
            seen: Seen::default(),
            cancel: CancellationToken::new(),
            probe_runs: Arc::default(),
        }
    }

    pub(crate) fn with_probe(user: &str) -> Self {
        let mut run = Self::new(user);
        let tools = ToolSet::new();
        let tools = tools.with(Probe::new(&run.probe_runs, "probe")).unwrap();
        let tools = tools.with(Probe::new(&run.probe_runs, "look")).unwrap();
        run.tools = tools
            .with(Probe::new(&run.probe_runs, "load_skill"))
            .unwrap();
        run
    }

    pub(crate) async fn run(&mut self, sim: &ModelSim) -> Result<TurnOutcome, TurnError> {
        let result = self.run_on(&model_at(&sim.base_url(), |_| {}).into()).await;
        result.map_err(|failed| failed.error)
    }

    pub(crate) async fn run_on(
        &mut self,
        models: &ModelChain,
    ) -> Result<TurnOutcome, Box<TurnFailed>> {
        let mut seen = std::mem::take(&mut self.seen);
        let result = self.run_with(models, &mut seen).await;
        self.seen = seen;
        result
    }

    pub(crate) async fn run_with<O: Observer>(
        &self,
        models: &ModelChain,
        observer: &mut O,
    ) -> Result<TurnOutcome, Box<TurnFailed>> {
        let request = TurnRequest {
            system: self.system,
            history: &self.history,
            user: self.user.clone(),
            resume: self.resume.clone(),
            tools: &self.tools,
            approvals: self.approvals.clone(),
            workspace: self.workspace.clone(),
            chat: Arc::clone(&self.chat),
            limits: self.limits,
        };
        let turn = run_turn(models, request, observer, &self.cancel);
        // What the daemon does with it: it must be able to move between threads.
        let turn: BoxFuture<'_, _> = turn.boxed();
        turn.await
    }

    pub(crate) fn probe_runs_counter(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.probe_runs)
    }

    pub(crate) fn probe_runs(&self) -> u32 {
        self.probe_runs.load(Ordering::SeqCst)
    }
}

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) progress: Vec<Progress>,
    pub(crate) recorded: Vec<Recorded>,
    pub(crate) refuse: bool,
}

impl Seen {
    pub(crate) fn messages(&self) -> Vec<Message> {
        let messages = self.recorded.iter().filter_map(Recorded::message);
        messages.cloned().collect()
    }

    /// What was recorded, by first letter; the start of a call is `s`.
    pub(crate) fn steps(&self) -> String {
        let letters = self.recorded.iter();
        let letters = letters.map(|step| step.message().map_or("s", letter));
        letters.collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn saw(&self, is_it: impl Fn(&Progress) -> bool) -> bool {
        self.progress.iter().any(is_it)
    }
}

impl Observer for Seen {
    fn progress(&mut self, progress: Progress) {
        self.progress.push(progress);
    }

    async fn record(&mut self, step: &Recorded) -> Result<(), RecordFailed> {
        if self.refuse {
            return Err(RecordFailed("disk full".into()));
        }
        self.recorded.push(step.clone());
        Ok(())
    }
}

/// Counts its calls, and does what it is told. As `look` it may be run again.
struct Probe {
    runs: Arc<AtomicU32>,
    name: &'static str,
}

impl Probe {
    fn new(runs: &Arc<AtomicU32>, name: &'static str) -> Self {
        let runs = Arc::clone(runs);
        Self { runs, name }
    }
}

impl Tool for Probe {
    fn name(&self) -> &str {
        self.name
    }

    fn description(&self) -> &str {
        "a test"
    }

    fn parameters(&self) -> Value {
        json!({"type": "object", "properties": {"do": {"type": "string"}}})
    }

    fn is_repeatable(&self) -> bool {
        self.name == "look"
    }

    fn needs_approval(&self, arguments: &Value) -> bool {
        arguments["do"] == "danger"
    }

    fn call<'a>(&'a self, arguments: Value, context: &'a ToolContext) -> BoxFuture<'a, ToolOutput> {
        let runs = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            match arguments.get("do").and_then(Value::as_str) {
                Some("panic") => panic!("on demand"),
                Some("hang") => std::future::pending().await,
                Some("block") => {
                    #[expect(clippy::disallowed_methods, reason = "what a bad tool does")]
                    std::thread::sleep(std::time::Duration::from_secs(3));
                    ToolOutput::ok("blocked")
                }
                Some("flood") => ToolOutput::ok("x".repeat(5000)),
                Some("members") => {
                    let members = context.chat.members().await.unwrap();
                    let root = context.workspace.as_ref().unwrap().root().display();
                    ToolOutput::ok(format!("{members:?} {root}"))
                }
                _ => ToolOutput::ok(format!("ran {runs}")),
            }
        }
        .boxed()
    }
}

/// A chat whose people answer as they were told to, each after a long while.
#[derive(Default)]
pub(crate) struct People {
    pub(crate) approvals: Mutex<VecDeque<Approval>>,
    pub(crate) asked: Mutex<Vec<ApprovalRequest>>,
    pub(crate) answer: Option<String>,
}

impl People {
    /// Longer than any tool or turn may take in these tests.
    pub(crate) const SLOW: std::time::Duration = std::time::Duration::from_secs(3_600);

    /// Lets the time go by. It stands still for nobody but those who say so.
    async fn take_long() {
        tokio::time::pause();
        tokio::time::advance(Self::SLOW).await;
        // Whoever has run out of time gets to see it.
        tokio::task::yield_now().await;
        tokio::time::resume();
    }

    pub(crate) fn who_say(approvals: impl IntoIterator<Item = Approval>) -> Arc<Self> {
        Arc::new(Self {
            approvals: Mutex::new(approvals.into_iter().collect()),
            ..Self::default()
        })
    }
}

impl Chat for People {
    fn members(&self) -> BoxFuture<'_, Result<Vec<Member>, ChatError>> {
        async {
            Ok(vec![Member {
                id: "ou_1".into(),
                name: "小明".into(),
            }])
        }
        .boxed()
    }

    fn approve<'a>(&'a self, request: &'a ApprovalRequest) -> BoxFuture<'a, Approval> {
        async move {
            self.asked.lock().unwrap().push(request.clone());
            Self::take_long().await;
            let next = self.approvals.lock().unwrap().pop_front();
            next.unwrap_or(Approval::TimedOut)
        }
        .boxed()
    }

    fn ask<'a>(&'a self, _: &'a PersonQuestion) -> BoxFuture<'a, Result<String, ChatError>> {
        async move {
            Self::take_long().await;
            self.answer.clone().ok_or(ChatError::TimedOut)
        }
        .boxed()
    }

    fn take_file(&self, _: OutgoingFile) -> BoxFuture<'_, Result<String, ChatError>> {
        async { Err(ChatError::Unavailable) }.boxed()
    }
}

pub(crate) fn asks_for(calls: &[(&str, &str, &str)]) -> Message {
    let call = |(id, name, arguments): &(&str, &str, &str)| ToolCall {
        id: (*id).to_owned(),
        name: (*name).to_owned(),
        arguments: (*arguments).to_owned(),
    };
    Message::Assistant {
        content: String::new(),
        reasoning: String::new(),
        tool_calls: calls.iter().map(call).collect(),
    }
}

pub(crate) fn asks(ids: &[&str]) -> Message {
    let calls: Vec<_> = ids.iter().map(|id| (*id, "probe", "{}")).collect();
    asks_for(&calls)
}

/// The record of a reply.
pub(crate) fn reply(reply: Message) -> Recorded {
    Recorded::Reply {
        reply,
        model: "m".into(),
        usage: Usage {
            prompt_tokens: 10,
            cached_tokens: 0,
            completion_tokens: 1,
            total_tokens: 11,
        },
    }
}

pub(crate) fn started(call_id: &str) -> Recorded {
    Recorded::Started {
        started: call_id.to_owned(),
    }
}

/// Who speaks, by first letter.
pub(crate) fn roles(messages: &[Message]) -> String {
    messages.iter().map(letter).collect::<Vec<_>>().join(" ")
}

fn letter(message: &Message) -> &'static str {
    match message {
        Message::User { .. } => "u",
        Message::Assistant { .. } => "a",
        Message::Tool { .. } => "t",
        Message::Summary { .. } => "S",
    }
}
