//! The Feishu platform on loopback: endpoint, websocket, webhook sender,
//! `OpenAPI`, chat page, and faults on demand.
//!
//! It stands on the platform's documentation and on what the official clients
//! do, and on nothing of the daemon's; of proto-core it uses the frame codec
//! alone, and looks at the bytes itself besides.
//!
//! ```no_run
//! # async fn example() -> Result<(), feishu_sim::SimError> {
//! use feishu_sim::{FaultKind, Sim, SimConfig, UserMessage};
//!
//! let sim = Sim::start(SimConfig::default()).await?;
//! println!("channels.feishu.base_url = {:?}", sim.base_url());
//! sim.faults().add(FaultKind::DropAfterPush.times(1));
//! let sent = sim.user_says(UserMessage::text("你好"))?;
//! # let _ = sent;
//! sim.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod changes;
mod clock;
mod config;
mod delivery;
mod events;
mod faults;
mod link;
mod lock;
mod log;
mod openapi;
mod outside;
mod people;
mod render;
mod server;
mod shared;
mod sim;
pub mod view;
mod webhook;
mod world;

pub use config::{ClientConfig, SimConfig};
pub use faults::{Fault, FaultKind, Faults};
pub use link::LinkAction;
pub use people::{CardAction, Forward, Pressed, SentEvent, UserFile, UserFileKind, UserMessage};
pub use sim::{Sim, SimError};
