//! The floor of all: the built-ins' own code, compiled for this machine. No isolation, no limits.

use super::{Engine, Rules, Verdict, Wanted};
use crate::common;
use bulkhead_core::policy::{Policy as OnRecord, Question};
use bulkhead_policy_sdk::{Policy, Request, configured};
use bulkhead_policy_subnet_rules::SubnetRules;
use bulkhead_policy_tier_isolation::TierIsolation;

enum One {
    Tiers(TierIsolation),
    Subnets(SubnetRules),
}

pub struct Native(Vec<One>);

impl Native {
    pub fn new(wanted: &[Wanted]) -> Result<Self, String> {
        let one = |(rules, settings): &Wanted| {
            let text = settings.to_string();
            let refused = |v| format!("{}: {v:?}", rules.name());
            Ok(match rules {
                Rules::TierIsolation => One::Tiers(configured(&text).map_err(refused)?),
                Rules::SubnetRules => One::Subnets(configured(&text).map_err(refused)?),
            })
        };
        Ok(Self(wanted.iter().map(one).collect::<Result<_, String>>()?))
    }
}

impl Engine for Native {
    fn name(&self) -> &'static str {
        "native Rust function"
    }

    fn decide(&mut self, asked: &[(&OnRecord, Question)]) -> Vec<Verdict> {
        let judge = |(one, (_, question)): (&One, &(&OnRecord, Question))| {
            let request: Request = common::native(question);
            let opinion = common::from_native(match one {
                One::Tiers(policy) => policy.evaluate(&request),
                One::Subnets(policy) => policy.evaluate(&request),
            });
            Verdict::from_rules(opinion.outcome, opinion.violations.iter().map(|v| v.rule.as_str()))
        };
        self.0.iter().zip(asked).map(judge).collect()
    }
}
