//! What the platform tells about the app itself.

use serde::Deserialize;

use super::calls::get;
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

/// `grant_status` of a right that was granted.
const GRANTED: i64 = 1;

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
}
