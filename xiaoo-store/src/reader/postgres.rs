//! A server, read beside the daemons that work with it.

use core::future::Future;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_postgres::types::{FromSql, ToSql};
use tokio_postgres::{Client, Error, NoTls, Row};

use super::Batch;
use super::checks::{Check, EXAMPLES_MAX, Finding, How};
use super::records::{Columns, Record, Table};
use crate::command::size;
use crate::error::{OpenError, StoreError};
use crate::postgres;
use crate::url::PostgresUrl;

/// Rows in one batch: each may have a body of a megabyte.
const BATCH_ROWS: i64 = 32;

/// Patience with the server when a store is opened.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Patience with one answer; a check may read a whole table.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);

/// Whatever goes wrong here, nothing is changed.
const SESSION: &str = "
    SELECT set_config('application_name', 'xiaoo store', false),
           set_config('default_transaction_read_only', 'on', false),
           set_config('statement_timeout', '590s', false)";

pub(super) struct PostgresReader {
    client: Client,
    /// Drives the connection while one of our calls waits.
    runtime: Runtime,
    schema: i64,
}

impl PostgresReader {
    pub(super) fn open(url: &PostgresUrl) -> Result<Self, OpenError> {
        let server = url.to_string();
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| postgres::silent(&server, error))?;
        let open = async {
            let refused = |error: Error| postgres::refused(&server, &error);
            let connected = url.config().connect(NoTls).await;
            let (client, connection) = connected.map_err(refused)?;
            tokio::spawn(connection);
            let path = format!("SET search_path TO \"{}\"; {SESSION}", url.schema());
            client.batch_execute(&path).await.map_err(refused)?;
            let schema = postgres::identify(url, &client).await?;
            Ok((client, schema))
        };
        let (client, schema) = runtime
            .block_on(async { timeout(OPEN_TIMEOUT, open).await })
            .map_err(|_| postgres::silent(&server, "no answer in time"))??;
        Ok(Self {
            client,
            runtime,
            schema,
        })
    }

    pub(super) fn schema(&self) -> i64 {
        self.schema
    }

    pub(super) fn bytes(&self) -> Result<u64, StoreError> {
        let sql = "SELECT pg_database_size(current_database())";
        Ok(self.number(sql)? as u64)
    }

    pub(super) fn count(&self, sql: &str) -> Result<BTreeMap<String, u64>, StoreError> {
        let counts = self.rows(sql, &[])?;
        let counts = counts
            .iter()
            .map(|row| (row.get(0), size(row.get(1)) as u64));
        Ok(counts.collect())
    }

    pub(super) fn check(&self, check: &Check) -> Result<Finding, StoreError> {
        let (count, examples) = match check.how {
            // The server keeps its own files, and has tools of its own for them.
            How::Pages => return Ok(Finding::default()),
            How::Schema => {
                let missing = self.missing()?;
                (missing.len(), missing)
            }
            How::Rows(sql) => {
                let count = self.number(&format!("SELECT count(*) FROM ({sql}) AS wrong"))?;
                let sql = format!("SELECT label FROM ({sql}) AS wrong LIMIT {EXAMPLES_MAX}");
                let examples = if count > 0 {
                    self.rows(&sql, &[])?
                } else {
                    Vec::new()
                };
                (count, examples.iter().map(|row| row.get(0)).collect())
            }
        };
        let examples = examples.into_iter().take(EXAMPLES_MAX).collect();
        Ok(Finding {
            count: count as u64,
            examples,
        })
    }

    /// Tables and indexes that should be there and in order, and aren't.
    fn missing(&self) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT class.relname::text FROM pg_class AS class
             LEFT JOIN pg_index AS index ON index.indexrelid = class.oid
             WHERE class.relnamespace = to_regnamespace(current_schema()::text)
             AND class.relkind IN ('r', 'i')
             AND index.indisvalid IS NOT FALSE";
        let found: BTreeSet<String> = self.rows(sql, &[])?.iter().map(|row| row.get(0)).collect();
        Ok(postgres::objects(self.schema)
            .filter(|name| !found.contains(*name))
            .map(|name| format!("{name} is missing or not valid"))
            .collect())
    }

    pub(super) fn batch(&self, table: Table, after: i64) -> Result<Batch, StoreError> {
        let rows = self.rows(&table.sql("body"), &[&after, &i64::MAX, &BATCH_ROWS])?;
        let records = rows
            .iter()
            .map(|row| table.read(row))
            .collect::<Result<Vec<_>, _>>()?;
        let is_full = i64::try_from(records.len()).is_ok_and(|rows| rows >= BATCH_ROWS);
        Ok(Batch {
            next_after: records.last().map(Record::id).filter(|_| is_full),
            records,
            unreadable: 0,
        })
    }

    fn number(&self, sql: &str) -> Result<usize, StoreError> {
        let rows = self.rows(sql, &[])?;
        Ok(rows.first().map_or(0, |row| size(row.get(0))))
    }

    fn rows(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
        self.wait(self.client.query(sql, params))
    }

    fn wait<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
        let waited = async { timeout(ANSWER_TIMEOUT, answer).await };
        match self.runtime.block_on(waited) {
            Ok(answer) => answer.map_err(|error| postgres::store_error(&error)),
            Err(_) => Err(StoreError::Deadline {
                after: ANSWER_TIMEOUT,
            }),
        }
    }
}

impl Columns for Row {
    fn number(&self, column: usize) -> Result<i64, StoreError> {
        value(self, column)
    }

    fn maybe_number(&self, column: usize) -> Result<Option<i64>, StoreError> {
        value(self, column)
    }

    fn text(&self, column: usize) -> Result<String, StoreError> {
        value(self, column)
    }

    fn maybe_text(&self, column: usize) -> Result<Option<String>, StoreError> {
        value(self, column)
    }

    fn bytes(&self, column: usize) -> Result<Option<Vec<u8>>, StoreError> {
        value(self, column)
    }
}

fn value<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, StoreError> {
    row.try_get(column)
        .map_err(|error| postgres::store_error(&error))
}
