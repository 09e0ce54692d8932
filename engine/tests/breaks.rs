//! A policy that breaks ten times in a row is asked no more: it denies at once, says why and since when, and stops no removal.
#![allow(clippy::unwrap_used)] // A test that panics says where.

mod common;

use bulkhead_core::host::{Flag, Mode};
use bulkhead_core::ids::{BootId, DecisionId};
use bulkhead_core::names::{Labels, Name};
use bulkhead_core::network::ShieldWish;
use bulkhead_core::policy::*;
use bulkhead_core::request::{CreateNetwork, GatewayWish, PutPolicy, Request};
use bulkhead_core::settings::Settings;
use bulkhead_engine::{Config, Engine, Failure};
use bulkhead_kernel::sim::SimKernel;
use common::{Agrees, Memory, root};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

/// Breaks while it is told to, and counts how often it is asked.
#[derive(Default)]
struct Fragile {
    breaks: AtomicBool,
    asked: AtomicUsize,
}

impl Judge for Fragile {
    fn judge(&self, policy: &Policy, question: &Question) -> Judged {
        self.asked.fetch_add(1, SeqCst);
        if self.breaks.load(SeqCst) { Judged::broke("it trapped", Some(7), None) } else { Agrees.judge(policy, question) }
    }
}

fn isolated(name: &str) -> Request {
    Request::CreateNetwork(CreateNetwork {
        name: Name::new(name).unwrap(),
        mode: Mode::L2,
        flag: Flag::Bridge,
        parent: None,
        internal: false,
        ipv4: true,
        ipv6: false,
        mtu: None,
        gateway: GatewayWish::Auto,
        subnets: vec![],
        accept_ra: false,
        shield: ShieldWish::On,
        dns_forward: Default::default(),
        labels: Labels::default(),
    })
}

fn policy(settings: serde_json::Value, tested_beside: u64) -> Request {
    let operations = vec![Operation::CreateNetwork, Operation::DeleteNetwork];
    let description = Description {
        name: "fragile".into(),
        version: "1".into(),
        summary: "Breaks".into(),
        operations,
        rules: vec![],
        label_keys: vec![],
        needs: vec![],
        settings_schema: String::new(),
    };
    Request::PutPolicy(PutPolicy {
        name: Name::new("fragile").unwrap(),
        module: Digest([1; 32]),
        settings,
        description: Arc::new(description),
        mode: PolicyMode::Enforce,
        schedule: None,
        scope: Scope::default(),
        help: Help::default(),
        new_only: false,
        tests: None,
        tested_beside,
    })
}

#[tokio::test]
async fn after_ten_breaks_in_a_row_a_policy_is_asked_no_more_until_a_new_revision_comes() {
    let (kernel, judge) = (SimKernel::new(BootId(1)), Arc::new(Fragile::default()));
    let settings = Settings::new("fd00:1::/48".parse().unwrap());
    let judged = Arc::clone(&judge) as Arc<dyn Judge + Send + Sync>;
    let engine = Engine::start(Config { store: Box::new(Memory::new()), kernel, judge: judged, settings, sweep: None }).unwrap();
    let ask = |request| engine.ask(request, root(), Change { reason: Some("a test".into()), ..Change::default() }, None, None);
    let module =
        Module { digest: Digest([1; 32]), size: 1, description: description_of(&policy(serde_json::json!({}), 0)), built_in: false };
    ask(Request::PutModule(Arc::new(module))).await.unwrap();
    ask(policy(serde_json::json!({}), 0)).await.unwrap();
    let in_force = || Arc::clone(engine.state().policies().next().unwrap());
    ask(isolated("kept")).await.unwrap();

    let denied = async |name: &str| match ask(isolated(name)).await.map(|a| a.decision) {
        Err(Failure::Denied { decision, violations }) => (decision, violations[0].violation.message.clone()),
        other => panic!("not denied: {other:?}"),
    };
    judge.breaks.store(true, SeqCst);
    for _ in 0..9 {
        assert_eq!(denied("n").await.1, "the policy could not judge this: it trapped");
    }
    // One answer in between, and the count begins anew.
    judge.breaks.store(false, SeqCst);
    ask(isolated("between")).await.unwrap();
    assert_eq!(engine.broke(&in_force()), None);
    judge.breaks.store(true, SeqCst);
    let first = denied("n").await.0;
    for _ in 0..9 {
        assert!(!engine.broke(&in_force()).unwrap().given_up);
        denied("n").await;
    }
    let broken = engine.broke(&in_force()).unwrap();
    assert_eq!((broken.since_decision, broken.times, broken.why.as_str(), broken.given_up), (first, 10, "it trapped", true));

    let asked = judge.asked.load(SeqCst);
    let DecisionId(first) = first;
    let why = format!(
        "the policy could not judge this: it broke 10 times in a row from decision {first} on, the last time because it trapped; \
         it is asked no more before a new revision of it or a new start of the daemon"
    );
    assert_eq!(denied("n").await.1, why);
    // A removal is not stopped, and its decision says that the policy was not asked.
    let removed = ask(Request::DeleteNetwork { network: "kept".into() }).await.unwrap();
    assert!(removed.warnings.iter().any(|w| w.contains("does not stop a removal")), "{:?}", removed.warnings);
    assert_eq!(judge.asked.load(SeqCst), asked, "it was not asked");

    ask(policy(serde_json::json!({"another": "revision"}), 1)).await.unwrap();
    assert_eq!(engine.broke(&in_force()), None);
    assert_eq!(denied("n").await.1, "the policy could not judge this: it trapped");
    judge.breaks.store(false, SeqCst);
    ask(isolated("n")).await.unwrap();
    engine.stop();
}

fn description_of(policy: &Request) -> Arc<Description> {
    let Request::PutPolicy(policy) = policy else { panic!("not a policy") };
    Arc::clone(&policy.description)
}
