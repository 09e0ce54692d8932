//! How the decision log and the events are read: on connections of their own, that cannot write, beside the writer's.

use crate::open;
use crate::{edits, failed};
use bulkhead_core::event::Event;
use bulkhead_core::ids::{DecisionId, Timestamp};
use bulkhead_core::log::{DecisionFilter, LoggedDecision, Page, PolicyChange, Revision};
use bulkhead_core::policy::Digest;
use bulkhead_core::record::StoreError;
use sqlx::QueryBuilder;
use sqlx::sqlite::{Sqlite, SqlitePool, SqlitePoolOptions};
use std::path::{Path, PathBuf};

/// Connections at most. Each is a thread; readers are people and dashboards.
const CONNECTIONS_MAX: u32 = 4;

/// Most rows of one answer, whatever is asked for.
pub const ROWS_MAX: usize = 1_000;

/// Reads the log. Cheap to clone. Needs a tokio runtime; the database must have been opened by a `SqliteStore` before.
#[derive(Clone)]
pub struct LogReader {
    pub(crate) pool: SqlitePool,
    pub(crate) path: PathBuf,
}

impl LogReader {
    /// Prepares to read; connects when first asked.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.is_file() {
            return Err(failed(
                format!("there is no database {} to read from", path.display()),
                std::io::Error::from(std::io::ErrorKind::NotFound),
            ));
        }
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            // A file does not hang up: no pings, no renewal, and so no task in the background.
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(open::reader(path));
        Ok(Self { pool, path: path.to_owned() })
    }

    /// One decision.
    pub async fn decision(&self, id: DecisionId) -> Result<Option<LoggedDecision>, StoreError> {
        let mut query = QueryBuilder::new(DECISIONS);
        query.push(" WHERE id = ").push_bind(edits::integer(id.0)?);
        let Some((id, leaf, record, outcomes)) = self.rows(query).await?.pop() else { return Ok(None) };
        let record = if record.is_some() { record } else { self.archived(id).await? };
        logged((id, leaf, record, outcomes)).map(Some)
    }

    /// A page of the log, as far as it is not archived.
    pub async fn decisions(&self, filter: &DecisionFilter, page: Page, limit: usize) -> Result<Vec<LoggedDecision>, StoreError> {
        let mut query = QueryBuilder::new(DECISIONS);
        query.push(" WHERE id > (SELECT coalesce(max(last), 0) FROM archive)");
        let columns = [
            (" AND caller = ", &filter.caller),
            (" AND operation = ", &filter.operation),
            (" AND subject = ", &filter.subject),
            (" AND object = ", &filter.object),
            (" AND verdict = ", &filter.verdict),
        ];
        for (column, wanted) in columns {
            if let Some(wanted) = wanted {
                query.push(column).push_bind(wanted.clone());
            }
        }
        if let Some(network) = &filter.network {
            query.push(" AND subject = ").push_bind(network.clone()).push(" AND operation IN (").push(OF_NETWORKS).push(")");
        }
        if let Some(workload) = &filter.workload {
            query.push(" AND (workload = ").push_bind(workload.clone()).push(" OR workload_id = ").push_bind(workload.clone()).push(")");
        }
        if let Some(policy) = &filter.policy {
            query.push(" AND EXISTS (SELECT 1 FROM json_each(policies) WHERE value = ").push_bind(policy.clone()).push(")");
        }
        if let Some(since) = filter.since {
            query.push(" AND at >= ").push_bind(edits::integer(since.0)?);
        }
        if let Some(until) = filter.until {
            query.push(" AND at < ").push_bind(edits::integer(until.0)?);
        }
        match page {
            Page::Newest => query.push(" ORDER BY id DESC"),
            Page::Before(id) => query.push(" AND id < ").push_bind(edits::integer(id.0)?).push(" ORDER BY id DESC"),
            Page::After(id) => query.push(" AND id > ").push_bind(edits::integer(id.0)?).push(" ORDER BY id"),
        };
        query.push(" LIMIT ").push_bind(limit.min(ROWS_MAX) as i64);
        self.rows(query).await?.into_iter().map(logged).collect()
    }

    /// Events after number `seq`, oldest first.
    pub async fn events_after(&self, seq: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        let rows: Vec<(i64, i64, String, String, String)> =
            sqlx::query_as("SELECT seq, at, kind, subject, text FROM event WHERE seq > ? ORDER BY seq LIMIT ?")
                .bind(edits::integer(seq)?)
                .bind(limit.min(ROWS_MAX) as i64)
                .fetch_all(&self.pool)
                .await
                .map_err(|e| failed(format!("events cannot be read: {e}"), e))?;
        let event = |(seq, at, kind, subject, text)| Ok(Event { seq: natural(seq)?, at: Timestamp(natural(at)?), kind, subject, text });
        rows.into_iter().map(event).collect()
    }

    /// The bytes of a module, as uploaded.
    pub async fn module_bytes(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        sqlx::query_scalar("SELECT bytes FROM module WHERE digest = ?")
            .bind(digest.to_string())
            .fetch_optional(&self.pool)
            .await
            .map_err(|e| failed(format!("the bytes of module {digest} cannot be read: {e}"), e))
    }

    /// The revisions of a policy, oldest first.
    pub async fn revisions(&self, policy: &str) -> Result<Vec<Revision>, StoreError> {
        let rows: Vec<(Option<i64>, String)> =
            sqlx::query_as("SELECT decision_id, spec FROM policy_revision WHERE name = ? ORDER BY revision LIMIT 10000")
                .bind(policy)
                .fetch_all(&self.pool)
                .await
                .map_err(|e| failed(format!("revisions of policy {policy} cannot be read: {e}"), e))?;
        rows.into_iter().map(revision).collect()
    }

    /// All changes of policies, in the order in which they were decided. Revisions that no decision made were there from the beginning.
    pub async fn policy_changes(&self) -> Result<Vec<PolicyChange>, StoreError> {
        let rows: Vec<(String, Option<i64>, i64, Option<String>)> = sqlx::query_as(
            "SELECT name, decision_id, coalesce(at, 0), spec FROM policy_revision LEFT JOIN decision ON id = decision_id
             UNION ALL SELECT subject, id, at, NULL FROM decision WHERE operation = 'delete-policy' AND verdict = 'allowed'
             ORDER BY 2 NULLS FIRST",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(|e| failed(format!("changes of policies cannot be read: {e}"), e))?;
        let change = |(name, decision, at, spec): (String, Option<i64>, i64, Option<String>)| {
            let policy = spec.map(|spec| revision((decision, spec)).map(|r| r.policy)).transpose()?;
            let decision = decision.map(natural).transpose()?.map(DecisionId);
            Ok(PolicyChange { name, decision, at: Timestamp(natural(at)?), policy })
        };
        rows.into_iter().map(change).collect()
    }

    /// One revision of a policy.
    pub async fn revision(&self, policy: &str, number: u64) -> Result<Option<Revision>, StoreError> {
        let row: Option<(Option<i64>, String)> =
            sqlx::query_as("SELECT decision_id, spec FROM policy_revision WHERE name = ? AND revision = ?")
                .bind(policy)
                .bind(edits::integer(number)?)
                .fetch_optional(&self.pool)
                .await
                .map_err(|e| failed(format!("revision {number} of policy {policy} cannot be read: {e}"), e))?;
        row.map(revision).transpose()
    }

    async fn rows(&self, mut query: QueryBuilder<Sqlite>) -> Result<Vec<Row>, StoreError> {
        query.build_query_as().fetch_all(&self.pool).await.map_err(|e| failed(format!("the decision log cannot be read: {e}"), e))
    }
}

