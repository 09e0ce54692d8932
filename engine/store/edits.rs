//! How a turn becomes rows. The SQL that writes stands here, beside the code that fills it.

use crate::direct::{Direct, SqliteError, Value};
use crate::failed;
use crate::merkle::leaf;
use bulkhead_core::endpoint::Endpoint;
use bulkhead_core::evidence::PlanEnd;
use bulkhead_core::ids::{BootId, DecisionId};
use bulkhead_core::plan::{Plan, Purpose};
use bulkhead_core::policy::Verdict;
use bulkhead_core::record::{Batch, Decision, Edit, StoreError};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Makes the statements' names and their texts from one list.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:literal;)*) => {
        /// The statements of the writing connection, by name; [`STATEMENTS`] has their texts in the same order.
        #[derive(Clone, Copy)]
        enum Statement { $($(#[$doc])* $name),* }
        /// See [`Statement`].
        pub(crate) const STATEMENTS: &[&str] = &[$($sql),*];
    };
}

statements! {
    Begin = "BEGIN IMMEDIATE";
    Commit = "COMMIT";
    Rollback = "ROLLBACK";

    /// Boot.
    PutBoot = "INSERT INTO meta (key, value) VALUES ('boot', ?1) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    /// Hash.
    PutToken = "INSERT INTO token (id, hash) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET hash = excluded.hash";

    /// Plan. The decision that asked for it, if one did.
    AskedBy = "SELECT decision_id FROM plan WHERE id = ?1 AND decision_id IS NOT NULL";
    /// The number that the next settlement gets.
    NextSettlement = "SELECT coalesce(max(seq), 0) + 1 FROM settlement";
    /// As the columns.
    Settle = "INSERT INTO settlement (seq, decision_id, record, leaf) VALUES (?1, ?2, ?3, ?4)";
    /// As the columns.
    Decide = "
        INSERT INTO decision (id, at, caller, operation, subject, object, workload_id, workload, verdict, policies, leaf)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    /// As the columns.
    Keep = "INSERT INTO decision_record (id, record) VALUES (?1, ?2)";
    /// As the columns.
    Tell = "INSERT INTO event (seq, at, kind, subject, text) VALUES (?1, ?2, ?3, ?4, ?5)";

    /// Id, decision or NULL, endpoint whose decision it carries or NULL, spec.
    OpenPlan = "
        INSERT INTO plan (id, decision_id, spec)
        VALUES (?1, coalesce(?2, (SELECT spec ->> 'decision' FROM endpoint WHERE id = ?3)), ?4)
        ON CONFLICT (id) DO UPDATE SET decision_id = excluded.decision_id, spec = excluded.spec";
    /// Id.
    ClosePlan = "DELETE FROM plan WHERE id = ?1";

    /// Endpoint, network, addresses. Addresses that the endpoint had and has no longer: none, but for an engine that changes them.
    DropStaleAddresses = "
        DELETE FROM address
        WHERE (network_id, subnet, address) IN (
            SELECT endpoint.network_id, had.value ->> 0, had.value ->> 1 FROM endpoint, json_each(endpoint.addresses) AS had
            WHERE endpoint.id = ?1 AND (endpoint.network_id, endpoint.addresses) <> (?2, ?3))
        AND endpoint_id = ?1
        AND (network_id <> ?2 OR json_array(subnet, address) NOT IN (SELECT value FROM json_each(?3)))";
    /// Endpoint, network, addresses, name, spec.
    PutEndpoint = "
        INSERT INTO endpoint (id, network_id, addresses, name, spec) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (id) DO UPDATE
        SET network_id = excluded.network_id, addresses = excluded.addresses, name = excluded.name, spec = excluded.spec";
    /// Endpoint, network, subnet, address. One that is held back may be handed out again.
    LetGoOfAddress = "
        DELETE FROM address WHERE network_id = ?2 AND subnet = ?3 AND address = ?4 AND endpoint_id IS NULL";
    /// The same. One that the endpoint has stays as it is; one that another has is refused: the key is unique.
    TakeAddress = "
        INSERT INTO address (network_id, subnet, address, endpoint_id) SELECT ?2, ?3, ?4, ?1
        WHERE NOT EXISTS (SELECT 1 FROM address WHERE network_id = ?2 AND subnet = ?3 AND address = ?4 AND endpoint_id = ?1)";
    /// Endpoint, when its addresses are free.
    HoldAddresses = "
        UPDATE address SET endpoint_id = NULL, free_at = ?2
        WHERE (network_id, subnet, address) IN (
            SELECT endpoint.network_id, had.value ->> 0, had.value ->> 1 FROM endpoint, json_each(endpoint.addresses) AS had
            WHERE endpoint.id = ?1)
        AND endpoint_id = ?1";
    /// Id.
    DropEndpoint = "DELETE FROM endpoint WHERE id = ?1";

    /// Id, name, parent, spec.
    PutNetwork = "
        INSERT INTO network (id, name, parent_id, spec) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, parent_id = excluded.parent_id, spec = excluded.spec";
    /// Id. What is left of its endpoints and addresses goes with it.
    DropNetwork = "DELETE FROM network WHERE id = ?1";
    /// Id, spec.
    PutParent = "INSERT INTO parent (id, spec) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET spec = excluded.spec";
    /// Id.
    DropParent = "DELETE FROM parent WHERE id = ?1";

    /// Digest, spec, bytes; or NULL, and it keeps those that it has.
    PutModule = "
        INSERT INTO module (digest, spec, bytes) VALUES (?1, ?2, coalesce(?3, (SELECT bytes FROM module WHERE digest = ?1)))
        ON CONFLICT (digest) DO UPDATE SET spec = excluded.spec, bytes = excluded.bytes";
    /// Digest.
    DropModule = "DELETE FROM module WHERE digest = ?1";
    /// Name, module, spec.
    PutPolicy = "
        INSERT INTO policy (name, module, spec) VALUES (?1, ?2, ?3)
        ON CONFLICT (name) DO UPDATE SET module = excluded.module, spec = excluded.spec";
    /// Name, revision, decision or NULL, module, spec.
    PutRevision = "INSERT INTO policy_revision (name, revision, decision_id, module, spec) VALUES (?1, ?2, ?3, ?4, ?5)";
    /// Name.
    DropPolicy = "DELETE FROM policy WHERE name = ?1";
    /// As the columns.
    Archive = "INSERT INTO archive (first, last, month, file, sha256, decision_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    /// Some records that are archived.
    Prune = "
        DELETE FROM decision_record WHERE id IN (
            SELECT id FROM decision_record WHERE id <= (SELECT coalesce(max(last), 0) FROM archive) ORDER BY id LIMIT 256)";
    /// A row where there are more.
    Prunable = "SELECT id FROM decision_record WHERE id <= (SELECT coalesce(max(last), 0) FROM archive) LIMIT 1";
}

/// Why a turn could not be written.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// SQLite said so.
    Sql(SqliteError),
    /// It cannot be put into rows: nothing was sent to SQLite, or it was rolled back.
    Rows(StoreError),
    /// The transaction could be neither committed nor rolled back.
    Stuck(SqliteError),
}

