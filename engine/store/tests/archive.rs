//! Closed months leave the database for files of their own, and nothing else does.

#![allow(clippy::unwrap_used, reason = "a test: its helpers, too, may panic")]

mod sample;

use bulkhead_core::ids::{DecisionId, Timestamp};
use bulkhead_core::log::{Archive, ArchiveSeen, DecisionFilter, Page};
use bulkhead_core::policy::PolicyMode;
use bulkhead_core::record::{Batch, Edit, Store};
use bulkhead_store::{LogReader, SqliteStore};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::path::Path;
use std::sync::Arc;

const DAY: u64 = 86_400_000;
/// 1 January 2026, UTC.
const JANUARY: u64 = 1_767_225_600_000;

/// Decisions of these times, judged by two policies.
fn decided(path: &Path, times: &[u64]) -> SqliteStore {
    let mut store = SqliteStore::open(path).unwrap();
    let decision = |(n, at): (usize, &u64)| {
        let mut d = sample::decision(n as u64 + 1, "create-network", None, String::new(), sample::allowed());
        d.at = Timestamp(*at);
        Arc::new(d)
    };
    let policy = |(name, module)| Edit::PutPolicy(Arc::new(sample::policy(name, module, 1, PolicyMode::Enforce)));
    let modules = [1, 2].map(|n| Edit::PutModule(Arc::new(sample::module(n, false))));
    let edits = modules.into_iter().chain([("tier-isolation", 1), ("subnet-rules", 2)].map(policy)).collect();
    let module_bytes = [1, 2].map(|n| (sample::digest(n), Arc::from([n; 4]))).to_vec();
    let decisions = times.iter().enumerate().map(decision).collect();
    store.write(&Batch { decisions, edits, module_bytes, ..Batch::default() }).unwrap();
    store
}