const DECISIONS: &str = "SELECT id, leaf, (SELECT record FROM decision_record WHERE decision_record.id = decision.id),
    (SELECT json_group_array(json(record) ORDER BY seq) FROM settlement WHERE decision_id = decision.id) FROM decision";

/// Operations whose subject is a network.
const OF_NETWORKS: &str = "'create-network', 'change-network', 'delete-network', 'attach', 'change-workload', 'detach'";

type Row = (i64, Vec<u8>, Option<String>, String);

fn logged((id, leaf, record, outcomes): Row) -> Result<LoggedDecision, StoreError> {
    let unclear = |e| failed(format!("decision {id} on record makes no sense to this version: {e}"), e);
    let record = record.ok_or_else(|| failed(format!("the record of decision {id} is missing"), "its row is not there"))?;
    let decision = serde_json::from_str(&record).map_err(unclear)?;
    let outcomes = serde_json::from_str(&outcomes).map_err(unclear)?;
    let leaf = leaf.try_into().map_err(|_| failed(format!("the leaf of decision {id} is no hash"), "it has not 32 bytes"))?;
    Ok(LoggedDecision { decision, leaf, outcomes })
}

fn revision((decision, spec): (Option<i64>, String)) -> Result<Revision, StoreError> {
    let policy = serde_json::from_str(&spec).map_err(|e| failed(format!("a revision on record makes no sense to this version: {e}"), e))?;
    Ok(Revision { decision: decision.map(natural).transpose()?.map(DecisionId), policy })
}

pub(crate) fn natural(n: i64) -> Result<u64, StoreError> {
    u64::try_from(n).map_err(|e| failed(format!("{n} on record is no number of an event, nor a time"), e))
}
