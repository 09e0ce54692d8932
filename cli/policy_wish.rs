//! What a policy is made of, as options of the command line.

use crate::client::Session;
use crate::client::change::json_object;
use crate::client::failed::{Failed, Result};
use crate::client::live;
use crate::module;
use crate::network::pairs;
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// What a policy is made of. What is left out of a change stays as it is.
#[derive(Debug, Args)]
pub struct Wish {
    /// Its module: a digest, the beginning of one, or the name that exactly one module has.
    #[arg(short, long, add = live::modules())]
    pub module: Option<String>,
    /// Its settings: JSON, or @FILE (@- is stdin).
    #[arg(short, long, value_name = "JSON|@FILE")]
    settings: Option<String>,
    /// One setting, besides those that are there; the value is JSON, or else a text. May be repeated.
    #[arg(long = "setting", value_name = "KEY=VALUE")]
    setting: Vec<String>,
    /// enforce, audit (asked and recorded only) or off.
    #[arg(long)]
    mode: Option<String>,
    /// Until when that mode holds, such as 2027-03-01T00:00:00Z.
    #[arg(long, value_name = "TIME", requires = "then")]
    until: Option<String>,
    /// The mode from then on.
    #[arg(long, value_name = "MODE", requires = "until")]
    then: Option<String>,
    /// Where it applies: operations only, such as attach. May be repeated.
    #[arg(long = "operation", value_name = "OPERATION")]
    operations: Vec<String>,
    /// Where it applies: networks of this name only. May be repeated.
    #[arg(long = "network", value_name = "NETWORK", add = live::networks())]
    networks: Vec<String>,
    /// Where it applies: networks with this label only. May be repeated.
    #[arg(long = "network-label", value_name = "KEY=VALUE", add = live::labels())]
    network_labels: Vec<String>,
    /// Whom to ask; shown with its violations.
    #[arg(long, value_name = "WHO")]
    contact: Option<String>,
    /// Where to read more; shown with its violations.
    #[arg(long, value_name = "URL")]
    help_url: Option<String>,
    /// What to know; shown with its violations.
    #[arg(long, value_name = "TEXT")]
    help_message: Option<String>,
    /// Test cases (YAML or JSON, as `policy test` takes them) that this and every later revision must pass; `none` for none any more.
    #[arg(long, value_name = "FILE")]
    tests: Option<PathBuf>,
}

impl Wish {
    /// The body of a request: `wish`, changed by what is named here.
    pub fn over(&self, session: &mut Session, mut wish: Map<String, Value>) -> Result<Value> {
        if let Some(settings) = &self.settings {
            let settings = match settings.strip_prefix('@') {
                Some(file) => json_object(Path::new(file))?,
                None => match serde_json::from_str(settings) {
                    Ok(Value::Object(settings)) => settings,
                    _ => return Err(Failed::Usage(format!("--settings {settings}: not a JSON object; such as {{\"max\": 10}}, or @FILE"))),
                },
            };
            wish.insert("settings".into(), Value::Object(settings));
        }
        for (key, value) in pairs("--setting", &self.setting)? {
            let text = value.as_str().unwrap_or_default();
            let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
            wish.entry("settings").or_insert_with(|| json!({}))[key] = value;
        }
        for (key, value) in [("mode", &self.mode), ("until", &self.until), ("then", &self.then)] {
            if let Some(value) = value {
                wish.insert(key.into(), Value::from(value.as_str()));
            }
        }
        // A mode that is asked for without a time holds for good.
        if self.mode.is_some() && self.until.is_none() {
            wish.remove("until");
            wish.remove("then");
        }
        let labels = pairs("--network-label", &self.network_labels)?;
        for (key, value) in [
            ("operations", (!self.operations.is_empty()).then(|| json!(self.operations))),
            ("networks", (!self.networks.is_empty()).then(|| json!(self.networks))),
            ("network_labels", (!labels.is_empty()).then_some(Value::Object(labels))),
        ] {
            if let Some(value) = value {
                wish.entry("scope").or_insert_with(|| json!({}))[key] = value;
            }
        }
        for (key, value) in [("contact", &self.contact), ("url", &self.help_url), ("message", &self.help_message)] {
            if let Some(value) = value {
                wish.entry("help").or_insert_with(|| json!({}))[key] = Value::from(value.as_str());
            }
        }
        if let Some(file) = &self.tests {
            wish.insert("tests".into(), tests(file)?);
        }
        // Last, as it asks the daemon: what is wrong here is told without one.
        if let Some(module) = &self.module {
            wish.insert("module".into(), Value::from(module::digest(session, module)?));
        }
        Ok(Value::Object(wish))
    }
}

/// Cases to keep with a policy. They are put to it with its own settings, so that module and settings of the file do not come along.
fn tests(file: &Path) -> Result<Value> {
    if file.as_os_str() == "none" {
        return Ok(json!({"cases": []}));
    }
    // A file that says what it may not is told as `policy test` tells it.
    crate::policy_test::suite(file).map_err(|wrong| Failed::Usage(format!("--tests: {}", wrong.join("; "))))?;
    let unread = |why: String| Failed::Usage(format!("--tests {}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|e| unread(e.to_string()))?;
    let mut suite: Map<String, Value> = serde_saphyr::from_str(&text).map_err(|e| unread(e.to_string()))?;
    suite.remove("module");
    suite.remove("settings");
    Ok(Value::Object(suite))
}
