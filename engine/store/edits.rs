//! How a turn becomes rows.
//!
//! A turn is written by **one** statement, `INSERT INTO turn VALUES (…), (…)`: `turn` is a view of the writing connection, and its
//! triggers put each row where it belongs, in order. Each awaited statement costs two thread switches (sqlx's driver has its own
//! thread), so a turn has one; and a single statement is a transaction by itself, so `BEGIN` and `COMMIT` are not sent either.
//! The SQL that writes stands here, beside the code that fills it, and not in the migrations.

use crate::failed;
use bulkhead_core::endpoint::Endpoint;
use bulkhead_core::event::Event;
use bulkhead_core::ids::{BootId, DecisionId};
use bulkhead_core::plan::{Plan, Purpose};
use bulkhead_core::policy::Verdict;
use bulkhead_core::record::{Batch, Decision, Edit, StoreError};
use serde::Serialize;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, AssertSqlSafe, SqlSafeStr, SqlStr};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

/// `op` says what a row is; what the other columns mean is told by the trigger of that `op`. A row without `op` is padding.
pub(crate) const VIEW: &str =
    "CREATE TEMP VIEW turn (op, id, a, b, c, d, e, f, g, spec) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL";

/// What each row does, by its `op`. Names of tables stand without their schema: triggers may not qualify them.
pub(crate) const TRIGGERS: [(&str, &str); 17] = [
    (
        "endpoint",
        "INSERT INTO endpoint (id, network_id, name, spec) VALUES (NEW.id, NEW.a, NEW.b, NEW.spec)
         ON CONFLICT (id) DO UPDATE SET network_id = excluded.network_id, name = excluded.name, spec = excluded.spec;

         -- `c` is a JSON array of [subnet, address]. An endpoint that is put again mostly has its addresses: nothing is written.
         DELETE FROM address
         WHERE endpoint_id = NEW.id
           AND (network_id <> NEW.a OR json_array(subnet, address) NOT IN (SELECT value FROM json_each(NEW.c)));

         -- One that was held back may be handed out again. One that another endpoint has is left, and the insert is refused.
         DELETE FROM address
         WHERE (network_id, subnet, address) IN (SELECT NEW.a, value ->> 0, value ->> 1 FROM json_each(NEW.c))
           AND endpoint_id IS NULL;

         INSERT INTO address (network_id, subnet, address, endpoint_id)
         SELECT NEW.a, wanted.value ->> 0, wanted.value ->> 1, NEW.id FROM json_each(NEW.c) AS wanted
         WHERE NOT EXISTS (
             SELECT 1 FROM address AS has
             WHERE has.network_id = NEW.a AND has.subnet = wanted.value ->> 0 AND has.address = wanted.value ->> 1
               AND has.endpoint_id = NEW.id);",
    ),
    (
        "no endpoint",
        "UPDATE address SET endpoint_id = NULL, free_at = NEW.a WHERE endpoint_id = NEW.id;
         DELETE FROM endpoint WHERE id = NEW.id;",
    ),
    (
        "decision",
        "INSERT INTO decision (id, at, caller, operation, subject, object, verdict, policies, record)
         VALUES (NEW.id, NEW.a, NEW.b, NEW.c, NEW.d, NEW.e, NEW.f, NEW.g, NEW.spec);",
    ),
    ("event", "INSERT INTO event (seq, at, kind, subject, text) VALUES (NEW.id, NEW.a, NEW.b, NEW.c, NEW.spec);"),
    (
        "plan",
        "INSERT INTO plan (id, decision_id, spec)
         VALUES (NEW.id, coalesce(NEW.a, (SELECT spec ->> 'decision' FROM endpoint WHERE id = NEW.b)), NEW.spec)
         ON CONFLICT (id) DO UPDATE SET decision_id = excluded.decision_id, spec = excluded.spec;",
    ),
    ("no plan", "DELETE FROM plan WHERE id = NEW.id;"),
    (
        "settlement",
        // A plan that no decision asked for leaves its events, and nothing here.
        "INSERT INTO settlement (decision_id, n, plan_id, recorded_at, outcome)
         SELECT decision_id,
                (SELECT coalesce(max(n), 0) + 1 FROM settlement AS before WHERE before.decision_id = plan.decision_id),
                id, CAST(unixepoch('subsec') * 1000 AS INTEGER), NEW.spec
         FROM plan WHERE id = NEW.id AND decision_id IS NOT NULL;",
    ),
    (
        "network",
        "INSERT INTO network (id, name, parent_id, spec) VALUES (NEW.id, NEW.a, NEW.b, NEW.spec)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, parent_id = excluded.parent_id, spec = excluded.spec;",
    ),
    ("no network", "DELETE FROM network WHERE id = NEW.id;"),
    ("parent", "INSERT INTO parent (id, spec) VALUES (NEW.id, NEW.spec) ON CONFLICT (id) DO UPDATE SET spec = excluded.spec;"),
    ("no parent", "DELETE FROM parent WHERE id = NEW.id;"),
    (
        "module",
        "INSERT INTO module (digest, spec, bytes)
         VALUES (NEW.id, NEW.spec, coalesce(NEW.a, (SELECT bytes FROM module WHERE digest = NEW.id)))
         ON CONFLICT (digest) DO UPDATE SET spec = excluded.spec, bytes = excluded.bytes;",
    ),
    ("no module", "DELETE FROM module WHERE digest = NEW.id;"),
    (
        "policy",
        "INSERT INTO policy (name, module, spec) VALUES (NEW.id, NEW.a, NEW.spec)
         ON CONFLICT (name) DO UPDATE SET module = excluded.module, spec = excluded.spec;",
    ),
    ("no policy", "DELETE FROM policy WHERE name = NEW.id;"),
    ("boot", "INSERT INTO meta (key, value) VALUES ('boot', NEW.spec) ON CONFLICT (key) DO UPDATE SET value = excluded.value;"),
    ("token", "INSERT INTO token (id, hash) VALUES (1, NEW.spec) ON CONFLICT (id) DO UPDATE SET hash = excluded.hash;"),
];

