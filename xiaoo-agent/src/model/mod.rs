//! One question to one OpenAI-compatible server.

mod config;
mod error;
mod reply;

pub use config::{
    AnswerLimits, InvalidModelConfig, ModelConfig, ModelTimeouts, Provider, RetryPolicy,
};
pub use error::ModelError;
pub use reply::{Finish, Reply, Usage};

/// A model that can be asked. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Model {
    config: std::sync::Arc<ModelConfig>,
}

impl Model {
    /// A model behind `http`, which should have a connect time-out of [`ModelTimeouts::CONNECT`]
    /// and no time-out on the whole request.
    ///
    /// # Errors
    /// When no request could be made with this configuration.
    pub fn new(http: reqwest::Client, config: ModelConfig) -> Result<Self, InvalidModelConfig> {
        let _ = http;
        Ok(Self {
            config: std::sync::Arc::new(config),
        })
    }

    /// What it was made with.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }
}
