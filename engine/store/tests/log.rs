//! The decision log and the events, as their readers see them.

#![allow(clippy::unwrap_used, reason = "a test: its helpers, too, may panic")]

mod sample;

use bulkhead_core::ids::{DecisionId, Timestamp};
use bulkhead_core::log::{DecisionFilter, Page};
use bulkhead_core::policy::{Found, Verdict, Violation};
use bulkhead_core::record::{Batch, Decision, Edit, Store};
use bulkhead_store::{LogReader, SqliteStore};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use std::path::Path;
use std::sync::Arc;

fn denied(id: u64, caller: &str) -> Decision {
    let policy = sample::policy("tier-isolation", 1, 1, bulkhead_core::policy::PolicyMode::Enforce).name;
    let violation = Violation { rule: "shared-segment".into(), message: "caf\u{e9} \u{1f9f1} \"\\\u{0}".into(), field: None, remedy: None };
    let mut d = sample::decision(
        id,
        "create-network",
        None,
        String::new(),
        Verdict::Denied { violations: vec![Found { policy, violation, help: Default::default() }] },
    );
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
    assert_eq!(first.outcomes, [sample::end(0, "done")]);
    assert_eq!(first.leaf, bulkhead_store::merkle::leaf(&serde_json::to_vec(&first.decision).unwrap()));
    let open = log.decision(DecisionId(4)).await.unwrap().unwrap();
    assert_eq!(open.outcomes, []);
    // A removal that is tried again settles again; the reader sees what the writer adds.
    for text in ["failed: Device or resource busy", "done"] {
        store.write(&Batch { settlements: vec![sample::end(3, text)], ..Batch::default() }).unwrap();
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
    let bytes: Vec<u8> =
        sqlx::query_scalar("SELECT CAST(record AS BLOB) FROM decision_record WHERE id = 5").fetch_one(&mut shell).await.unwrap();
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
    assert_eq!(ids(DecisionFilter { network: Some("cards".into()), ..all() }, Page::Newest, 9).await, [6, 5]);
    assert_eq!(ids(DecisionFilter { network: Some("tier-isolation".into()), ..all() }, Page::Newest, 9).await, [0; 0]);
    assert_eq!(ids(DecisionFilter { workload: Some("postgres".into()), ..all() }, Page::Newest, 9).await, [4, 3, 2, 1]);
    assert_eq!(ids(DecisionFilter { workload: Some("pg-2".into()), ..all() }, Page::Newest, 9).await, [2]);
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
    let parent = bulkhead_core::plan::Plan { id: sample::plan_id(101), purpose: Purpose::HealParent(plan.lane), ..plan.clone() };
    store.write(&Batch { edits: vec![Edit::OpenPlan(Arc::new(plan)), Edit::OpenPlan(Arc::new(parent))], ..Batch::default() }).unwrap();
    let settlements = vec![sample::end(100, "done again"), sample::end(101, "done")];
    let edits = vec![Edit::ClosePlan(sample::plan_id(100)), Edit::ClosePlan(sample::plan_id(101))];
    store.write(&Batch { settlements, edits, ..Batch::default() }).unwrap();
    let log = LogReader::open(&path).unwrap();
    let outcomes = log.decision(DecisionId(2)).await.unwrap().unwrap().outcomes;
    assert_eq!(outcomes.iter().map(|o| &*o.text).collect::<Vec<_>>(), ["done", "done again"]);
}

/// Somebody with the file, who takes the triggers away first.
async fn intruder(path: &Path) -> sqlx::sqlite::SqliteConnection {
    let mut raw = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let triggers: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetch_all(&mut raw).await.unwrap();
    for trigger in triggers {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("DROP TRIGGER {trigger}"))).execute(&mut raw).await.unwrap();
    }
    raw
}

#[tokio::test]
async fn what_was_rewritten_or_cut_off_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.db");
    let store = filled(&path);
    let reader = LogReader::open(&path).unwrap();
    let verify = async |at| reader.verify(at, None).await.unwrap().decisions;
    let before = verify(None).await;
    assert_eq!((before.size, before.changed.len(), before.missing.len()), (6, 0, 0));
    // The root of the first four, kept when there were only four, still is theirs.
    let four = verify(Some(4)).await.root_at.unwrap();
    assert_ne!(four, before.root);
    assert_eq!(verify(Some(7)).await.root_at, None, "there are not so many");

    let mut raw = intruder(&path).await;
    let rewrite = "UPDATE decision_record SET record = replace(record, 'eve', 'bob') WHERE id = 5";
    assert_eq!(sqlx::raw_sql(rewrite).execute(&mut raw).await.unwrap().rows_affected(), 1);
    let found = verify(Some(6)).await;
    assert_eq!(found.changed, [5]);
    assert_ne!(found.root_at, Some(before.root));

    // Who writes the leaf as well is found by the root alone.
    let record: String = sqlx::query_scalar("SELECT record FROM decision_record WHERE id = 5").fetch_one(&mut raw).await.unwrap();
    let leaf = bulkhead_store::merkle::leaf(record.as_bytes());
    sqlx::query("UPDATE decision SET leaf = ? WHERE id = 5").bind(leaf.as_slice()).execute(&mut raw).await.unwrap();
    let found = verify(Some(6)).await;
    assert!(found.changed.is_empty() && found.root_at.is_some() && found.root_at != Some(before.root));
    assert_eq!(verify(Some(4)).await.root_at, Some(four), "what came before is untouched");

    sqlx::raw_sql("DELETE FROM decision_record WHERE id = 5").execute(&mut raw).await.unwrap();
    assert_eq!(verify(None).await.missing, [5], "its bytes are");
    sqlx::raw_sql("DELETE FROM decision WHERE id = 5").execute(&mut raw).await.unwrap();
    assert_eq!(verify(None).await.missing, [5]);
    for table in ["decision_record", "decision"] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("DELETE FROM {table} WHERE id = 6"))).execute(&mut raw).await.unwrap();
    }
    let cut = verify(Some(6)).await;
    assert_eq!((cut.size, cut.root_at, cut.missing.len()), (4, None, 0), "a cut at the end shows only against a root");
    raw.close().await.unwrap();
    drop(store);
}

