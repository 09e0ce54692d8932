//! What the database refuses, whoever asks: a second owner of an address, a rewritten log, a half turn.

#![allow(clippy::unwrap_used, reason = "a test: its helpers, too, may panic")]

mod sample;

use bulkhead_core::endpoint::{Assigned, EndpointState};
use bulkhead_core::ids::Timestamp;
use bulkhead_core::record::{Batch, Edit, Loaded, Store, StoreError};
use bulkhead_store::SqliteStore;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

fn with_one_endpoint(path: &Path) -> SqliteStore {
    let mut store = SqliteStore::open(path).unwrap();
    store.write(&sample::ground()).unwrap();
    store.write(&sample::attach(0)).unwrap();
    store
}

fn endpoint(n: u64, host: u64) -> Edit {
    let address = Assigned { subnet: 0, address: sample::v4(0, host) };
    Edit::PutEndpoint(Arc::new(sample::endpoint(n, 0, vec![address], EndpointState::Attached)))
}

fn edits(edits: Vec<Edit>) -> Batch {
    Batch { edits, ..Batch::default() }
}

/// The text of the error and of its cause.
fn whole(e: &StoreError) -> String {
    format!("{e}; {}", e.source().map(ToString::to_string).unwrap_or_default())
}

fn counts(loaded: &Loaded) -> [usize; 4] {
    [loaded.endpoints.len(), loaded.plans.len(), loaded.last_decision as usize, loaded.last_event as usize]
}

#[test]
fn an_address_is_never_two_endpoints() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = with_one_endpoint(&dir.path().join("record.db"));
    let e = store.write(&edits(vec![endpoint(1, 16)])).unwrap_err();
    assert!(whole(&e).contains("nothing was changed") && whole(&e).contains("address.address"), "{}", whole(&e));
    assert_eq!(counts(&store.load().unwrap()), [1, 1, 1, 1]);
    // Held back, it is another's to have; then the first cannot come back to it.
    let free_at = Timestamp(5);
    store.write(&edits(vec![Edit::DropEndpoint { id: sample::endpoint_id(0), free_at }])).unwrap();
    let held = store.load().unwrap().held_back;
    assert_eq!(held, [(sample::network_id(0), 0, sample::v4(0, 16), free_at)]);
    store.write(&edits(vec![endpoint(1, 16)])).unwrap();
    assert_eq!(store.load().unwrap().held_back, []);
    store.write(&edits(vec![endpoint(0, 16)])).unwrap_err();
}

#[test]
fn an_endpoint_that_changes_its_addresses_gives_up_the_old_ones() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = with_one_endpoint(&dir.path().join("record.db"));
    store.write(&edits(vec![endpoint(0, 17)])).unwrap();
    store.write(&edits(vec![endpoint(1, 16)])).unwrap();
    store.write(&edits(vec![endpoint(2, 17)])).unwrap_err();
    assert_eq!(store.load().unwrap().endpoints.len(), 2);
}

#[test]
fn a_turn_that_fails_at_its_end_leaves_nothing_of_its_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = with_one_endpoint(&dir.path().join("record.db"));
    let before = store.load().unwrap();
    let mut fine = sample::attach(1);
    fine.events[0].seq = 2;
    let mut orphan = sample::endpoint(9, 0, Vec::new(), EndpointState::Attached);
    orphan.network = sample::network_id(77);
    let bad: [(&str, Batch); 5] = [
        ("address", edits(vec![endpoint(3, 16)])),
        // Found only when the transaction ends: references are deferred.
        ("FOREIGN KEY", edits(vec![Edit::PutEndpoint(Arc::new(orphan))])),
        ("events are numbered without gaps", Batch { events: vec![sample::event(9, "late", "")], ..Batch::default() }),
        ("module.bytes", edits(vec![Edit::PutModule(Arc::new(sample::module(1, true)))])),
        ("does not fit", edits(vec![Edit::DropEndpoint { id: sample::endpoint_id(0), free_at: Timestamp(u64::MAX) }])),
    ];
    for (why, batch) in bad {
        let e = store.write(&sample::together([fine.clone(), batch])).unwrap_err();
        assert!(whole(&e).contains(why), "{why}: {}", whole(&e));
        let after = store.load().unwrap();
        assert_eq!(counts(&after), counts(&before), "{why}");
        assert_eq!(after.endpoints, before.endpoints, "{why}");
    }
    // And the store goes on.
    store.write(&fine).unwrap();
    assert_eq!(counts(&store.load().unwrap()), [2, 2, 2, 2]);
}

#[test]
fn names_of_networks_and_endpoints_are_unique() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = with_one_endpoint(&dir.path().join("record.db"));
    let mut twin = sample::network(1, sample::parent_id(0));
    twin.name = sample::network(0, sample::parent_id(0)).name;
    let e = store.write(&edits(vec![Edit::PutNetwork(Arc::new(twin))])).unwrap_err();
    assert!(whole(&e).contains("network.name"), "{}", whole(&e));
    let mut twin = sample::endpoint(2, 0, vec![Assigned { subnet: 0, address: sample::v4(0, 40) }], EndpointState::Attached);
    twin.name = sample::endpoint(0, 0, Vec::new(), EndpointState::Attached).name;
    let e = store.write(&edits(vec![Edit::PutEndpoint(Arc::new(twin))])).unwrap_err();
    assert!(whole(&e).contains("endpoint.name"), "{}", whole(&e));
}

#[tokio::test]
async fn the_log_takes_no_change_from_anyone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("record.db");
    let mut store = with_one_endpoint(&path);
    store.write(&sample::attached(0)).unwrap();
    store
        .write(&Batch {
            edits: vec![Edit::PutModule(Arc::new(sample::module(1, true)))],
            module_bytes: vec![(sample::digest(1), Arc::from([1; 4]))],
            ..Batch::default()
        })
        .unwrap();
    let mut shell = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    for (sql, why) in [
        ("UPDATE decision SET verdict = 'denied'", "decisions are append-only"),
        ("DELETE FROM decision", "decisions are append-only"),
        (
            "INSERT OR REPLACE INTO decision
             SELECT id, 0, caller, operation, subject, object, workload_id, workload, 'denied', policies, leaf FROM decision",
            "without gaps",
        ),
        ("UPDATE decision_record SET record = '{}'", "decisions are append-only"),
        ("DELETE FROM decision_record", "decisions are append-only"),
        ("INSERT OR REPLACE INTO decision_record SELECT id, '{}' FROM decision_record", "a decision is recorded once"),
        ("UPDATE settlement SET record = 'failed'", "settlements are append-only"),
        ("DELETE FROM settlement", "settlements are append-only"),
        ("INSERT OR REPLACE INTO settlement SELECT seq, decision_id, '{}', leaf FROM settlement", "without gaps"),
        ("UPDATE event SET text = ''", "events are append-only"),
        ("DELETE FROM event WHERE seq = 1", "events are append-only"),
        ("INSERT OR REPLACE INTO event SELECT seq, at, kind, subject, '' FROM event", "without gaps"),
        ("UPDATE module SET bytes = x'00'", "bytes of a module never change"),
    ] {
        let e = sqlx::query(AssertSqlSafe(sql)).execute(&mut shell).await.unwrap_err();
        assert!(e.to_string().contains(why), "{sql}: {e}");
    }
    shell.close().await.unwrap();
}