/// Makes the trigger of an `op`.
pub(crate) fn trigger((op, body): (&str, &str)) -> String {
    format!("CREATE TEMP TRIGGER \"turn {op}\" INSTEAD OF INSERT ON turn WHEN NEW.op = '{op}' BEGIN {body} END")
}

/// Columns of `turn`.
const COLUMNS: usize = 10;

/// How many rows a statement has: one of these, padded up, so that a handful of prepared statements serves every turn.
const SIZES: [usize; 13] = [1, 2, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256, 512];

/// Most rows of one statement (SQLite allows 32,766 parameters).
const ROWS_MAX: usize = SIZES[SIZES.len() - 1];

static STATEMENTS: LazyLock<[SqlStr; SIZES.len()]> = LazyLock::new(|| {
    SIZES.map(|rows| {
        let row = format!("({})", ["?"; COLUMNS].join(","));
        let text = format!("INSERT INTO turn VALUES {}", vec![row; rows].join(","));
        // Made of constants: nothing of a request is in it. Shared, as sqlx wants to own it at each call.
        AssertSqlSafe(Arc::<str>::from(text)).into_sql_str()
    })
});

/// What a column of a row holds.
#[derive(Default)]
enum Value {
    #[default]
    Null,
    Int(i64),
    Text(String),
    Blob(Arc<[u8]>),
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Self::Int(n)
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row of `turn`.
#[derive(Default)]
struct Row {
    op: &'static str,
    id: Value,
    a: Value,
    b: Value,
    c: Value,
    d: Value,
    e: Value,
    f: Value,
    g: Value,
    spec: Value,
}

impl Row {
    fn of(batch: &Batch, edit: &Edit) -> Result<Self, StoreError> {
        let none = Self::default();
        Ok(match edit {
            Edit::PutEndpoint(e) => Self {
                op: "endpoint",
                id: e.id.to_string().into(),
                a: e.network.to_string().into(),
                b: e.name.as_ref().map(|n| n.as_str()).into(),
                c: addresses(e).into(),
                spec: json("an endpoint", &**e)?.into(),
                ..none
            },
            Edit::DropEndpoint { id, free_at } => {
                Self { op: "no endpoint", id: id.to_string().into(), a: integer(free_at.0)?.into(), ..none }
            }
            Edit::OpenPlan(plan) => {
                // What makes an endpoint again carries the decision that the endpoint has: it is not judged a second time.
                let healed = if let Purpose::HealEndpoint(id) = plan.purpose { Some(id.to_string()) } else { None };
                Self {
                    op: "plan",
                    id: plan.id.to_string().into(),
                    a: asked_by(plan, batch).map(|id| integer(id.0)).transpose()?.into(),
                    b: healed.into(),
                    spec: json("a plan", &**plan)?.into(),
                    ..none
                }
            }
            Edit::ClosePlan(id) => Self { op: "no plan", id: id.to_string().into(), ..none },
            Edit::PutNetwork(n) => Self {
                op: "network",
                id: n.id.to_string().into(),
                a: n.name.as_str().into(),
                b: n.parent.to_string().into(),
                spec: json("a network", &**n)?.into(),
                ..none
            },
            Edit::DropNetwork(id) => Self { op: "no network", id: id.to_string().into(), ..none },
            Edit::PutParent(p) => Self { op: "parent", id: p.id.to_string().into(), spec: json("a parent", &**p)?.into(), ..none },
            Edit::DropParent(id) => Self { op: "no parent", id: id.to_string().into(), ..none },
            Edit::PutModule(m) => {
                let bytes = batch.module_bytes.iter().find(|(digest, _)| *digest == m.digest);
                Self {
                    op: "module",
                    id: m.digest.to_string().into(),
                    a: bytes.map_or(Value::Null, |(_, bytes)| Value::Blob(Arc::clone(bytes))),
                    spec: json("a module", &**m)?.into(),
                    ..none
                }
            }
            Edit::DropModule(digest) => Self { op: "no module", id: digest.to_string().into(), ..none },
            Edit::PutPolicy(p) => Self {
                op: "policy",
                id: p.name.as_str().into(),
                a: p.module.to_string().into(),
                spec: json("a policy", &**p)?.into(),
                ..none
            },
            Edit::DropPolicy(name) => Self { op: "no policy", id: name.as_str().into(), ..none },
        })
    }

