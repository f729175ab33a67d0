//! What the tests against the scripted server share.

use std::sync::Once;
use std::time::Duration;

use model_sim::{ModelSim, ModelSimConfig};
use xiaoo_agent::{Model, ModelConfig, Provider};

pub(crate) async fn start() -> ModelSim {
    ModelSim::start(ModelSimConfig::for_tests()).await.unwrap()
}

/// A client of the server, with retries that do not wait; `adjust` sets what the test is about.
pub(crate) fn model_at(api_base: &str, adjust: impl FnOnce(&mut ModelConfig)) -> Model {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut config = ModelConfig::new(Provider::Compatible, api_base, "m")
        .with_api_key(Some(KEY.to_owned().into()));
    config.retry.base = Duration::ZERO;
    adjust(&mut config);
    Model::new(http, config).unwrap()
}

pub(crate) const KEY: &str = "planted-secret";
