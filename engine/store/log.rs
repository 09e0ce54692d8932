//! How the decision log and the events are read: on connections of their own, that cannot write, beside the writer's.

use crate::merkle::{self, Hash, Tree};
use crate::open;
use crate::{edits, failed};
use bulkhead_core::event::Event;
use bulkhead_core::ids::{DecisionId, PlanId, Timestamp};
use bulkhead_core::policy::{Digest, Policy};
use bulkhead_core::record::{Decision, StoreError};
use sqlx::QueryBuilder;
use sqlx::sqlite::{Sqlite, SqlitePool, SqlitePoolOptions};
use std::path::Path;

/// Connections at most. Each is a thread; readers are people and dashboards.
const CONNECTIONS_MAX: u32 = 4;

/// Most rows of one answer, whatever is asked for.
pub const ROWS_MAX: usize = 1_000;

/// Reads the log. Cheap to clone. Needs a tokio runtime; the database must have been opened by a `SqliteStore` before.
#[derive(Clone)]
pub struct LogReader {
    pool: SqlitePool,
}

/// A policy as it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    /// The decision that made it, where one did.
    pub decision: Option<DecisionId>,
    /// The policy.
    pub policy: Policy,
}

/// What going through the log has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Decisions.
    pub size: u64,
    /// The root over all of them (RFC 6962).
    pub root: Hash,
    /// The root over as many as were asked for; `None` where there are not so many.
    pub root_at: Option<Hash>,
    /// Those whose bytes do not give their leaf; at most [`ROWS_MAX`].
    pub changed: Vec<DecisionId>,
    /// Numbers that are missing; some [`ROWS_MAX`] at most.
    pub missing: Vec<DecisionId>,
}

/// A decision with what came of its plan.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedDecision {
    /// The decision.
    pub decision: Decision,
    /// Outcomes of its plan, oldest first: none while it is open, several where it was tried or made again.
    pub outcomes: Vec<Outcome>,
}

/// What came of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Which plan.
    pub plan: PlanId,
    /// When it was put on record.
    pub recorded_at: Timestamp,
    /// What came of it, with the kernel's words.
    pub text: String,
}

/// Which decisions. What is `None` does not matter; all that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecisionFilter {
    /// Name of who asked.
    pub caller: Option<String>,
    /// `attach`, `create-network`, …
    pub operation: Option<String>,
    /// Name of the network or policy concerned.
    pub subject: Option<String>,
    /// Id of the network or endpoint.
    pub object: Option<String>,
    /// `allowed`, `denied` or `forced`.
    pub verdict: Option<String>,
    /// A policy that was asked.
    pub policy: Option<String>,
    /// Not before this time.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

/// Which page of the log. By number, not by offset: what is added meanwhile moves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The newest, newest first.
    Newest,
    /// Those before this one, newest first.
    Before(DecisionId),
    /// Those after this one, oldest first.
    After(DecisionId),
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
        Ok(Self { pool })
    }

    /// One decision.
    pub async fn decision(&self, id: DecisionId) -> Result<Option<LoggedDecision>, StoreError> {
        let mut query = QueryBuilder::new(DECISIONS);
        query.push(" WHERE id = ").push_bind(edits::integer(id.0)?);
        Ok(self.read(query).await?.pop())
    }

    /// A page of the log.
    pub async fn decisions(&self, filter: &DecisionFilter, page: Page, limit: usize) -> Result<Vec<LoggedDecision>, StoreError> {
        let mut query = QueryBuilder::new(DECISIONS);
        query.push(" WHERE true");
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
        self.read(query).await
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

    /// Goes through the whole log: the records whose bytes do not give their leaf, numbers that are missing, and the root over all
    /// leaves; also the root over the first `at`, if there are so many.
    pub async fn verify(&self, at: Option<u64>) -> Result<Verified, StoreError> {
        let mut verified = Verified { size: 0, root: Tree::default().root(), root_at: None, changed: Vec::new(), missing: Vec::new() };
        let mut tree = Tree::default();
        let mut last = 0_i64;
        if at == Some(0) {
            verified.root_at = Some(tree.root());
        }
        loop {
            let rows: Vec<(i64, String, Vec<u8>)> =
                sqlx::query_as("SELECT id, record, leaf FROM decision WHERE id > ? ORDER BY id LIMIT 256")
                    .bind(last)
                    .fetch_all(&self.pool)
                    .await
                    .map_err(|e| failed(format!("the decision log cannot be read: {e}"), e))?;
            if rows.is_empty() {
                break;
            }
            for (id, record, leaf) in rows {
                let number = DecisionId(natural(id)?);
                if verified.missing.len() < ROWS_MAX {
                    verified.missing.extend((last + 1..id).take(ROWS_MAX).filter_map(|n| natural(n).ok()).map(DecisionId));
                }
                if merkle::leaf(record.as_bytes()).as_slice() != leaf && verified.changed.len() < ROWS_MAX {
                    verified.changed.push(number);
                }
                // The tree is over what is on record now: a root that was kept elsewhere tells whether that is what it was.
                tree.push(merkle::leaf(record.as_bytes()));
                if at == Some(tree.size()) {
                    verified.root_at = Some(tree.root());
                }
                last = id;
            }
        }
        (verified.size, verified.root) = (tree.size(), tree.root());
        Ok(verified)
    }

    async fn read(&self, mut query: QueryBuilder<Sqlite>) -> Result<Vec<LoggedDecision>, StoreError> {
        let rows: Vec<(i64, String, String)> =
            query.build_query_as().fetch_all(&self.pool).await.map_err(|e| failed(format!("the decision log cannot be read: {e}"), e))?;
        rows.into_iter().map(logged).collect()
    }
}

const DECISIONS: &str = "SELECT id, record, (SELECT json_group_array(json_array(plan_id, recorded_at, outcome) ORDER BY n)
    FROM settlement WHERE decision_id = decision.id) FROM decision";

fn logged((id, record, outcomes): (i64, String, String)) -> Result<LoggedDecision, StoreError> {
    let unclear = |e| failed(format!("decision {id} on record makes no sense to this version: {e}"), e);
    let decision = serde_json::from_str(&record).map_err(unclear)?;
    let outcomes: Vec<(PlanId, Timestamp, String)> = serde_json::from_str(&outcomes).map_err(unclear)?;
    let outcomes = outcomes.into_iter().map(|(plan, recorded_at, text)| Outcome { plan, recorded_at, text }).collect();
    Ok(LoggedDecision { decision, outcomes })
}

fn revision((decision, spec): (Option<i64>, String)) -> Result<Revision, StoreError> {
    let policy = serde_json::from_str(&spec).map_err(|e| failed(format!("a revision on record makes no sense to this version: {e}"), e))?;
    Ok(Revision { decision: decision.map(natural).transpose()?.map(DecisionId), policy })
}

fn natural(n: i64) -> Result<u64, StoreError> {
    u64::try_from(n).map_err(|e| failed(format!("{n} on record is no number of an event, nor a time"), e))
}
