//! Months that are older than the log is to be kept go into archives: at a start, and then a few times a day.

use bulkhead_core::caller::Caller;
use bulkhead_core::policy::Change;
use bulkhead_core::request::Request;
use bulkhead_engine::{Engine, clock};
use bulkhead_store::LogReader;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

/// How often it is looked whether a month is due.
const EVERY: Duration = Duration::from_secs(6 * 3600);

/// Archives what is older than `months` whole months, for as long as the daemon runs. 0 keeps everything in the database.
pub async fn keep(engine: Engine, log: LogReader, folder: PathBuf, months: u32) {
    if months == 0 {
        return;
    }
    let mut due = tokio::time::interval(EVERY);
    loop {
        due.tick().await;
        // What fails is tried again: nothing has left the database.
        if let Err(error) = all(&engine, &log, &folder, months).await {
            tracing::error!(%error, "a month of decisions could not be archived; it stays in the database");
        }
    }
}

async fn all(engine: &Engine, log: &LogReader, folder: &std::path::Path, months: u32) -> Result<(), Box<dyn Error>> {
    let system = Caller {
        name: "system".into(),
        uid: None,
        groups: Vec::new(),
        door: "retention".into(),
        peer: format!("pid {}", std::process::id()),
        admin: true,
    };
    while let Some(archive) = log.archive_oldest(folder, clock::now(), months).await? {
        let reason = Some(format!("decisions are kept for {months} months"));
        engine.ask(Request::Archive(archive), system.clone(), Change { reason, ..Change::default() }, None, None).await?;
        engine.flush().await;
    }
    Ok(())
}
