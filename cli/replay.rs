//! At a start under another engine than the last decision's: what was decided must come out the same, or the daemon does not serve.

use bulkhead_core::ids::DecisionId;
use bulkhead_core::log::{DecisionFilter, LoggedDecision, Page};
use bulkhead_core::policy::{Conclusion, Judged, Judgement, Policy};
use bulkhead_core::replay::Comparison;
use bulkhead_engine::Engine;
use bulkhead_store::LogReader;
use std::collections::HashMap;
use std::error::Error;

/// Differences that are told.
const TOLD_MAX: usize = 20;
/// Decisions that are read at once.
const PAGE: usize = 250;

/// Asks the last `last` decisions again, unless the newest that policies judged was judged by what judges now. All modules must be
/// loaded. Differences are an error that lists them, or a warning where the operator goes on all the same.
pub async fn last_decisions(engine: &Engine, log: &LogReader, last: usize, go_on: bool) -> Result<(), Box<dyn Error>> {
    let now = engine.judged_by();
    let mut asked = Asked { engine, log, revisions: HashMap::new(), differences: Vec::new(), replayed: 0, not_comparable: 0 };
    let (mut next, mut read, mut is_newest) = (Page::Newest, 0, true);
    while read < last {
        let page = log.decisions(&DecisionFilter::default(), next, PAGE.min(last - read)).await?;
        let Some(oldest) = page.last() else { break };
        next = Page::Before(oldest.decision.id);
        read += page.len();
        for logged in page {
            let Some(by) = &logged.decision.judged_by else { continue };
            if *by == now && is_newest {
                return Ok(());
            }
            is_newest = false;
            if *by != now {
                asked.again(&logged).await?;
            }
        }
    }
    if asked.replayed > 0 {
        asked.stored_tests();
    }
    let Asked { differences, replayed, not_comparable, .. } = asked;
    if replayed > 0 {
        tracing::info!(replayed, not_comparable, differences = differences.len(), engine = %now.engine, "policies run under another engine: decisions were asked again");
    }
    if differences.is_empty() {
        return Ok(());
    }
    if go_on {
        differences.iter().for_each(|d| tracing::warn!("{d}"));
        return Ok(());
    }
    let more = differences.len().saturating_sub(TOLD_MAX);
    let told: Vec<&str> = differences.iter().take(TOLD_MAX).map(String::as_str).collect();
    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    let text = format!(
        "{} judges recorded decisions otherwise than they were:\n  {}{more}\nStart the version that judged them, or go on with --go-on-with-differences",
        now.engine,
        told.join("\n  "),
    );
    Err(text.into())
}

struct Asked<'a> {
    engine: &'a Engine,
    log: &'a LogReader,
    revisions: HashMap<(String, u64), Option<Policy>>,
    differences: Vec<String>,
    replayed: usize,
    not_comparable: usize,
}

impl Asked<'_> {
    /// The tests that are stored with policies. Where the daemon does not serve with a failed one, its author hears before its callers do.
    fn stored_tests(&mut self) {
        for policy in self.engine.state().policies() {
            for case in policy.tests.iter().flat_map(|suite| &suite.cases) {
                let tried = self.engine.try_case(policy, case);
                if !tried.passed {
                    let (name, said, expected) = (&case.name, tried.said(), case.expected());
                    self.differences.push(format!("test {name:?} of policy {}: {said}, expected: {expected}", policy.name));
                }
            }
        }
    }

    async fn again(&mut self, logged: &LoggedDecision) -> Result<(), Box<dyn Error>> {
        let decision = &logged.decision;
        self.replayed += 1;
        for then in &decision.heard {
            let key = (then.policy.to_string(), then.revision);
            if !self.revisions.contains_key(&key) {
                let found = self.log.revision(&key.0, key.1).await?.map(|r| r.policy);
                self.revisions.insert(key.clone(), found);
            }
            let policy = self.revisions.get(&key).and_then(Option::as_ref);
            let again = self.engine.again(then, policy, decision.judged_by.as_deref());
            match (again.comparison, &again.now) {
                (Comparison::Same, _) => {}
                (Comparison::NotComparable(_), _) | (Comparison::Differs, None) => self.not_comparable += 1,
                (Comparison::Differs, Some(now)) => self.differences.push(difference(decision.id, &key, &then.judged, now)),
            }
        }
        Ok(())
    }
}

fn difference(decision: DecisionId, (policy, revision): &(String, u64), then: &Judged, now: &Judged) -> String {
    format!("decision {decision}: policy {policy} revision {revision} {}, and now {}", said(then), said(now))
}

