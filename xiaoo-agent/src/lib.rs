//! Model providers, tools and the agent loop. Knows nothing of Feishu.
//!
//! Three layers, each usable without the one above it:
//!
//! * [`Model`] asks one OpenAI-compatible chat-completions server one question and reads its
//!   answer, streamed or not. What a server may send is decided in [`model::Accumulator`], which
//!   does no I/O.
//! * [`Tool`] and [`ToolSet`] are what the model may call; [`skill`] is what it can read up on.
//! * [`run_turn`] is the loop between the two: ask, run the tools that were asked for, ask again,
//!   until there is an answer.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use tokio_util::sync::CancellationToken;
//! use xiaoo_agent::{
//!     CurrentTime, Message, Model, ModelConfig, Provider, ToolSet, TurnRequest, run_turn,
//! };
//!
//! let config = ModelConfig::new(Provider::Ollama, "http://127.0.0.1:11434/v1", "qwen3");
//! let model = Model::new(reqwest::Client::new(), config)?;
//! let tools = ToolSet::new().with(CurrentTime::new(480))?;
//! let mut request = TurnRequest::new(Message::user("What day is it?"), &tools);
//! request.system = "Answer briefly.";
//! let outcome = run_turn(&model.into(), request, &mut (), &CancellationToken::new()).await?;
//! println!("{}", outcome.answer);
//! # Ok(())
//! # }
//! ```
//!
//! Absences that are promises: nothing here keeps a conversation (the caller passes the history
//! in and gets the new messages back), nothing is sent to a model twice after part of its answer
//! was shown, and no API key or request header is ever logged.

mod blocking;
pub mod chat;
mod cut;
pub mod document;
#[cfg(feature = "mcp")]
pub mod mcp;
pub mod message;
pub mod model;
mod outputs;
pub mod sandbox;
pub mod skill;
pub mod tool;
pub mod turn;
pub mod workspace;

pub use chat::{
    Approval, ApprovalRequest, Attachment, Chat, ChatError, Member, NoChat, OutgoingFile,
    PersonQuestion,
};
#[cfg(feature = "mcp")]
pub use mcp::{
    InvalidMcpServer, McpCommand, McpEndpoint, McpServer, McpServers, McpState, McpStatus, McpTool,
    McpTransport,
};
pub use message::{Image, Message, ToolCall};
pub use model::{
    Finish, InvalidModelConfig, Model, ModelChain, ModelConfig, ModelError, ModelTimeouts,
    Provider, Reply, RetryPolicy, Usage,
};
pub use skill::{
    Diagnostic, Invocation, LoadSkill, Origin, Skill, SkillLimits, SkillRegistry, SkillRoot, Skills,
};
pub use tool::{
    AskUser, ChatMembers, CurrentTime, HostRule, Intent, InvalidHostRule, InvalidTool, Shell,
    ShellSettings, Tool, ToolContext, ToolOutput, ToolSet, WebFetch, WebFetchSettings, file_tools,
};
pub use turn::{
    ApprovalRules, ModelUsage, Observer, Progress, RecordFailed, Recorded, TurnError, TurnFailed,
    TurnLimits, TurnOutcome, TurnRequest, effective_history, estimate_tokens, fit_history,
    repair_history, run_turn,
};
pub use workspace::{ReadOnly, Workspace, WorkspaceError};
