//! OpenAPI client.