fn said(judged: &Judged) -> String {
    match &judged.judgement {
        Judgement::Broke(why) => format!("broke ({why})"),
        Judgement::Spoke(opinion) => {
            let rules: Vec<&str> = opinion.violations.iter().map(|v| v.rule.as_str()).collect();
            match opinion.outcome {
                Conclusion::NotApplicable => "had no say".to_owned(),
                Conclusion::Allow => "allowed".to_owned(),
                Conclusion::Deny => format!("denied ({})", rules.join(", ")),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics says where")]
mod tests {
    use super::*;
    use bulkhead_core::caller::Caller;
    use bulkhead_core::evidence::{JudgedBy, Limit};
    use bulkhead_core::ids::BootId;
    use bulkhead_core::names::Name;
    use bulkhead_core::policy::{Change, Description, Digest, Judge, Module, Operation, Opinion, PolicyMode, Question, Scope};
    use bulkhead_core::request::{PutPolicy, Request};
    use bulkhead_core::settings::Settings;
    use bulkhead_engine::Config;
    use bulkhead_kernel::sim::SimKernel;
    use bulkhead_store::SqliteStore;
    use std::path::Path;
    use std::sync::Arc;

    /// Of a version, and with an answer to everything.
    #[derive(Clone)]
    struct Says(&'static str, Judged);

    impl Judge for Says {
        fn judge(&self, _: &Policy, _: &Question) -> Judged {
            self.1.clone()
        }
        fn judged_by(&self) -> Arc<JudgedBy> {
            Arc::new(JudgedBy { engine: self.0.to_owned(), configuration: Digest([0; 32]) })
        }
    }

    fn says(version: &'static str, outcome: Conclusion, fuel: u64) -> Says {
        Says(version, Judged::spoke(Opinion { outcome, violations: vec![], warnings: vec![], notes: vec![] }, Some(fuel)))
    }

    fn start(path: &Path, judge: Says) -> Engine {
        let (store, kernel) = (Box::new(SqliteStore::open(path).unwrap()), SimKernel::new(BootId(7)));
        let settings = Settings::new("fd00:1:2::/48".parse().unwrap());
        Engine::start(Config { store, kernel, judge: Arc::new(judge), settings, sweep: None }).unwrap()
    }

    async fn ask(engine: &Engine, request: Request, bytes: Option<(Digest, Arc<[u8]>)>) {
        let root = Caller { name: "root".into(), uid: Some(0), groups: vec![], door: "unix".into(), peer: String::new(), admin: true };
        engine.ask_with(request, root, Change::default(), None, None, bytes).await.unwrap();
    }

    /// A policy, and one decision that it judged.
    async fn decided(engine: &Engine) {
        let description = Arc::new(Description {
            name: "p".into(),
            version: "1".into(),
            summary: String::new(),
            operations: vec![Operation::CreateNetwork],
            rules: vec![],
            label_keys: vec![],
            needs: vec![],
            settings_schema: "{}".into(),
        });
        let digest = Digest([1; 32]);
        let module = Module { digest, size: 1, description: Arc::clone(&description), built_in: false };
        ask(engine, Request::PutModule(Arc::new(module)), Some((digest, Arc::from([1_u8])))).await;
        let policy = PutPolicy {
            name: Name::new("p").unwrap(),
            module: digest,
            settings: serde_json::Value::Null,
            description,
            mode: PolicyMode::Enforce,
            schedule: None,
            scope: Scope::default(),
            help: Default::default(),
            new_only: true,
            tested_beside: 0,
            tests: None,
        };
        ask(engine, Request::PutPolicy(policy), None).await;
        let network = bulkhead_core::request::CreateNetwork {
            name: Name::new("n").unwrap(),
            mode: bulkhead_core::host::Mode::L2,
            flag: Default::default(),
            parent: None,
            internal: false,
            ipv4: true,
            ipv6: false,
            mtu: None,
            gateway: Default::default(),
            subnets: vec![],
            accept_ra: false,
            shield: Default::default(),
            dns_forward: Default::default(),
            labels: Default::default(),
        };
        ask(engine, Request::CreateNetwork(network), None).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn another_engine_that_judges_otherwise_does_not_serve_unless_told_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.db");
        let first = says("engine 1", Conclusion::Allow, 10);
        let engine = start(&path, first.clone());
        decided(&engine).await;
        engine.stop();
        let log = LogReader::open(&path).unwrap();
        let check = async |judge: Says, go_on| {
            let engine = start(&path, judge);
            let came = last_decisions(&engine, &log, 100, go_on).await.map_err(|e| e.to_string());
            engine.stop();
            came
        };
        assert_eq!(check(first, false).await, Ok(()));
        assert_eq!(check(says("engine 2", Conclusion::Allow, 11), false).await, Ok(()), "fuel is no verdict");
        let otherwise = says("engine 2", Conclusion::NotApplicable, 11);
        let told = check(otherwise.clone(), false).await.unwrap_err();
        assert!(told.contains("decision 3: policy p revision 1 allowed, and now had no say"), "{told}");
        assert_eq!(check(otherwise, true).await, Ok(()));
        let out_of_fuel = Says("engine 2", Judged::broke("out of fuel", Some(5), Some(Limit::Fuel)));
        assert_eq!(check(out_of_fuel, false).await, Ok(()), "not comparable here");
        // The same engine is not asked at all: that it says otherwise now is for `decision replay` to find.
        assert_eq!(check(says("engine 1", Conclusion::NotApplicable, 10), false).await, Ok(()));
    }
}
