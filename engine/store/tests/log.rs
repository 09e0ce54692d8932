//! The decision log and the events, as their readers see them.

#![allow(clippy::unwrap_used, reason = "a test: its helpers, too, may panic")]

mod sample;

use bulkhead_core::ids::{DecisionId, Timestamp};
use bulkhead_core::policy::{Found, Verdict, Violation};
use bulkhead_core::record::{Batch, Decision, Edit, Store};
use bulkhead_store::{DecisionFilter, LogReader, Page, SqliteStore};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use std::path::Path;
use std::sync::Arc;

fn denied(id: u64, caller: &str) -> Decision {
    let policy = sample::policy("tier-isolation", 1, 1, bulkhead_core::policy::PolicyMode::Enforce).name;
    let violation = Violation { rule: "shared-segment".into(), message: "caf\u{e9} \u{1f9f1} \"\\\u{0}".into(), field: None, remedy: None };
    let mut d =
        sample::decision(id, "create-network", None, String::new(), Verdict::Denied { violations: vec![Found { policy, violation }] });
    d.caller.name = caller.into();
    d.subject = "cards".into();
    d.heard.truncate(1);
    d
}

/// Attaches 1 to 4, all settled but the last, and two denials.
fn filled(path: &Path) -> SqliteStore {
    let mut store = SqliteStore::open(path).unwrap();
    store.write(&sample::ground()).unwrap();
    for n in 0..4 {
        store.write(&sample::attach(n)).unwrap();
        if n < 3 {
            store.write(&sample::attached(n)).unwrap();
        }
    }
    let decisions = vec![Arc::new(denied(5, "eve")), Arc::new(denied(6, "uid:0"))];
    store.write(&Batch { decisions, ..Batch::default() }).unwrap();
    store
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_read_as_it_was_made_with_its_outcomes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("record.db");
    let mut store = filled(&path);
    let log = LogReader::open(&path).unwrap();
    let first = log.decision(DecisionId(1)).await.unwrap().unwrap();
    assert_eq!(first.decision, *sample::attach(0).decisions[0]);
    assert_eq!(first.outcomes.iter().map(|o| (o.plan, &*o.text)).collect::<Vec<_>>(), [(sample::plan_id(0), "done")]);
    assert!(first.outcomes[0].recorded_at > Timestamp(1_700_000_000_000), "milliseconds since 1970");
    let open = log.decision(DecisionId(4)).await.unwrap().unwrap();
    assert_eq!(open.outcomes, []);
    // A removal that is tried again settles again; the reader sees what the writer adds.
    for text in ["failed: Device or resource busy", "done"] {
        store.write(&Batch { settlements: vec![(sample::plan_id(3), text.into())], ..Batch::default() }).unwrap();
    }
    let open = log.decision(DecisionId(4)).await.unwrap().unwrap();
    assert_eq!(open.outcomes.iter().map(|o| &*o.text).collect::<Vec<_>>(), ["failed: Device or resource busy", "done"]);
    assert_eq!(log.decision(DecisionId(7)).await.unwrap(), None);
    assert_eq!(log.decision(DecisionId(5)).await.unwrap().unwrap().decision, denied(5, "eve"));
}