/// "failed" may not become "done" either, nor may an outcome go to another decision.
#[tokio::test]
async fn what_came_of_plans_is_under_a_root_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.db");
    let mut store = filled(&path);
    store.write(&Batch { settlements: vec![sample::end(3, "failed: Device or resource busy")], ..Batch::default() }).unwrap();
    let reader = LogReader::open(&path).unwrap();
    let before = reader.verify(None, Some(3)).await.unwrap().outcomes;
    assert_eq!((before.size, before.changed.len(), before.missing.len()), (4, 0, 0));

    let mut raw = intruder(&path).await;
    for change in ["replace(record, 'failed', 'done')", "replace(record, '\"decision\":4', '\"decision\":3')"] {
        let rewrite = format!("UPDATE settlement SET record = {change} WHERE seq = 4");
        let before: String = sqlx::query_scalar("SELECT record FROM settlement WHERE seq = 4").fetch_one(&mut raw).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(rewrite)).execute(&mut raw).await.unwrap();
        assert_eq!(reader.verify(None, None).await.unwrap().outcomes.changed, [4], "{change}");
        sqlx::query("UPDATE settlement SET record = ? WHERE seq = 4").bind(before).execute(&mut raw).await.unwrap();
        assert!(reader.verify(None, None).await.unwrap().outcomes.changed.is_empty());
    }
    sqlx::raw_sql("DELETE FROM settlement WHERE seq = 3").execute(&mut raw).await.unwrap();
    let found = reader.verify(None, Some(3)).await.unwrap().outcomes;
    assert_eq!((found.size, &*found.missing), (3, &[3][..]));
    assert_ne!(found.root_at, before.root_at);
    raw.close().await.unwrap();
    drop(store);
}

#[tokio::test]
async fn revisions_stay_as_they_were_also_when_their_policy_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.db");
    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&sample::ground()).unwrap();
    let before = store.load().unwrap().revisions.len();
    let put = |revision, mode| Edit::PutPolicy(Arc::new(sample::policy("mine", 1, revision, mode)));
    use bulkhead_core::policy::PolicyMode::{Audit, Enforce};
    let name = sample::policy("mine", 1, 1, Audit).name;
    let batch = |edits| Batch { edits, ..Batch::default() };
    let module_bytes = vec![(sample::digest(1), Arc::from([1_u8; 4]))];
    let module = Edit::PutModule(Arc::new(sample::module(1, false)));
    store.write(&Batch { edits: vec![module], module_bytes, ..Batch::default() }).unwrap();
    store.write(&batch(vec![put(1, Audit)])).unwrap();
    store.write(&batch(vec![put(2, Enforce)])).unwrap();
    store.write(&batch(vec![Edit::DropPolicy(name.clone())])).unwrap();
    assert!(store.write(&batch(vec![put(2, Audit)])).is_err(), "a revision is never another one");
    let mut raw = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    for sql in ["UPDATE policy_revision SET spec = ''", "DELETE FROM policy_revision"] {
        let refused = sqlx::raw_sql(sql).execute(&mut raw).await.unwrap_err();
        assert!(refused.to_string().contains("revisions of policies are append-only"), "{sql}: {refused}");
    }
    raw.close().await.unwrap();
    let reader = LogReader::open(&path).unwrap();
    let modes: Vec<_> = reader.revisions("mine").await.unwrap().into_iter().map(|r| (r.policy.revision, r.policy.mode)).collect();
    assert_eq!(modes, [(1, Audit), (2, Enforce)]);
    assert_eq!(reader.revision("mine", 1).await.unwrap().unwrap().policy.mode, Audit);
    assert!(reader.revision("mine", 3).await.unwrap().is_none());
    let loaded = store.load().unwrap();
    assert_eq!(loaded.revisions.len(), before + 2);
    assert_eq!(bulkhead_core::state::State::load(sample::BOOT, loaded).last_revision(&name), 2);
}

#[test]
fn there_must_be_a_database_to_read_from() {
    let dir = tempfile::tempdir().unwrap();
    let e = LogReader::open(&dir.path().join("record.db")).err().unwrap();
    assert!(e.to_string().contains("there is no database"), "{e}");
}
