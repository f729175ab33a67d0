//! The xiaoO daemon for Feishu and Lark.

pub mod cli;
pub mod commands;
pub mod config;
pub mod render;
pub mod telemetry;
