//! The xiaoO daemon for Feishu and Lark.

mod accept;
pub mod agents;
pub mod app;
pub mod bot;
pub mod cli;
pub mod clients;
pub mod commands;
pub mod config;
pub mod fail_point;
pub mod pipeline;
pub mod render;
pub mod routes;
pub mod stages;
pub mod store;
pub mod systemd;
pub mod telemetry;
