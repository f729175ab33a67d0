//! Which calls there are.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::error::ApiError;
use super::{BusinessCode, app, cardkit, cards, chats, files, messages, reactions, token};
use crate::shared::Shared;

/// One documented call.
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) access: Access,
    /// Calls a second: 50 for most.
    pub(super) per_second: usize,
    pub(super) handler: Handler,
}

type Handler = fn(&Call<'_>) -> Result<Reply, ApiError>;

/// Who may call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Anybody.
    Open,
    /// Holders of a tenant token.
    Token,
}

/// A call under way.
pub(super) struct Call<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) query: Vec<(String, String)>,
    /// What stood for `:name` in the path, in order.
    pub(super) ids: Vec<String>,
    pub(super) content_type: String,
    pub(super) body: Bytes,
}

impl Call<'_> {
    /// The `place`th id of the path.
    pub(super) fn id(&self, place: usize) -> &str {
        self.ids.get(place).map(String::as_str).unwrap_or_default()
    }

    pub(super) fn param(&self, key: &str) -> Option<&str> {
        self.params(key).next()
    }

    /// All values of a repeated parameter.
    pub(super) fn params(&self, key: &str) -> impl Iterator<Item = &str> {
        self.query
            .iter()
            .filter(move |(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON of a certain shape.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_json::from_slice(&self.body).map_err(|why| ApiError::field(why.to_string()))
    }

    /// `page_size` and where the page starts.
    pub(super) fn page(&self, default: usize, max: usize) -> Result<(usize, usize), ApiError> {
        let size = match self.param("page_size") {
            None => default,
            Some(text) => text
                .parse()
                .ok()
                .filter(|size| (1..=max).contains(size))
                .ok_or_else(|| ApiError::field(format!("page_size must be 1 to {max}")))?,
        };
        let start = match self.param("page_token") {
            None | Some("") => 0,
            Some(text) => text
                .strip_prefix("page_")
                .and_then(|place| place.parse().ok())
                .ok_or_else(|| ApiError::field("page_token is not one of ours"))?,
        };
        Ok((start, size))
    }
}

/// A success.
pub(super) enum Reply {
    /// `data` of the usual envelope.
    Data(Value),
    /// Members beside `code` and `msg`.
    Bare(Value),
    /// Not JSON.
    Bytes {
        mime: String,
        name: String,
        bytes: Bytes,
    },
}

impl Reply {
    /// A page of a list. `page_token` only while there is more.
    pub(super) fn page(items: &[Value], start: usize, size: usize) -> Value {
        let shown: Vec<&Value> = items.iter().skip(start).take(size).collect();
        let next = start + shown.len();
        let has_more = next < items.len();
        let mut page = json!({"items": shown, "has_more": has_more});
        if has_more && let Some(fields) = page.as_object_mut() {
            fields.insert("page_token".to_owned(), json!(format!("page_{next}")));
        }
        page
    }

    pub(super) fn response(self) -> Response {
        match self {
            Self::Data(data) => {
                let body = json!({"code": 0, "msg": "success", "data": data});
                super::answer(StatusCode::OK, 0, &body)
            }
            Self::Bare(mut body) => {
                if let Some(fields) = body.as_object_mut() {
                    fields.insert("code".to_owned(), json!(0));
                    fields.insert("msg".to_owned(), json!("ok"));
                }
                super::answer(StatusCode::OK, 0, &body)
            }
            Self::Bytes { mime, name, bytes } => {
                let mut response = Response::new(Body::from(bytes));
                let headers = response.headers_mut();
                if let Ok(mime) = HeaderValue::from_str(&mime) {
                    headers.insert(header::CONTENT_TYPE, mime);
                }
                let ascii: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
                let encoded: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
                let disposition =
                    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}");
                if let Ok(disposition) = HeaderValue::from_str(&disposition) {
                    headers.insert(header::CONTENT_DISPOSITION, disposition);
                }
                response.extensions_mut().insert(BusinessCode(0));
                response
            }
        }
    }
}

/// The route of a request and the ids in its path.
pub(super) fn find(method: &Method, path: &str) -> Option<(&'static Route, Vec<String>)> {
    ROUTES
        .iter()
        .filter(|route| route.method == method.as_str())
        .find_map(|route| Some((route, ids(route.path, path)?)))
}

fn ids(pattern: &str, path: &str) -> Option<Vec<String>> {
    let mut ids = Vec::new();
    let mut given = path.split('/');
    for wanted in pattern.split('/') {
        let segment = given.next()?;
        if wanted.starts_with(':') {
            if segment.is_empty() {
                return None;
            }
            ids.push(segment.to_owned());
        } else if segment != wanted {
            return None;
        }
    }
    given.next().is_none().then_some(ids)
}

const fn route(method: &'static str, path: &'static str, handler: Handler) -> Route {
    Route {
        method,
        path,
        access: Access::Token,
        per_second: 50,
        handler,
    }
}

