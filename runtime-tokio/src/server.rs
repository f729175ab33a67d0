//! HTTP server with limits.
