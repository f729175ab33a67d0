//! What the platform tells an app about itself.

use serde_json::{Value, json};

use super::error::ApiError;
use super::routes::{Call, Reply};
use crate::lock::lock;

/// The rights to read about subscriptions, and about versions; the first is for both.
const SELF_MANAGE: &str = "application:application:self_manage";
const READ_APP: &str = "admin:app.info:readonly";
const READ_VERSIONS: &str = "application:application.app_version:readonly";
/// The callback that is none of the events.
const CARD_ACTION: &str = "card.action.trigger";
/// `activate_status` of an app that no version was ever published of.
const NEVER_PUBLISHED: i64 = 0;
/// `status` of a version that passed its review, and of one that was not handed in.
const PASSED: i64 = 1;
const NOT_HANDED_IN: i64 = 4;

/// `GET /open-apis/application/v6/scopes`: what the tenant has granted.
#[expect(clippy::unnecessary_wraps, reason = "the shape of all handlers")]
pub(super) fn scopes(call: &Call<'_>) -> Result<Reply, ApiError> {
    let granted = call.shared.config.granted_scopes.iter();
    let scopes: Vec<Value> = granted
        .map(|name| json!({"scope_name": name, "grant_status": 1, "scope_type": "tenant"}))
        .collect();
    Ok(Reply::Data(json!({ "scopes": scopes })))
}

/// `GET /open-apis/event/v1/connection`: how many long connections are open.
#[expect(clippy::unnecessary_wraps, reason = "the shape of all handlers")]
pub(super) fn connections(call: &Call<'_>) -> Result<Reply, ApiError> {
    let open = lock(&call.shared.links).open_count();
    Ok(Reply::Data(json!({ "online_instance_cnt": open })))
}

/// `GET /open-apis/application/v6/applications/:app_id`: of the app itself alone.
pub(super) fn get(call: &Call<'_>) -> Result<Reply, ApiError> {
    itself(call, READ_APP)?;
    let config = &call.shared.config;
    let mode = match config.webhook_url {
        Some(_) => "webhook",
        None => "websocket",
    };
    let (callbacks, events): (Vec<&String>, Vec<&String>) = config
        .subscriptions
        .iter()
        .partition(|name| *name == CARD_ACTION);
    Ok(Reply::Data(json!({"app": {
        "app_id": config.app_id,
        "app_name": config.bot_name,
        "callback_info": {
            "callback_type": mode,
            "request_url": config.webhook_url,
            "subscribed_callbacks": callbacks,
        },
        "event": {
            "subscription_type": mode,
            "request_url": config.webhook_url,
            "subscribed_events": events,
        },
    }})))
}

/// `GET /open-apis/application/v6/applications/:app_id/app_versions`, the newest first.
pub(super) fn versions(call: &Call<'_>) -> Result<Reply, ApiError> {
    itself(call, READ_VERSIONS)?;
    let config = &call.shared.config;
    let draft = config.draft_subscriptions.as_ref().map(|subscriptions| {
        json!({
            "version_id": "oav_draft",
            "version": "1.0.1",
            "status": NOT_HANDED_IN,
            "publish_time": null,
            "event_infos": event_infos(subscriptions),
        })
    });
    let published = (config.activate_status != NEVER_PUBLISHED).then(|| {
        json!({
            "version_id": "oav_published",
            "version": "1.0.0",
            "status": PASSED,
            "publish_time": "1795000000",
            "event_infos": event_infos(&config.subscriptions),
        })
    });
    let items: Vec<Value> = draft.into_iter().chain(published).collect();
    let (start, size) = call.page(20, 50)?;
    Ok(Reply::Data(Reply::page(&items, start, size)))
}

/// Other apps are none of its business, and without the right it is not told of itself either.
fn itself(call: &Call<'_>, right: &str) -> Result<(), ApiError> {
    let config = &call.shared.config;
    let mut granted = config.granted_scopes.iter();
    if !granted.any(|scope| scope == SELF_MANAGE || scope == right) {
        let rights = format!("[{SELF_MANAGE}, {right}]");
        let message = format!("Access denied. One of the following scopes is required: {rights}.");
        return Err(ApiError::new(99_991_672, message));
    }
    if call.id(0) != config.app_id {
        return Err(ApiError::new(210_504, "app not found"));
    }
    if call.param("lang").is_none() {
        return Err(ApiError::field("lang is required"));
    }
    Ok(())
}

fn event_infos(subscriptions: &[String]) -> Vec<Value> {
    let events = subscriptions.iter().filter(|name| *name != CARD_ACTION);
    events.map(|name| json!({"event_type": name})).collect()
}