/// Hashes will be laid over these very bytes.
#[tokio::test(flavor = "multi_thread")]
async fn the_record_of_a_decision_is_kept_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("record.db");
    let _store = filled(&path);
    let mut shell = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let bytes: Vec<u8> = sqlx::query_scalar("SELECT CAST(record AS BLOB) FROM decision WHERE id = 5").fetch_one(&mut shell).await.unwrap();
    assert_eq!(bytes, serde_json::to_vec(&denied(5, "eve")).unwrap());
    shell.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_read_in_pages_and_by_what_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("record.db");
    let _store = filled(&path);
    let log = LogReader::open(&path).unwrap();
    let ids = async |filter: DecisionFilter, page, limit| -> Vec<u64> {
        log.decisions(&filter, page, limit).await.unwrap().iter().map(|d| d.decision.id.0).collect()
    };
    let all = DecisionFilter::default;
    assert_eq!(ids(all(), Page::Newest, 4).await, [6, 5, 4, 3]);
    assert_eq!(ids(all(), Page::Before(DecisionId(3)), 4).await, [2, 1]);
    assert_eq!(ids(all(), Page::After(DecisionId(2)), 3).await, [3, 4, 5]);
    assert_eq!(ids(DecisionFilter { caller: Some("eve".into()), ..all() }, Page::Newest, 9).await, [5]);
    assert_eq!(ids(DecisionFilter { operation: Some("attach".into()), ..all() }, Page::Newest, 9).await, [4, 3, 2, 1]);
    assert_eq!(ids(DecisionFilter { subject: Some("cards".into()), ..all() }, Page::Newest, 9).await, [6, 5]);
    let object = Some(sample::endpoint_id(2).to_string());
    assert_eq!(ids(DecisionFilter { object, ..all() }, Page::Newest, 9).await, [3]);
    assert_eq!(ids(DecisionFilter { verdict: Some("denied".into()), ..all() }, Page::After(DecisionId(0)), 9).await, [5, 6]);
    assert_eq!(ids(DecisionFilter { policy: Some("subnet-rules".into()), ..all() }, Page::Newest, 2).await, [4, 3]);
    let at = |n| Some(Timestamp(sample::NOW.0 + n));
    assert_eq!(ids(DecisionFilter { since: at(2), until: at(4), ..all() }, Page::Newest, 9).await, [3, 2]);
    assert!(ids(DecisionFilter { caller: Some("' OR 1 --".into()), ..all() }, Page::Newest, 9).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_follow_a_number_and_modules_keep_their_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("record.db");
    let mut store = filled(&path);
    let log = LogReader::open(&path).unwrap();
    let events = log.events_after(5, 100).await.unwrap();
    assert_eq!(events.iter().map(|e| e.seq).collect::<Vec<_>>(), [6, 7]);
    assert_eq!(events[1], sample::attach(3).events[0]);
    assert_eq!(log.events_after(0, 2).await.unwrap().len(), 2);
    assert_eq!(log.module_bytes(sample::digest(1)).await.unwrap(), None);
    let bytes: Arc<[u8]> = (0..3_000_000u32).map(|n| n as u8).collect();
    let put = |built_in| Edit::PutModule(Arc::new(sample::module(1, built_in)));
    store
        .write(&Batch { edits: vec![put(false)], module_bytes: vec![(sample::digest(1), Arc::clone(&bytes))], ..Batch::default() })
        .unwrap();
    store.write(&Batch { edits: vec![put(true)], ..Batch::default() }).unwrap();
    assert_eq!(log.module_bytes(sample::digest(1)).await.unwrap().as_deref(), Some(&*bytes));
    assert!(store.load().unwrap().modules[0].built_in);
}

/// What an endpoint that was lost is made again by carries the decision that the endpoint has.
#[tokio::test(flavor = "multi_thread")]
async fn healing_an_endpoint_settles_under_its_old_decision() {
    use bulkhead_core::plan::Purpose;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("record.db");
    let mut store = filled(&path);
    let endpoint = store.load().unwrap().endpoints[1].clone();
    let mut plan = sample::attach_plan(100, &endpoint);
    plan.purpose = Purpose::HealEndpoint(endpoint.id);
    let sweep = bulkhead_core::plan::Plan { id: sample::plan_id(101), purpose: Purpose::Sweep, ..plan.clone() };
    store.write(&Batch { edits: vec![Edit::OpenPlan(Arc::new(plan)), Edit::OpenPlan(Arc::new(sweep))], ..Batch::default() }).unwrap();
    let settlements = vec![(sample::plan_id(100), "done again".into()), (sample::plan_id(101), "done".into())];
    let edits = vec![Edit::ClosePlan(sample::plan_id(100)), Edit::ClosePlan(sample::plan_id(101))];
    store.write(&Batch { settlements, edits, ..Batch::default() }).unwrap();
    let log = LogReader::open(&path).unwrap();
    let outcomes = log.decision(DecisionId(2)).await.unwrap().unwrap().outcomes;
    assert_eq!(outcomes.iter().map(|o| &*o.text).collect::<Vec<_>>(), ["done", "done again"]);
}

#[test]
fn there_must_be_a_database_to_read_from() {
    let dir = tempfile::tempdir().unwrap();
    let e = LogReader::open(&dir.path().join("record.db")).err().unwrap();
    assert!(e.to_string().contains("there is no database"), "{e}");
}