/// Literal segments stand before `:names` that they could be taken for.
static ROUTES: &[Route] = &[
    Route {
        access: Access::Open,
        ..route(
            "POST",
            "/open-apis/auth/v3/tenant_access_token/internal",
            token::issue,
        )
    },
    route("GET", "/open-apis/bot/v3/info", chats::bot_info),
    route("GET", "/open-apis/event/v1/outbound_ip", chats::outbound_ip),
    route("GET", "/open-apis/event/v1/connection", app::connections),
    route("GET", "/open-apis/application/v6/scopes", app::scopes),
    route(
        "GET",
        "/open-apis/application/v6/applications/:app_id",
        app::get,
    ),
    route(
        "GET",
        "/open-apis/application/v6/applications/:app_id/app_versions",
        app::versions,
    ),
    route("POST", "/open-apis/im/v1/messages", messages::create),
    route("GET", "/open-apis/im/v1/messages", messages::list),
    route(
        "POST",
        "/open-apis/im/v1/messages/:message_id/reply",
        messages::reply,
    ),
    route(
        "GET",
        "/open-apis/im/v1/messages/:message_id",
        messages::get,
    ),
    route(
        "PUT",
        "/open-apis/im/v1/messages/:message_id",
        messages::edit,
    ),
    route(
        "PATCH",
        "/open-apis/im/v1/messages/:message_id",
        messages::patch,
    ),
    route(
        "DELETE",
        "/open-apis/im/v1/messages/:message_id",
        messages::delete,
    ),
    route(
        "POST",
        "/open-apis/im/v1/messages/:message_id/reactions",
        reactions::create,
    ),
    route(
        "GET",
        "/open-apis/im/v1/messages/:message_id/reactions",
        reactions::list,
    ),
    route(
        "DELETE",
        "/open-apis/im/v1/messages/:message_id/reactions/:reaction_id",
        reactions::delete,
    ),
    route(
        "GET",
        "/open-apis/im/v1/messages/:message_id/resources/:file_key",
        files::resource,
    ),
    route("POST", "/open-apis/im/v1/images", files::upload_image),
    route("GET", "/open-apis/im/v1/images/:image_key", files::download),
    route("POST", "/open-apis/im/v1/files", files::upload_file),
    route("GET", "/open-apis/im/v1/files/:file_key", files::download),
    route("GET", "/open-apis/im/v1/chats", chats::list),
    route("GET", "/open-apis/im/v1/chats/:chat_id", chats::get),
    route(
        "GET",
        "/open-apis/im/v1/chats/:chat_id/members",
        chats::members,
    ),
    route("GET", "/open-apis/contact/v3/users/batch", chats::users),
    route("GET", "/open-apis/contact/v3/users/:user_id", chats::user),
    Route {
        per_second: 5,
        ..route(
            "POST",
            "/open-apis/contact/v3/users/basic_batch",
            chats::basic_batch,
        )
    },
    route(
        "POST",
        "/open-apis/interactive/v1/card/update",
        cards::update_by_token,
    ),
    route("POST", "/open-apis/cardkit/v1/cards", cardkit::create),
    route(
        "PUT",
        "/open-apis/cardkit/v1/cards/:card_id",
        cardkit::replace,
    ),
    route(
        "PATCH",
        "/open-apis/cardkit/v1/cards/:card_id/settings",
        cardkit::settings,
    ),
    route(
        "POST",
        "/open-apis/cardkit/v1/cards/:card_id/batch_update",
        cardkit::batch_update,
    ),
    route(
        "POST",
        "/open-apis/cardkit/v1/cards/:card_id/elements",
        cardkit::add_elements,
    ),
    route(
        "PUT",
        "/open-apis/cardkit/v1/cards/:card_id/elements/:element_id/content",
        cardkit::stream,
    ),
    route(
        "PUT",
        "/open-apis/cardkit/v1/cards/:card_id/elements/:element_id",
        cardkit::replace_element,
    ),
    route(
        "PATCH",
        "/open-apis/cardkit/v1/cards/:card_id/elements/:element_id",
        cardkit::patch_element,
    ),
    route(
        "DELETE",
        "/open-apis/cardkit/v1/cards/:card_id/elements/:element_id",
        cardkit::delete_element,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_their_call_and_ids() {
        for (method, path, wanted, ids) in [
            (
                Method::POST,
                "/open-apis/im/v1/messages",
                "/open-apis/im/v1/messages",
                vec![],
            ),
            (
                Method::POST,
                "/open-apis/im/v1/messages/om_1/reply",
                "/open-apis/im/v1/messages/:message_id/reply",
                vec!["om_1"],
            ),
            (
                Method::DELETE,
                "/open-apis/im/v1/messages/om_1/reactions/r",
                "/open-apis/im/v1/messages/:message_id/reactions/:reaction_id",
                vec!["om_1", "r"],
            ),
            (
                Method::GET,
                "/open-apis/contact/v3/users/batch",
                "/open-apis/contact/v3/users/batch",
                vec![],
            ),
        ] {
            let (route, found) = find(&method, path).unwrap();
            assert_eq!(
                (route.path, found),
                (wanted, ids.into_iter().map(String::from).collect())
            );
        }
        for (method, path) in [
            (Method::GET, "/open-apis/im/v1/messages/"),
            (Method::GET, "/open-apis/im/v1/messages/a/b"),
            (Method::TRACE, "/open-apis/im/v1/messages"),
        ] {
            assert!(find(&method, path).is_none(), "{method} {path}");
        }
    }
}