impl From<SqliteError> for Trouble {
    fn from(e: SqliteError) -> Self {
        Self::Sql(e)
    }
}
impl From<StoreError> for Trouble {
    fn from(e: StoreError) -> Self {
        Self::Rows(e)
    }
}

/// Writes a batch in one transaction, all of it or nothing.
pub(crate) fn write(db: &mut Direct, batch: &Batch, boot: Option<BootId>) -> Result<(), Trouble> {
    transaction(db, |db| {
        let mut rows = Rows { db, batch, json: Vec::new() };
        if let Some(boot) = boot {
            rows.run(Statement::PutBoot, &[Value::Text(&boot.to_string())])?;
        }
        // Settlements come while their plans are still there.
        batch.settlements.iter().try_for_each(|end| rows.settlement(end))?;
        batch.decisions.iter().try_for_each(|decision| rows.decision(decision))?;
        batch.edits.iter().try_for_each(|edit| rows.edit(edit))?;
        for e in &batch.events {
            let (seq, at) = (integer(e.seq)?, integer(e.at.0)?);
            rows.run(
                Statement::Tell,
                &[Value::Int(seq), Value::Int(at), Value::Text(&e.kind), Value::Text(&e.subject), Value::Text(&e.text)],
            )?;
        }
        Ok(())
    })
}

