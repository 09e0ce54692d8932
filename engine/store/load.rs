//! How the state is read back, once, at start: on a connection that only reads, and in large pieces, as each row that sqlx's
//! driver hands over is a switch of threads.

use crate::{failed, open};
use bulkhead_core::ids::{BootId, NetworkId, Timestamp};
use bulkhead_core::names::Name;
use bulkhead_core::policy::Digest;
use bulkhead_core::record::{Loaded, StoreError};
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions, Connection, Executor};
use std::net::IpAddr;
use std::path::Path;

/// The token's hash.
pub(crate) async fn token(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let mut conn = open::reader(path).connect().await.map_err(|e| open::unreadable(path, e))?;
    let hash = sqlx::query_scalar("SELECT hash FROM token").fetch_optional(&mut conn).await;
    let hash = hash.map_err(|e| failed(format!("the token's hash cannot be read: {e}"), e))?;
    close(conn).await?;
    Ok(hash)
}

/// All that is on record of the state, as of one moment.
pub(crate) async fn load(path: &Path) -> Result<Loaded, StoreError> {
    let mut conn = open::reader(path).connect().await.map_err(|e| open::unreadable(path, e))?;
    let db = &mut conn;
    db.execute("BEGIN").await.map_err(|e| open::unreadable(path, e))?;
    let boot: Option<String> = sqlx::query_scalar("SELECT value FROM meta WHERE key = 'boot'")
        .fetch_optional(&mut *db)
        .await
        .map_err(|e| failed(format!("the last boot cannot be read: {e}"), e))?;
    let mut loaded = Loaded {
        boot: boot.map(|b| b.parse::<BootId>().map_err(|e| unclear("the boot", &b, e))).transpose()?,
        parents: objects(db, "parent", PARENTS).await?,
        networks: objects(db, "network", NETWORKS).await?,
        endpoints: objects(db, "endpoint", ENDPOINTS).await?,
        plans: objects(db, "plan", PLANS).await?,
        modules: objects(db, "module", MODULES).await?,
        policies: objects(db, "policy", POLICIES).await?,
        held_back: held_back(db).await?,
        revisions: revisions(db).await?,
        last_decision: count(db, "SELECT coalesce(max(id), 0) FROM decision").await?,
        archived_to: count(db, "SELECT coalesce(max(last), 0) FROM archive").await?,
        last_event: count(db, "SELECT coalesce(max(seq), 0) FROM event").await?,
        fresh: false,
    };
    loaded.fresh = loaded.boot.is_none() && loaded.last_decision == 0 && loaded.policies.is_empty() && loaded.modules.is_empty();
    same_addresses(db, &loaded).await?;
    close(conn).await?;
    Ok(loaded)
}

/// The objects of a table after key `?`, in the order of their keys: some hundred, one a line, and the last key. Lines are
/// safe to split at: JSON has no line feed inside a string, and we write none outside.
macro_rules! page {
    ($table:literal, $key:literal) => {
        concat!(
            "SELECT group_concat(spec, char(10)), max(",
            $key,
            ") FROM (SELECT ",
            $key,
            ", spec FROM ",
            $table,
            " WHERE ",
            $key,
            " > ? ORDER BY ",
            $key,
            " LIMIT 256)"
        )
    };
}
const PARENTS: &str = page!("parent", "id");
const NETWORKS: &str = page!("network", "id");
const ENDPOINTS: &str = page!("endpoint", "id");
const PLANS: &str = page!("plan", "id");
const MODULES: &str = page!("module", "digest");
const POLICIES: &str = page!("policy", "name");

async fn objects<T: DeserializeOwned>(db: &mut SqliteConnection, what: &str, page: &'static str) -> Result<Vec<T>, StoreError> {
    let mut objects = Vec::new();
    let mut last = String::new();
    loop {
        let read = sqlx::query_as(page).bind(&last).fetch_one(&mut *db).await;
        let (specs, end): (Option<String>, Option<String>) =
            read.map_err(|e| failed(format!("the record's table {what} cannot be read: {e}"), e))?;
        let (Some(specs), Some(end)) = (specs, end) else { return Ok(objects) };
        for spec in specs.lines() {
            objects.push(serde_json::from_str(spec).map_err(|e| unclear(&format!("a row of table {what}"), spec, e))?);
        }
        last = end;
    }
}

async fn held_back(db: &mut SqliteConnection) -> Result<Vec<(NetworkId, usize, IpAddr, Timestamp)>, StoreError> {
    let sql = "SELECT json_group_array(json_array(network_id, subnet, address, free_at)) FROM address WHERE endpoint_id IS NULL";
    let all: String =
        sqlx::query_scalar(sql).fetch_one(db).await.map_err(|e| failed(format!("held-back addresses cannot be read: {e}"), e))?;
    serde_json::from_str(&all).map_err(|e| unclear("the list of addresses that are held back", &all, e))
}

async fn revisions(db: &mut SqliteConnection) -> Result<Vec<(Name, u64, Digest)>, StoreError> {
    let sql = "SELECT json_group_array(json_array(name, revision, module)) FROM policy_revision";
    let all: String =
        sqlx::query_scalar(sql).fetch_one(db).await.map_err(|e| failed(format!("revisions of policies cannot be read: {e}"), e))?;
    serde_json::from_str(&all).map_err(|e| unclear("the list of revisions of policies", &all, e))
}

async fn count(db: &mut SqliteConnection, sql: &'static str) -> Result<u64, StoreError> {
    let n: i64 = sqlx::query_scalar(sql).fetch_one(db).await.map_err(|e| failed(format!("the record cannot be counted: {e}"), e))?;
    u64::try_from(n).map_err(|e| unclear("a number", &n.to_string(), e))
}

/// Endpoints have their addresses twice, in themselves and as rows that are unique. Both must say the same, or somebody wrote
/// past us.
async fn same_addresses(db: &mut SqliteConnection, loaded: &Loaded) -> Result<(), StoreError> {
    let taken = count(db, "SELECT count(*) FROM address WHERE endpoint_id IS NOT NULL").await?;
    let listed = count(
        db,
        "SELECT count(*) FROM endpoint, json_each(endpoint.addresses) AS has JOIN address
         ON address.network_id = endpoint.network_id AND address.subnet = has.value ->> 0 AND address.address = has.value ->> 1
         WHERE address.endpoint_id = endpoint.id",
    )
    .await?;
    let known: usize = loaded.endpoints.iter().map(|e| e.addresses.len()).sum();
    if taken == listed && listed == known as u64 {
        return Ok(());
    }
    let what = "the record contradicts itself: its endpoints have not the addresses that are taken for them; restore a backup";
    Err(failed(what, format!("endpoints have {known} addresses, {taken} are taken, {listed} are both")))
}

async fn close(conn: SqliteConnection) -> Result<(), StoreError> {
    conn.close().await.map_err(|e| failed(format!("a connection that read the record cannot be closed: {e}"), e))
}

fn unclear(what: &str, which: &str, e: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    let which: String = which.chars().take(120).collect();
    failed(format!("{what} on record makes no sense to this version: {e}; it begins with {which}"), e)
}
