//! How the state is read back, once, at start.

use crate::failed;
use bulkhead_core::ids::{BootId, NetworkId, Timestamp};
use bulkhead_core::record::{Loaded, StoreError};
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteConnection;
use std::net::IpAddr;

/// The boot on record.
pub(crate) async fn boot(conn: &mut SqliteConnection) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT value FROM meta WHERE key = 'boot'").fetch_optional(conn).await
}

/// All that is on record of the state, as of one moment.
pub(crate) async fn load(conn: &mut SqliteConnection) -> Result<Loaded, StoreError> {
    let boot = boot(conn).await.map_err(|e| failed("the last boot cannot be read from the record", e))?;
    let boot = boot.map(|b| b.parse::<BootId>().map_err(|e| unclear("the last boot", &b, e))).transpose()?;
    let mut loaded = Loaded {
        boot,
        parents: objects(conn, "parent", "SELECT id, spec FROM parent ORDER BY id").await?,
        networks: objects(conn, "network", "SELECT id, spec FROM network ORDER BY id").await?,
        endpoints: objects(conn, "endpoint", "SELECT id, spec FROM endpoint ORDER BY id").await?,
        plans: objects(conn, "plan", "SELECT id, spec FROM plan ORDER BY id").await?,
        modules: objects(conn, "module", "SELECT digest, spec FROM module ORDER BY digest").await?,
        policies: objects(conn, "policy", "SELECT name, spec FROM policy ORDER BY name").await?,
        held_back: held_back(conn).await?,
        last_decision: last(conn, "SELECT coalesce(max(id), 0) FROM decision").await?,
        last_event: last(conn, "SELECT coalesce(max(seq), 0) FROM event").await?,
        fresh: false,
    };
    loaded.fresh = loaded.boot.is_none() && loaded.last_decision == 0 && loaded.policies.is_empty() && loaded.modules.is_empty();
    same_addresses(conn, &loaded).await?;
    Ok(loaded)
}

async fn objects<T: DeserializeOwned>(conn: &mut SqliteConnection, what: &str, sql: &'static str) -> Result<Vec<T>, StoreError> {
    let rows: Vec<(String, String)> =
        sqlx::query_as(sql).fetch_all(conn).await.map_err(|e| failed(format!("the record's table {what} cannot be read: {e}"), e))?;
    rows.iter().map(|(id, spec)| serde_json::from_str(spec).map_err(|e| unclear(what, id, e))).collect()
}

async fn held_back(conn: &mut SqliteConnection) -> Result<Vec<(NetworkId, usize, IpAddr, Timestamp)>, StoreError> {
    let sql = "SELECT network_id, subnet, address, free_at FROM address WHERE endpoint_id IS NULL";
    let rows: Vec<(String, i64, String, i64)> = sqlx::query_as(sql)
        .fetch_all(conn)
        .await
        .map_err(|e| failed(format!("the record's held-back addresses cannot be read: {e}"), e))?;
    let read = |(network, subnet, address, free_at): &(String, i64, String, i64)| {
        let what = "held-back address";
        Ok((
            network.parse().map_err(|e| unclear(what, address, e))?,
            usize::try_from(*subnet).map_err(|e| unclear(what, address, e))?,
            address.parse().map_err(|e| unclear(what, address, e))?,
            Timestamp(u64::try_from(*free_at).map_err(|e| unclear(what, address, e))?),
        ))
    };
    rows.iter().map(read).collect()
}

async fn last(conn: &mut SqliteConnection, sql: &'static str) -> Result<u64, StoreError> {
    let n: i64 = sqlx::query_scalar(sql).fetch_one(conn).await.map_err(|e| failed(format!("the end of the log cannot be read: {e}"), e))?;
    u64::try_from(n).map_err(|e| unclear("number", &n.to_string(), e))
}

/// Endpoints have their addresses twice, in their spec and as rows that are unique. Both must say the same, or somebody wrote
/// past us.
async fn same_addresses(conn: &mut SqliteConnection, loaded: &Loaded) -> Result<(), StoreError> {
    let rows = last(conn, "SELECT count(*) FROM address WHERE endpoint_id IS NOT NULL").await?;
    let said: usize = loaded.endpoints.iter().map(|e| e.addresses.len()).sum();
    if rows == said as u64 {
        return Ok(());
    }
    let what = "the record contradicts itself: its endpoints do not have the addresses that are reserved for them; restore a backup";
    Err(failed(what, format!("endpoints name {said} addresses, {rows} are reserved")))
}

fn unclear(what: &str, which: &str, e: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    failed(format!("{what} {which} on record makes no sense to this version: {e}"), e)
}
