//! Policies that break at every request: after so many times in a row they are asked no more, and deny at once. Each break costs the
//! writer time that all others wait for.
//!
//! Kept in memory only, by revision: a new revision or a new start tries again. What was not asked for is no verdict of the policy's,
//! and the record says so, so a replay does not look for it.

use bulkhead_core::evidence::{JudgedBy, Limit};
use bulkhead_core::ids::{DecisionId, Timestamp};
use bulkhead_core::names::Name;
use bulkhead_core::policy::{Judge, Judged, Judgement, Policy, Question};
use bulkhead_core::record::Decision;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How a policy broke, at all its last requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// When for the first time since it last spoke.
    pub since: Timestamp,
    /// In which decision that was.
    pub since_decision: DecisionId,
    /// How often since.
    pub times: u64,
    /// Why the last time.
    pub why: String,
    /// Whether that was often enough: it is asked no more.
    pub given_up: bool,
}

/// What is known of all policies that broke when they were asked last.
#[derive(Debug)]
pub(crate) struct Breaks {
    /// Breaks in a row after which a policy is given up.
    max: u64,
    rows: Mutex<HashMap<Name, (u64, Broken)>>,
}

impl Breaks {
    pub(crate) fn new(max: u64) -> Self {
        Self { max, rows: Mutex::default() }
    }

    /// How this revision of a policy broke, if it did when it was asked last.
    pub(crate) fn of(&self, policy: &Policy) -> Option<Broken> {
        let rows = self.rows();
        rows.get(&policy.name).filter(|(revision, _)| *revision == policy.revision).map(|(_, broken)| broken.clone())
    }

    /// Takes note of what policies said to a request.
    pub(crate) fn note(&self, decision: &Decision) {
        let mut rows = self.rows();
        for heard in &decision.heard {
            let why = match &heard.judged.judgement {
                Judgement::Spoke(_) => {
                    rows.remove(&heard.policy);
                    continue;
                }
                // It never ran: its module is not there, others used up the time, or it was given up.
                Judgement::Broke(_) if heard.judged.fuel.is_none() && heard.judged.limit == Some(Limit::Circumstance) => continue,
                Judgement::Broke(why) => why.clone(),
            };
            let first = || Broken { since: decision.at, since_decision: decision.id, times: 0, why: String::new(), given_up: false };
            let (revision, broken) = rows.entry(heard.policy.clone()).or_insert_with(|| (heard.revision, first()));
            if *revision != heard.revision {
                (*revision, *broken) = (heard.revision, first());
            }
            broken.times += 1;
            broken.why = why;
            if broken.times >= self.max && !broken.given_up {
                broken.given_up = true;
                tracing::error!(policy = %heard.policy, times = broken.times, why = %broken.why, "a policy is asked no more");
            }
        }
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<Name, (u64, Broken)>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks policies, but not those that were given up.
pub(crate) struct Watchful<'a> {
    pub(crate) judge: &'a dyn Judge,
    pub(crate) breaks: &'a Breaks,
}

impl Watchful<'_> {
    fn given_up(&self, policy: &Policy) -> Option<Judged> {
        let Broken { since_decision, times, why, .. } = self.breaks.of(policy).filter(|b| b.given_up)?;
        let until = "it is asked no more before a new revision of it or a new start of the daemon";
        let why = format!("it broke {times} times in a row from decision {since_decision} on, the last time because {why}; {until}");
        Some(Judged::broke(why, None, Some(Limit::Circumstance)))
    }
}

impl Judge for Watchful<'_> {
    fn judge(&self, policy: &Policy, question: &Question) -> Judged {
        self.given_up(policy).unwrap_or_else(|| self.judge.judge(policy, question))
    }

    fn judge_all(&self, asked: &[(&Policy, Question)]) -> Vec<Judged> {
        let given_up: Vec<Option<Judged>> = asked.iter().map(|(policy, _)| self.given_up(policy)).collect();
        if given_up.iter().all(Option::is_none) {
            return self.judge.judge_all(asked);
        }
        let rest: Vec<(&Policy, Question)> =
            asked.iter().zip(&given_up).filter(|(_, g)| g.is_none()).map(|(asked, _)| asked.clone()).collect();
        let mut answers = self.judge.judge_all(&rest).into_iter();
        let lost = || Judged::broke("the judge gave no answer", None, Some(Limit::Circumstance));
        given_up.into_iter().map(|given_up| given_up.or_else(|| answers.next()).unwrap_or_else(lost)).collect()
    }

    fn judged_by(&self) -> Arc<JudgedBy> {
        self.judge.judged_by()
    }
}
