//! Why a store could not be opened on a server, and the next step.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::link;
use crate::error::OpenError;

const NOT_THERE: &str = "check that the server runs, and the host and port in [store] url";
const WHO: &str = "check the user in [store] url, and the password: in the variable that \
    password_env names, in PGPASSWORD, or in the url";
const NO_DATABASE: &str = "make it on the server: CREATE DATABASE … OWNER …";
const NO_RIGHTS: &str = "let the user make the store's schema and its tables, on the server: \
    GRANT CREATE ON DATABASE … TO …; tables that are there already must be the user's own";
const TOO_OLD: &str = "the server must be PostgreSQL 13 or newer";
const FULL_HOUSE: &str = "each daemon needs two connections: raise max_connections on the server";
const ELSE: &str = "the server's log may say more";

/// What the server or the network said while the store was opened.
pub(crate) fn refused(server: &str, error: &Error) -> OpenError {
    OpenError::Server {
        server: server.to_owned(),
        detail: link::detail(error),
        to_do: to_do(error),
    }
}

/// Nothing was said.
pub(crate) fn silent(server: &str, detail: impl ToString) -> OpenError {
    OpenError::Server {
        server: server.to_owned(),
        detail: detail.to_string(),
        to_do: NOT_THERE,
    }
}

fn to_do(error: &Error) -> &'static str {
    match error.code() {
        // It asked for a password, and there is none.
        None if link::detail(error).contains("password missing") => WHO,
        None => NOT_THERE,
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => NO_DATABASE,
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => NO_RIGHTS,
        Some(code) if *code == SqlState::UNDEFINED_FUNCTION => TOO_OLD,
        Some(code) if *code == SqlState::TOO_MANY_CONNECTIONS => FULL_HOUSE,
        // Class 28: who we say we are.
        Some(code) if code.code().starts_with("28") => WHO,
        Some(_) => ELSE,
    }
}
