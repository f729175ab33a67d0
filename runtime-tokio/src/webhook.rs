//! Webhook routes.
