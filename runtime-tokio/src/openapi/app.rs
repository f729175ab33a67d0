//! What the platform tells about the app itself.

use serde::Deserialize;
use serde_json::Value;

use super::calls::{get, segment};
use super::{ApiError, OpenApi};

/// A right that was asked for.
#[derive(Deserialize)]
struct Scope {
    scope_name: String,
    #[serde(default)]
    grant_status: i64,
}

#[derive(Deserialize)]
struct Scopes {
    #[serde(default)]
    scopes: Vec<Scope>,
}

#[derive(Deserialize)]
struct Connections {
    online_instance_cnt: u64,
}

/// What a version of the app says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppVersion {
    /// Its number, as people read it.
    pub version: String,
    /// Whether it was published; only such a version has an effect.
    pub is_published: bool,
    /// The events that it subscribes to.
    pub events: Vec<String>,
}

/// How the platform delivers to the app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct AppDelivery {
    /// The callbacks: buttons of cards.
    #[serde(default, rename = "callback_info")]
    pub callbacks: Option<Callbacks>,
    /// The events; not every platform tells.
    #[serde(default, rename = "event")]
    pub events: Option<Events>,
}

/// Where callbacks go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Callbacks {
    /// `websocket` or `webhook`.
    #[serde(default, rename = "callback_type")]
    pub mode: Option<String>,
    /// Which ones: `card.action.trigger`.
    #[serde(default, rename = "subscribed_callbacks")]
    pub subscribed: Vec<String>,
}

/// Where events go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Events {
    /// `websocket` or `webhook`.
    #[serde(default, rename = "subscription_type")]
    pub mode: Option<String>,
}

#[derive(Deserialize)]
struct ListedVersion {
    #[serde(default)]
    version: String,
    #[serde(default)]
    status: i64,
    /// A time as text; null or empty before.
    #[serde(default)]
    publish_time: Option<Value>,
    #[serde(default)]
    event_infos: Vec<EventInfo>,
}

#[derive(Deserialize)]
struct EventInfo {
    #[serde(default)]
    event_type: String,
}

#[derive(Deserialize)]
struct Versions {
    #[serde(default)]
    items: Vec<ListedVersion>,
}

#[derive(Deserialize)]
struct WithApp {
    app: AppDelivery,
}

/// `grant_status` of a right that was granted.
const GRANTED: i64 = 1;
/// `status` of a version that passed its review.
const PASSED: i64 = 1;
/// There is at most one that is not published yet, and it is the newest.
const VERSIONS_ASKED: &str = "2";

impl OpenApi {
    /// The rights that the tenant has granted to the app.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn granted_scopes(&self) -> Result<Vec<String>, ApiError> {
        let path = "/open-apis/application/v6/scopes".into();
        let listed: Scopes = self
            .call(get("GET /application/v6/scopes", path, &[]))
            .await?;
        let granted = listed.scopes.into_iter();
        Ok(granted
            .filter(|scope| scope.grant_status == GRANTED)
            .map(|scope| scope.scope_name)
            .collect())
    }

    /// How many long connections of the app are open.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn online_connections(&self) -> Result<u64, ApiError> {
        let path = "/open-apis/event/v1/connection".into();
        let told: Connections = self
            .call(get("GET /event/v1/connection", path, &[]))
            .await?;
        Ok(told.online_instance_cnt)
    }

    /// The app's newest versions, the newest first: the one in force, and the one that may
    /// wait to be published. Needs the right `application:application.app_version:readonly`
    /// or `application:application:self_manage`.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn newest_versions(&self) -> Result<Vec<AppVersion>, ApiError> {
        const NAME: &str = "GET /application/v6/applications/:app_id/app_versions";
        let app_id = segment(NAME, &self.0.config.app_id)?;
        let path = format!("/open-apis/application/v6/applications/{app_id}/app_versions");
        let query = [("lang", "zh_cn"), ("page_size", VERSIONS_ASKED)];
        let listed: Versions = self.call(get(NAME, path, &query)).await?;
        Ok(listed.items.into_iter().map(AppVersion::from).collect())
    }

    /// How the platform delivers to the app. Needs the right `admin:app.info:readonly` or
    /// `application:application:self_manage`.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn delivery(&self) -> Result<AppDelivery, ApiError> {
        const NAME: &str = "GET /application/v6/applications/:app_id";
        let app_id = segment(NAME, &self.0.config.app_id)?;
        let path = format!("/open-apis/application/v6/applications/{app_id}");
        let told: WithApp = self.call(get(NAME, path, &[("lang", "zh_cn")])).await?;
        Ok(told.app)
    }
}

impl From<ListedVersion> for AppVersion {
    fn from(listed: ListedVersion) -> Self {
        let has_time = match listed.publish_time {
            None | Some(Value::Null) => false,
            Some(Value::String(time)) => !time.is_empty(),
            Some(_) => true,
        };
        Self {
            version: listed.version,
            is_published: listed.status == PASSED && has_time,
            events: listed
                .event_infos
                .into_iter()
                .map(|event| event.event_type)
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_version_is_published_once_it_passed_and_has_a_time() {
        for (status, time, is_published) in [
            (1, json!("1776684746"), true),
            (1, json!(1_776_684_746), true),
            (1, json!(""), false),
            (1, Value::Null, false),
            (4, json!("1776684746"), false),
        ] {
            let listed = json!({
                "version": "1.0.2",
                "status": status,
                "publish_time": time,
                "event_infos": [{"event_type": "im.message.receive_v1"}],
            });
            let listed: ListedVersion = serde_json::from_value(listed).unwrap();
            let version = AppVersion {
                version: "1.0.2".into(),
                is_published,
                events: vec!["im.message.receive_v1".into()],
            };
            assert_eq!(AppVersion::from(listed), version, "{status} {time}");
        }
    }
}
