//! Short ways to say what a policy says.

use crate::{Description, Label, Operation, Opinion, Outcome, Rule, View, Violation, Workload};

/// The value of the label `key`.
pub fn label<'a>(labels: &'a [Label], key: &str) -> Option<&'a str> {
    labels.iter().find(|l| l.key == key).map(|l| l.value.as_str())
}

/// The field of a request that a label is in: `labels.tier`, or `labels["example.org/tier"]` where the key has dots or slashes.
pub fn label_field(labels: &str, key: &str) -> String {
    if key.contains(['.', '/']) { [labels, "[\"", key, "\"]"].concat() } else { [labels, ".", key].concat() }
}

/// What a message calls a workload: its name, else its id.
pub fn workload_name(workload: &Workload) -> &str {
    if workload.name.is_empty() { &workload.id } else { &workload.name }
}

/// A violation of the rule `rule`; add the field and the remedy.
pub fn violation(rule: &str, message: impl Into<String>) -> Violation {
    Violation { rule: rule.into(), message: message.into(), field: None, remedy: None }
}

impl Violation {
    /// Which field of the request is at fault, such as `subnets[0].cidr`.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// What would be right.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl Opinion {
    fn new(outcome: Outcome, violations: Vec<Violation>) -> Self {
        Self { outcome, violations, warnings: Vec::new(), notes: Vec::new() }
    }

    /// None of this policy's business.
    pub fn not_applicable() -> Self {
        Self::new(Outcome::NotApplicable, Vec::new())
    }

    /// Nothing against it.
    pub fn allow() -> Self {
        Self::new(Outcome::Allow, Vec::new())
    }

    /// Denies if there is a violation, else allows.
    pub fn deny(violations: impl IntoIterator<Item = Violation>) -> Self {
        let violations: Vec<Violation> = violations.into_iter().collect();
        let outcome = if violations.is_empty() { Outcome::Allow } else { Outcome::Deny };
        Self::new(outcome, violations)
    }

    /// Adds a warning, which the caller of an allowed request sees.
    #[must_use]
    pub fn warn(mut self, warning: impl Into<String>) -> Self {
        self.warnings.push(warning.into());
        self
    }

    /// Adds a note, which the policy's author sees in the log and in a dry run.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

/// A description without operations, rules, keys, views and schema; add what applies.
pub fn description(name: &str, version: &str, summary: &str) -> Description {
    Description {
        name: name.into(),
        version: version.into(),
        summary: summary.into(),
        operations: Vec::new(),
        rules: Vec::new(),
        label_keys: Vec::new(),
        needs: Vec::new(),
        settings_schema: String::new(),
    }
}

impl Description {
    /// On which operations it is asked.
    #[must_use]
    pub fn judges(mut self, operations: &[Operation]) -> Self {
        self.operations.extend_from_slice(operations);
        self
    }

    /// A rule that it may find violated, and what the rule serves.
    #[must_use]
    pub fn rule(mut self, id: &str, summary: &str, controls: &[&str]) -> Self {
        let controls = controls.iter().map(|c| (*c).into()).collect();
        self.rules.push(Rule { id: id.into(), summary: summary.into(), controls });
        self
    }

    /// A label key that residents are grouped by.
    #[must_use]
    pub fn looks_at(mut self, key: &str) -> Self {
        self.label_keys.push(key.into());
        self
    }

    /// The residents that it wants to see.
    #[must_use]
    pub fn needs(mut self, views: &[View]) -> Self {
        self.needs.extend_from_slice(views);
        self
    }

    /// JSON Schema of its settings.
    #[must_use]
    pub fn schema(mut self, schema: &str) -> Self {
        self.settings_schema = schema.into();
        self
    }
}