/// Deletes some records that are archived; whether there are more.
pub(crate) fn prune(db: &mut Direct) -> Result<bool, Trouble> {
    transaction(db, |db| Ok(db.run(Statement::Prune as usize, &[])?))?;
    Ok(db.number(Statement::Prunable as usize, &[])?.is_some())
}

/// Sets the token's hash.
pub(crate) fn write_token(db: &mut Direct, hash: &[u8]) -> Result<(), Trouble> {
    transaction(db, |db| Ok(db.run(Statement::PutToken as usize, &[Value::Blob(hash)])?))
}

fn transaction(db: &mut Direct, body: impl FnOnce(&mut Direct) -> Result<(), Trouble>) -> Result<(), Trouble> {
    // IMMEDIATE: takes the write lock here, where nothing has been done yet, and not at the first row.
    db.run(Statement::Begin as usize, &[])?;
    let done = body(db).and_then(|()| Ok(db.run(Statement::Commit as usize, &[])?));
    if done.is_err() && !db.is_outside_transaction() {
        // Some errors roll back by themselves (https://sqlite.org/lang_transaction.html); the others are rolled back here.
        db.run(Statement::Rollback as usize, &[]).map_err(Trouble::Stuck)?;
    }
    done
}

/// A settlement as its bytes have it: its place and its decision are under the hash, too.
#[derive(Serialize)]
struct SettlementRecord<'a> {
    seq: i64,
    decision: i64,
    #[serde(flatten)]
    end: &'a PlanEnd,
}

struct Rows<'a> {
    db: &'a mut Direct,
    batch: &'a Batch,
    /// Room for the JSON of one object, used again for the next.
    json: Vec<u8>,
}

