//! What people are called.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::calls::{get, segment};
use super::request::{Call, Payload};
use super::{ApiError, OpenApi};

/// People whose names are asked for at once; the platform's maximum.
const NAMES_MAX: usize = 10;

/// A person's name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PersonName {
    /// The person's open_id.
    pub user_id: String,
    /// The name.
    #[serde(default)]
    pub name: String,
}

#[derive(Deserialize)]
struct WithUsers {
    #[serde(default = "Vec::new")]
    users: Vec<PersonName>,
}

#[derive(Deserialize)]
struct WithUser {
    user: NameAlone,
}

#[derive(Deserialize)]
struct NameAlone {
    #[serde(default)]
    name: String,
}

impl OpenApi {
    /// The names of these people, ten a call. Whoever is not known to the
    /// platform is left out. It asks for the scope of basic profiles alone, and
    /// the app's contact range does not matter.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn user_names(&self, open_ids: &[&str]) -> Result<Vec<PersonName>, ApiError> {
        const NAME: &str = "POST /contact/v3/users/basic_batch";
        let mut names = Vec::with_capacity(open_ids.len());
        for some in open_ids.chunks(NAMES_MAX) {
            let call = Call {
                method: Method::POST,
                path: "/open-apis/contact/v3/users/basic_batch".into(),
                name: NAME,
                // The platform takes five a second, as it takes messages to one chat.
                target: Some("names"),
                query: &[("user_id_type", "open_id")],
                body: Payload::Json(json!({ "user_ids": some })),
            };
            names.extend(self.call::<WithUsers>(call).await?.users);
        }
        Ok(names)
    }

    /// The name of one person inside the app's contact range.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn user_name(&self, open_id: &str) -> Result<String, ApiError> {
        const NAME: &str = "GET /contact/v3/users/:user_id";
        let path = format!("/open-apis/contact/v3/users/{}", segment(NAME, open_id)?);
        self.call::<WithUser>(get(NAME, path, &[("user_id_type", "open_id")]))
            .await
            .map(|answer| answer.user.name)
    }
}
