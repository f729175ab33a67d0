//! A connection to the server, and what its errors mean.

use core::time::Duration;
use std::cell::RefCell;
use std::collections::HashMap;

use futures_util::StreamExt as _;
use futures_util::stream::poll_fn;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Config, Error, NoTls, Row, Statement};

use crate::desk::Told;
use crate::error::StoreError;

/// Patience of one attempt to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Patience with a server that does not acknowledge what we send, and the idle
/// time after which it is asked whether it is there.
const NETWORK_TIMEOUT: Duration = Duration::from_secs(5);

/// What holds for each session. A transaction of ours takes milliseconds: one that
/// stands still belongs to a machine that is gone, and must not hold its locks.
/// `synchronous_commit` is only ever made stronger, as more than `on` may be wanted.
const SESSION: &str = "
    SELECT set_config('application_name', 'xiaoo', false),
           set_config('client_min_messages', 'warning', false),
           set_config('lock_timeout', '2s', false),
           set_config('statement_timeout', '8s', false),
           set_config('idle_in_transaction_session_timeout', '3s', false);
    SELECT set_config('synchronous_commit', 'on', false)
     WHERE current_setting('synchronous_commit') = 'off'";

/// An open connection with its prepared statements.
pub(super) struct Link {
    client: Client,
    /// By their text, which is the program's own: there are as many as it has.
    statements: RefCell<HashMap<&'static str, Statement>>,
    driver: JoinHandle<()>,
}

/// What an error of the database means for whoever ran into it.
pub(super) enum Trouble {
    /// The connection is gone, or no use any more.
    Lost(String),
    /// Nothing of this transaction was stored.
    Refused(StoreError),
}

impl Link {
    /// Connects; what the server says by itself is a hint that there is work.
    pub(super) async fn open(config: &Config, told: &Told) -> Result<Self, Error> {
        let mut config = config.clone();
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        config
            .keepalives_idle(NETWORK_TIMEOUT)
            .tcp_user_timeout(NETWORK_TIMEOUT);
        let (client, mut connection) = config.connect(NoTls).await?;
        let told = told.clone();
        let driver = tokio::spawn(async move {
            let mut messages = poll_fn(move |context| connection.poll_message(context));
            // The last message, or the error that ends it, is told by the client too.
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notification(_) = message {
                    told.changed();
                }
            }
        });
        Ok(Self {
            client,
            statements: RefCell::default(),
            driver,
        })
    }

    /// Makes the connection what the engine's statements expect; they name tables
    /// without their schema.
    pub(super) async fn set_up(&self, schema: &str) -> Result<(), Error> {
        let path = format!("SET search_path TO \"{schema}\"; {SESSION}");
        self.client.batch_execute(&path).await
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Returns when the connection is gone.
    pub(super) async fn lost(&mut self) {
        // A driver that ended once must not be polled again.
        if !self.driver.is_finished() {
            drop((&mut self.driver).await);
        }
    }

    pub(super) async fn batch(&self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await
    }

    pub(super) async fn prepare(&self, sql: &'static str) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        self.statements.borrow_mut().insert(sql, statement.clone());
        Ok(statement)
    }

    pub(super) async fn rows(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        let statement = self.prepare(sql).await?;
        self.client.query(&statement, params).await
    }

    pub(super) async fn row(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, Error> {
        let statement = self.prepare(sql).await?;
        self.client.query_one(&statement, params).await
    }

    pub(super) async fn maybe_row(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, Error> {
        let statement = self.prepare(sql).await?;
        self.client.query_opt(&statement, params).await
    }

    /// Runs a statement and says how many rows it changed.
    pub(super) async fn run(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, Error> {
        let statement = self.prepare(sql).await?;
        self.client.execute(&statement, params).await
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Trouble {
    pub(super) fn of(error: &Error) -> Self {
        let detail = detail(error);
        let Some(state) = error.code() else {
            return Self::Lost(detail);
        };
        // The classes of SQLSTATE: its first two characters.
        match state.code().get(..2) {
            // Connection, start and stop of the server, and a standby that was
            // promoted away from: the next connection may find the right one.
            Some("08" | "57" | "25") if *state != SqlState::QUERY_CANCELED => Self::Lost(detail),
            _ if *state == SqlState::TOO_MANY_CONNECTIONS => Self::Lost(detail),
            // Out of disk, of memory, of something else.
            Some("53") => Self::Refused(StoreError::Full { detail }),
            // Somebody else was in the way.
            Some("40" | "55" | "57") => Self::Refused(StoreError::Busy { detail }),
            Some("58" | "XX") => Self::Refused(StoreError::Database { detail }),
            _ => Self::Refused(StoreError::Database { detail }),
        }
    }
}

/// What the server or the system said: never a value of a row, nor a password.
pub(super) fn detail(error: &Error) -> String {
    use core::error::Error as _;
    match (error.as_db_error(), error.source()) {
        (Some(error), _) => format!("{} ({})", error.message(), error.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}
