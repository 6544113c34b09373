//! A store in one SQLite file.

mod read;
mod write;

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;
use std::path::Path;

use ota_manifest::JobId;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use super::{Batch, BoxFuture, JobEvent, Snapshot, Store, StoreError, StoreVersion};
use crate::audit::AuditRow;

/// The tables. Meant to be read by people and their own queries; columns are only ever added.
pub const SCHEMA: &str = include_str!("schema.sql");

/// How long a writer waits for another process to let go of the file.
const BUSY: Duration = Duration::from_secs(5);

/// Keeps rows in an SQLite file with a write-ahead log. A commit is on the disk when it returns.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    pool: SqlitePool,
}

impl SqliteStore {
    /// Opens the file, and makes it if it is not there.
    ///
    /// # Errors
    /// [`StoreError::Failed`] if the file cannot be opened, [`StoreError::Unreadable`] if it is of another schema.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        // Set per connection: a PRAGMA sent through the pool would reach one connection only.
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY);
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await.map_err(failed)?;
        sqlx::raw_sql(SCHEMA).execute(&pool).await.map_err(failed)?;
        add_columns(&pool).await?;
        let schema: i64 = sqlx::query_scalar("SELECT value FROM meta WHERE key = 'schema'")
            .fetch_one(&pool)
            .await
            .map_err(failed)?;
        if schema == 1 {
            Ok(Self { pool })
        } else {
            Err(StoreError::Unreadable(alloc::format!("schema {schema}, this program writes 1")))
        }
    }
}

impl Store for SqliteStore {
    fn load(&self) -> BoxFuture<'_, Result<Snapshot, StoreError>> {
        Box::pin(read::load(&self.pool))
    }

    fn commit(
        &self,
        batch: Batch,
        expected: StoreVersion,
    ) -> BoxFuture<'_, Result<StoreVersion, StoreError>> {
        Box::pin(write::commit(&self.pool, batch, expected))
    }

    fn timeline(&self, job: JobId) -> BoxFuture<'_, Result<Vec<JobEvent>, StoreError>> {
        Box::pin(read::timeline(&self.pool, job))
    }

    fn audit(&self, after: u64, limit: u32) -> BoxFuture<'_, Result<Vec<AuditRow>, StoreError>> {
        Box::pin(read::audit(&self.pool, after, limit))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.pool.close())
    }
}

/// Columns that came after the tables: a file that was made without them gets them, empty.
const ADDED: [(&str, &str, &str); 3] = [
    ("device", "trust", "ALTER TABLE device ADD COLUMN trust INTEGER"),
    ("job", "probes", "ALTER TABLE job ADD COLUMN probes INTEGER"),
    ("job_event", "probes", "ALTER TABLE job_event ADD COLUMN probes INTEGER"),
];

async fn add_columns(pool: &SqlitePool) -> Result<(), StoreError> {
    for (table, column, alter) in ADDED {
        let there: i64 = sqlx::query_scalar("SELECT count(*) FROM pragma_table_info($1) WHERE name = $2")
            .bind(table)
            .bind(column)
            .fetch_one(pool)
            .await
            .map_err(failed)?;
        if there == 0 {
            sqlx::raw_sql(alter).execute(pool).await.map_err(failed)?;
        }
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err asks for")]
fn failed(error: sqlx::Error) -> StoreError {
    StoreError::Failed(error.to_string())
}

/// An image of a release as JSON.
#[derive(serde::Serialize, serde::Deserialize)]
struct ImageJson {
    link_address: u32,
    sha256: alloc::string::String,
    size: u64,
    leaves_sha256: alloc::string::String,
    leaves_size: u64,
}