/// The turn that archives.
fn archived(id: u64, at: Timestamp, archive: &Archive) -> Batch {
    let mut decision = sample::decision(id, "archive-decisions", None, String::new(), sample::allowed());
    (decision.at, decision.heard, decision.subject) = (at, Vec::new(), archive.month.clone());
    Batch { decisions: vec![Arc::new(decision)], edits: vec![Edit::Archive(Arc::new(archive.clone()))], ..Batch::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_closed_months_leave_and_their_leaves_stay() {
    let folder = tempfile::tempdir().unwrap();
    let (path, archives) = (folder.path().join("b.db"), folder.path().join("archive"));
    // Two of January, one of February, one of a clock that was set back, one of March.
    let mut store = decided(&path, &[0, 30, 31, 29, 60].map(|day| JANUARY + day * DAY));
    let log = LogReader::open(&path).unwrap();
    let before = log.verify(None, None).await.unwrap().decisions;
    let first = log.decision(DecisionId(1)).await.unwrap().unwrap();

    let april = Timestamp(JANUARY + 100 * DAY);
    assert_eq!(log.archive_oldest(&archives, april, 3).await.unwrap(), None, "January is the third month before April");
    let january = log.archive_oldest(&archives, april, 1).await.unwrap().unwrap();
    assert_eq!((&*january.month, january.first, january.last), ("2026-01", DecisionId(1), DecisionId(2)));
    assert_eq!(log.verify(None, None).await.unwrap().decisions, before, "nothing has left yet");
    store.write(&archived(6, april, &january)).unwrap();
    let february = log.archive_oldest(&archives, april, 1).await.unwrap().unwrap();
    assert_eq!((&*february.month, february.first, february.last), ("2026-02", DecisionId(3), DecisionId(4)), "in the order of the log");
    store.write(&archived(7, april, &february)).unwrap();
    assert_eq!(log.archive_oldest(&archives, april, 1).await.unwrap(), None, "March is not old enough");
    assert_eq!(store.load().unwrap().archived_to, 4);
    store.idle();

    let mut raw = SqliteConnectOptions::new().filename(&path).foreign_keys(true).connect().await.unwrap();
    let left: Vec<i64> = sqlx::query_scalar("SELECT id FROM decision_record ORDER BY id").fetch_all(&mut raw).await.unwrap();
    assert_eq!(left, [5, 6, 7]);
    // The roots are those of before; a list has what is here; one that is in a file is found there, byte for byte.
    let found = log.verify(Some(5), None).await.unwrap();
    assert_eq!((found.decisions.root_at, found.decisions.missing.len()), (Some(before.root), 0));
    assert_eq!(found.archives.iter().map(|a| a.seen).collect::<Vec<_>>(), [ArchiveSeen::Intact; 2]);
    let listed = log.decisions(&DecisionFilter::default(), Page::After(DecisionId(0)), 9).await.unwrap();
    assert_eq!(listed.iter().map(|d| d.decision.id.0).collect::<Vec<_>>(), [5, 6, 7]);
    assert_eq!(log.decision(DecisionId(1)).await.unwrap().unwrap(), first);
    // What judged them went along.
    let mut file = SqliteConnectOptions::new().filename(&january.file).read_only(true).connect().await.unwrap();
    let modules: Vec<Vec<u8>> = sqlx::query_scalar("SELECT bytes FROM module ORDER BY digest").fetch_all(&mut file).await.unwrap();
    assert_eq!(modules, [vec![1; 4], vec![2; 4]]);
    file.close().await.unwrap();

    // The fence: only what is archived may go, and an archive is for ever.
    for (sql, why) in [
        ("DELETE FROM decision_record WHERE id = 5", "decisions are append-only"),
        ("DELETE FROM decision WHERE id = 1", "decisions are append-only"),
        ("DELETE FROM archive", "archives are append-only"),
        ("UPDATE archive SET last = 5", "archives are append-only"),
        ("INSERT INTO archive VALUES (5, 7, 'x', 'x', 'x', 7)", "come before their decision"),
        ("INSERT INTO archive VALUES (6, 6, 'x', 'x', 'x', 7)", "without gaps"),
    ] {
        let e = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut raw).await.unwrap_err();
        assert!(e.to_string().contains(why), "{sql}: {e}");
    }
    raw.close().await.unwrap();

    // A module may go when all that it judged is archived; 5 is not.
    assert_eq!(log.last_judged_by(sample::digest(1)).await.unwrap(), Some(DecisionId(5)));
    assert_eq!(log.last_judged_by(sample::digest(9)).await.unwrap(), None);

    // A file that was changed or is gone is told.
    std::fs::remove_file(&january.file).unwrap();
    std::fs::write(&january.file, "else").unwrap();
    std::fs::remove_file(&february.file).unwrap();
    let seen: Vec<_> = log.verify(None, None).await.unwrap().archives.iter().map(|a| a.seen).collect();
    assert_eq!(seen, [ArchiveSeen::Changed, ArchiveSeen::Missing]);
    let gone = log.decision(DecisionId(3)).await.unwrap_err().to_string();
    assert!(gone.contains("decision 3 is in the archive") && gone.contains("decisions-2026-02-3.db"), "{gone}");
}

/// A record that was rewritten is not carried on as if it were the one.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_what_it_was_is_not_archived() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.db");
    let _store = decided(&path, &[JANUARY, JANUARY + DAY]);
    let mut raw = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let rewrite = "DROP TRIGGER decision_record_no_update; UPDATE decision_record SET record = '{}' WHERE id = 2";
    sqlx::raw_sql(rewrite).execute(&mut raw).await.unwrap();
    raw.close().await.unwrap();
    let log = LogReader::open(&path).unwrap();
    let refused = log.archive_oldest(&folder.path().join("archive"), Timestamp(JANUARY + 100 * DAY), 1).await.unwrap_err();
    assert!(refused.to_string().contains("decision 2 is missing or not what it was"), "{refused}");
}