    fn decision(d: &Decision) -> Result<Self, StoreError> {
        let policies: BTreeSet<&str> = d.heard.iter().map(|h| h.policy.as_str()).collect();
        Ok(Self {
            op: "decision",
            id: integer(d.id.0)?.into(),
            a: integer(d.at.0)?.into(),
            b: d.caller.name.as_str().into(),
            c: d.operation.as_str().into(),
            d: d.subject.as_str().into(),
            e: d.object.as_deref().into(),
            f: verdict(&d.verdict).into(),
            g: json("names of policies", &policies)?.into(),
            spec: json("a decision", d)?.into(),
        })
    }

    fn event(e: &Event) -> Result<Self, StoreError> {
        Ok(Self {
            op: "event",
            id: integer(e.seq)?.into(),
            a: integer(e.at.0)?.into(),
            b: e.kind.as_str().into(),
            c: e.subject.as_str().into(),
            spec: e.text.as_str().into(),
            ..Self::default()
        })
    }
}

/// The statements that write a batch, with their arguments. One, unless the batch is very large (or empty): then they want a
/// transaction around them.
pub(crate) fn statements(batch: &Batch, boot: Option<BootId>) -> Result<Vec<(SqlStr, SqliteArguments)>, StoreError> {
    // Settlements come while their plans are still there, decisions before what they allow; all else is the engine's order.
    let mut rows = Vec::with_capacity(batch.edits.len() + batch.decisions.len() + batch.settlements.len() + batch.events.len() + 1);
    rows.extend(boot.map(|boot| Row { op: "boot", spec: boot.to_string().into(), ..Row::default() }));
    for (plan, outcome) in &batch.settlements {
        rows.push(Row { op: "settlement", id: plan.to_string().into(), spec: outcome.as_str().into(), ..Row::default() });
    }
    for decision in &batch.decisions {
        rows.push(Row::decision(decision)?);
    }
    for edit in &batch.edits {
        rows.push(Row::of(batch, edit)?);
    }
    for event in &batch.events {
        rows.push(Row::event(event)?);
    }
    let mut statements = Vec::with_capacity(rows.len().div_ceil(ROWS_MAX));
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        statements.push(statement(rows.by_ref().take(ROWS_MAX).collect())?);
    }
    Ok(statements)
}

/// The statement that sets the token's hash.
pub(crate) fn token(hash: &[u8]) -> Result<(SqlStr, SqliteArguments), StoreError> {
    statement(vec![Row { op: "token", spec: Value::Blob(hash.into()), ..Row::default() }])
}

fn statement(rows: Vec<Row>) -> Result<(SqlStr, SqliteArguments), StoreError> {
    let size = SIZES.partition_point(|size| *size < rows.len());
    let mut arguments = SqliteArguments::default();
    arguments.reserve(rows.len() * COLUMNS, 0);
    for Row { op, id, a, b, c, d, e, f, g, spec } in rows {
        for value in [op.into(), id, a, b, c, d, e, f, g, spec] {
            match value {
                Value::Null => arguments.add(None::<i64>),
                Value::Int(n) => arguments.add(n),
                Value::Text(text) => arguments.add(text),
                Value::Blob(bytes) => arguments.add(bytes),
            }
            .map_err(|e| failed("a turn of the writer cannot be bound to its statement", e))?;
        }
    }
    // Parameters beyond the rows stay unbound, which is NULL: padding.
    Ok((STATEMENTS[size].clone(), arguments))
}

/// The decision of this batch that asked for a plan: the one about the same object that has a plan. An object with an open plan
/// takes no further request, so there is one at most.
fn asked_by(plan: &Plan, batch: &Batch) -> Option<DecisionId> {
    let object = match plan.purpose {
        Purpose::CreateNetwork(id) | Purpose::DeleteNetwork(id) => id.to_string(),
        Purpose::Attach(id) | Purpose::Detach(id) => id.to_string(),
        Purpose::HealParent(_) | Purpose::HealEndpoint(_) | Purpose::Sweep => return None,
    };
    let asked = |d: &&Arc<Decision>| !d.plan.is_empty() && d.object.as_deref() == Some(&*object);
    batch.decisions.iter().rfind(asked).map(|d| d.id)
}

/// As the log's column and its filter have it.
pub(crate) fn verdict(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Allowed { .. } => "allowed",
        Verdict::Denied { .. } => "denied",
        Verdict::Forced { .. } => "forced",
    }
}

fn addresses(endpoint: &Endpoint) -> String {
    let pairs: Vec<String> = endpoint.addresses.iter().map(|a| format!("[{},\"{}\"]", a.subnet, a.address)).collect();
    format!("[{}]", pairs.join(","))
}

fn json(what: &str, value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| failed(format!("{what} cannot be written as JSON"), e))
}

/// SQLite's integers have a sign.
pub(crate) fn integer(n: u64) -> Result<i64, StoreError> {
    i64::try_from(n).map_err(|e| failed(format!("{n} does not fit the database's integers"), e))
}