impl Rows<'_> {
    fn run(&mut self, statement: Statement, values: &[Value<'_>]) -> Result<(), Trouble> {
        Ok(self.db.run(statement as usize, values)?)
    }

    /// Runs a statement whose last parameter is an object as JSON.
    fn run_with<const N: usize>(&mut self, statement: Statement, values: [Value<'_>; N], spec: &impl Serialize) -> Result<(), Trouble> {
        self.write(spec)?;
        let json = std::str::from_utf8(&self.json).map_err(|e| failed("an object of the record is not UTF-8", e))?;
        let mut all = [Value::Null; 9];
        all[..N].copy_from_slice(&values);
        all[N] = Value::Text(json);
        Ok(self.db.run(statement as usize, &all[..=N])?)
    }

    fn write(&mut self, spec: &impl Serialize) -> Result<(), StoreError> {
        self.json.clear();
        serde_json::to_writer(&mut self.json, spec).map_err(|e| failed("an object of the record cannot be written as JSON", e))
    }

    fn decision(&mut self, d: &Decision) -> Result<(), Trouble> {
        let policies: BTreeSet<&str> = d.heard.iter().map(|h| h.policy.as_str()).collect();
        let policies = serde_json::to_string(&policies).map_err(|e| failed("names of policies cannot be written as JSON", e))?;
        self.write(d)?;
        let leaf = leaf(&self.json);
        let record = std::str::from_utf8(&self.json).map_err(|e| failed("a decision is not UTF-8", e))?;
        let workload = d.workload.as_ref();
        let values = [
            Value::Int(integer(d.id.0)?),
            Value::Int(integer(d.at.0)?),
            Value::Text(&d.caller.name),
            Value::Text(&d.operation),
            Value::Text(&d.subject),
            d.object.as_ref().into(),
            workload.map(|(id, _)| id).into(),
            workload.map(|(_, name)| name).into(),
            Value::Text(verdict(&d.verdict)),
            Value::Text(&policies),
            Value::Blob(&leaf),
        ];
        self.db.run(Statement::Decide as usize, &values)?;
        Ok(self.db.run(Statement::Keep as usize, &[values[0], Value::Text(record)])?)
    }

    /// A plan that no decision asked for leaves its events, and nothing here.
    fn settlement(&mut self, end: &PlanEnd) -> Result<(), Trouble> {
        let plan = end.plan.to_string();
        let Some(decision) = self.db.number(Statement::AskedBy as usize, &[Value::Text(&plan)])? else { return Ok(()) };
        let seq = self.db.number(Statement::NextSettlement as usize, &[])?.unwrap_or(1);
        self.write(&SettlementRecord { seq, decision, end })?;
        let leaf = leaf(&self.json);
        let record = std::str::from_utf8(&self.json).map_err(|e| failed("a settlement is not UTF-8", e))?;
        let values = [Value::Int(seq), Value::Int(decision), Value::Text(record), Value::Blob(&leaf)];
        Ok(self.db.run(Statement::Settle as usize, &values)?)
    }

    fn edit(&mut self, edit: &Edit) -> Result<(), Trouble> {
        match edit {
            Edit::PutEndpoint(endpoint) => self.put_endpoint(endpoint),
            Edit::DropEndpoint { id, free_at } => {
                let id = id.to_string();
                self.run(Statement::HoldAddresses, &[Value::Text(&id), Value::Int(integer(free_at.0)?)])?;
                self.run(Statement::DropEndpoint, &[Value::Text(&id)])
            }
            Edit::OpenPlan(plan) => {
                let decision = asked_by(plan, self.batch).map(|id| integer(id.0)).transpose()?.map_or(Value::Null, Value::Int);
                // What makes an endpoint again carries the decision that the endpoint has: it is not judged a second time.
                let healed = if let Purpose::HealEndpoint(id) = plan.purpose { Some(id.to_string()) } else { None };
                self.run_with(Statement::OpenPlan, [Value::Text(&plan.id.to_string()), decision, healed.as_ref().into()], &**plan)
            }
            Edit::ClosePlan(id) => self.run(Statement::ClosePlan, &[Value::Text(&id.to_string())]),
            Edit::PutNetwork(n) => {
                let (id, parent) = (n.id.to_string(), n.parent.to_string());
                self.run_with(Statement::PutNetwork, [Value::Text(&id), Value::Text(n.name.as_str()), Value::Text(&parent)], &**n)
            }
            Edit::DropNetwork(id) => self.run(Statement::DropNetwork, &[Value::Text(&id.to_string())]),
            Edit::PutParent(p) => self.run_with(Statement::PutParent, [Value::Text(&p.id.to_string())], &**p),
            Edit::DropParent(id) => self.run(Statement::DropParent, &[Value::Text(&id.to_string())]),
            Edit::PutModule(m) => {
                let bytes = self.batch.module_bytes.iter().find(|(digest, _)| *digest == m.digest);
                let bytes = bytes.map_or(Value::Null, |(_, bytes)| Value::Blob(bytes));
                let spec = serde_json::to_string(&**m).map_err(|e| failed("a module's description cannot be written as JSON", e))?;
                self.run(Statement::PutModule, &[Value::Text(&m.digest.to_string()), Value::Text(&spec), bytes])
            }
            Edit::DropModule(digest) => self.run(Statement::DropModule, &[Value::Text(&digest.to_string())]),
            Edit::PutPolicy(p) => {
                let module = p.module.to_string();
                let (name, module) = (Value::Text(p.name.as_str()), Value::Text(&module));
                self.run_with(Statement::PutPolicy, [name, module], &**p)?;
                let put = |d: &&Arc<Decision>| d.operation == "put-policy" && d.subject == p.name.as_str();
                let decision = self.batch.decisions.iter().rfind(put).map(|d| integer(d.id.0)).transpose()?;
                let values = [name, Value::Int(integer(p.revision)?), decision.map_or(Value::Null, Value::Int), module];
                self.run_with(Statement::PutRevision, values, &**p)
            }
            Edit::DropPolicy(name) => self.run(Statement::DropPolicy, &[Value::Text(name.as_str())]),
            Edit::Archive(a) => {
                let decided = self.batch.decisions.iter().rfind(|d| d.operation == "archive-decisions" && d.subject == a.month);
                let decision = decided.map(|d| integer(d.id.0)).transpose()?.map_or(Value::Null, Value::Int);
                let (first, last, sha256) = (integer(a.first.0)?, integer(a.last.0)?, a.sha256.to_string());
                let texts = [Value::Text(&a.month), Value::Text(&a.file), Value::Text(&sha256)];
                let [month, file, sha256] = texts;
                self.run(Statement::Archive, &[Value::Int(first), Value::Int(last), month, file, sha256, decision])
            }
        }
    }

    fn put_endpoint(&mut self, e: &Endpoint) -> Result<(), Trouble> {
        let (id, network, addresses) = (e.id.to_string(), e.network.to_string(), addresses(e));
        let keys = [Value::Text(&id), Value::Text(&network), Value::Text(&addresses)];
        self.run(Statement::DropStaleAddresses, &keys)?;
        let [id, network, addresses] = keys;
        self.run_with(Statement::PutEndpoint, [id, network, addresses, e.name.as_ref().map(|n| n.as_str()).into()], e)?;
        for a in &e.addresses {
            let address = a.address.to_string();
            let address = [id, network, Value::Int(integer(a.subnet as u64)?), Value::Text(&address)];
            self.run(Statement::LetGoOfAddress, &address)?;
            self.run(Statement::TakeAddress, &address)?;
        }
        Ok(())
    }
}

/// The decision of this batch that asked for a plan: the one about the same object that has a plan. An object with an open plan
/// takes no further request, so there is one at most.
fn asked_by(plan: &Plan, batch: &Batch) -> Option<DecisionId> {
    let object = match plan.purpose {
        Purpose::CreateNetwork(id) | Purpose::DeleteNetwork(id) => id.to_string(),
        Purpose::Attach(id) | Purpose::Detach(id) => id.to_string(),
        Purpose::HealParent(_) | Purpose::HealEndpoint(_) => return None,
    };
    let asked = |d: &&Arc<Decision>| !d.plan.is_empty() && d.object.as_deref() == Some(&*object);
    batch.decisions.iter().rfind(asked).map(|d| d.id)
}

/// As the log's column and its filter have it.
fn verdict(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Allowed { .. } => "allowed",
        Verdict::Denied { .. } => "denied",
        Verdict::Forced { .. } => "forced",
    }
}

/// As JSON: `[[0,"10.0.0.2"],[1,"fd00::2"]]`, each pair as SQLite's `json_array` writes it.
fn addresses(endpoint: &Endpoint) -> String {
    let pairs: Vec<String> = endpoint.addresses.iter().map(|a| format!("[{},\"{}\"]", a.subnet, a.address)).collect();
    format!("[{}]", pairs.join(","))
}

/// SQLite's integers have a sign.
pub(crate) fn integer(n: u64) -> Result<i64, StoreError> {
    i64::try_from(n).map_err(|e| failed(format!("{n} does not fit the database's integers"), e))
}
