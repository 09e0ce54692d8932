//! What the operator configures: a TOML file, and flags, which win. All that is wrong is told at once, and what nobody knows is
//! refused with the nearest that is known.

use crate::options::{LogFormat, Serve};
use bulkhead_core::caller::Grant;
use bulkhead_core::refusal::Fault;
use bulkhead_core::settings::DefaultPool;
use bulkhead_wasm::Limits as PolicyLimits;
use bulkhead_web::fields::{self, Fields, Read};
use bulkhead_web::{BasePath, Limits};
use serde_json::Value;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// All that can be configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The unix socket.
    pub socket: PathBuf,
    /// Its group.
    pub socket_group: Option<String>,
    /// Its mode.
    pub socket_mode: u32,
    /// The database.
    pub database: PathBuf,
    /// Loopback address of the TCP door.
    pub listen: Option<SocketAddr>,
    /// Further names that the TCP door is known by.
    pub hosts: Vec<String>,
    /// The path below which a proxy shows all that is served.
    pub base_path: BasePath,
    /// Users who are admins.
    pub admins: Vec<String>,
    /// Default pools, where they are not the usual ones.
    pub pools: Option<Vec<DefaultPool>>,
    /// How long a freed address is kept back, in seconds.
    pub hold_back_s: u64,
    /// Who may assert which label values.
    pub grants: Vec<Grant>,
    /// Whether what no enforcing policy judges is allowed.
    pub allow_unjudged: bool,
    /// Whole months that decisions stay in the database before they go into archives; 0 for ever.
    pub keep_months: u32,
    /// Decisions that are asked again at a start under another engine.
    pub replay_last: usize,
    /// Serve although recorded decisions come out otherwise.
    pub go_on_with_differences: bool,
    /// How often namespaces are looked at; never where it is zero.
    pub sweep: Duration,
    /// Whether names are answered in the namespaces of workloads.
    pub names: bool,
    /// Who is asked for names from outside; none: those of /etc/resolv.conf.
    pub resolvers: Vec<SocketAddr>,
    /// How log lines look.
    pub log: LogFormat,
    /// What a client may take.
    pub limits: Limits,
    /// What a policy may.
    pub policy_limits: PolicyLimits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            socket: "/run/bulkhead/bulkhead.sock".into(),
            socket_group: None,
            socket_mode: 0o660,
            database: "/var/lib/bulkhead/bulkhead.db".into(),
            listen: None,
            hosts: Vec::new(),
            base_path: BasePath::default(),
            admins: Vec::new(),
            pools: None,
            hold_back_s: 60,
            grants: Vec::new(),
            allow_unjudged: false,
            keep_months: 13,
            replay_last: 1_000,
            go_on_with_differences: false,
            sweep: Duration::from_secs(5),
            names: true,
            resolvers: Vec::new(),
            log: LogFormat::Text,
            limits: Limits::default(),
            policy_limits: PolicyLimits::default(),
        }
    }
}

/// Why the configuration cannot be used.
#[derive(Debug)]
pub enum ConfigError {
    /// The file cannot be read.
    Unreadable(PathBuf, std::io::Error),
    /// It is not TOML.
    NotToml(PathBuf, Box<toml::de::Error>),
    /// What it says is wrong.
    Wrong(PathBuf, Vec<Fault>),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, e) => write!(f, "the configuration {} cannot be read: {e}", path.display()),
            Self::NotToml(path, e) => write!(f, "the configuration {} is not TOML:\n{e}", path.display()),
            Self::Wrong(path, faults) => {
                write!(f, "the configuration {} is wrong:", path.display())?;
                faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
            }
        }
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// The file, if one is named, and the flags over it.
    pub fn load(flags: &Serve) -> Result<Self, ConfigError> {
        let mut config = match &flags.config {
            Some(path) => Self::read(path)?,
            None => Self::default(),
        };
        let Serve {
            config: _,
            new_token: _,
            socket,
            socket_group,
            database,
            listen,
            host,
            base_path,
            admin,
            hold_back_s,
            allow_unjudged,
            go_on_with_differences,
            log,
            no_names,
        } = flags;
        config.socket = socket.clone().unwrap_or(config.socket);
        config.socket_group = socket_group.clone().or(config.socket_group);
        config.database = database.clone().unwrap_or(config.database);
        config.listen = listen.or(config.listen);
        config.hosts.extend(host.iter().cloned());
        config.base_path = base_path.clone().unwrap_or(config.base_path);
        config.admins.extend(admin.iter().cloned());
        config.hold_back_s = hold_back_s.unwrap_or(config.hold_back_s);
        config.allow_unjudged |= allow_unjudged;
        config.go_on_with_differences = *go_on_with_differences;
        config.names &= !no_names;
        config.log = log.unwrap_or(config.log);
        Ok(config)
    }

    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|e| ConfigError::Unreadable(path.to_owned(), e))?;
        let table: Value = toml::from_str(&text).map_err(|e| ConfigError::NotToml(path.to_owned(), Box::new(e)))?;
        Self::of(table).map_err(|faults| ConfigError::Wrong(path.to_owned(), faults))
    }

    fn of(table: Value) -> Read<Self> {
        let default = Self::default();
        let mut file = Fields::of(table)?;
        let policy_limits = file.optional("policy_limits", policy_limits).unwrap_or_default();
        let limits = file.optional("limits", limits).unwrap_or_default();
        let config = Self {
            socket: file.optional("socket", path).unwrap_or(default.socket),
            socket_group: file.optional("socket_group", name_or_number),
            socket_mode: file.optional("socket_mode", mode).unwrap_or(default.socket_mode),
            database: file.optional("database", path).unwrap_or(default.database),
            listen: file.optional("listen", socket_address),
            hosts: file.optional("hosts", fields::list(host)).unwrap_or_default(),
            base_path: file.optional("base_path", base_path).unwrap_or_default(),
            admins: file.optional("admins", fields::list(name_or_number)).unwrap_or_default(),
            pools: file.optional("pools", fields::list(pool)),
            hold_back_s: file.optional("hold_back_s", fields::number(0, 86_400)).unwrap_or(default.hold_back_s),
            grants: file.optional("grants", fields::list(grant)).unwrap_or_default(),
            allow_unjudged: file.optional("allow_unjudged", fields::boolean).unwrap_or(false),
            keep_months: file.optional("keep_months", fields::number(0, 1_200)).unwrap_or(default.keep_months),
            replay_last: file.optional("replay_last", fields::number(0, 1 << 20)).unwrap_or(default.replay_last),
            // A flag only: it is for one start, and would do harm if it stayed.
            go_on_with_differences: false,
            sweep: file.optional("sweep_s", fields::number(0, 86_400)).map_or(default.sweep, Duration::from_secs),
            names: file.optional("names", fields::boolean).unwrap_or(default.names),
            resolvers: file.optional("resolvers", fields::list(resolver)).unwrap_or_default(),
            log: file.optional("log", fields::choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)])).unwrap_or(default.log),
            limits: Limits { module_bytes_max: usize::try_from(policy_limits.module_bytes_max).unwrap_or(usize::MAX), ..limits },
            policy_limits,
        };
        let faults = file.finish();
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }
}

fn one<T>(wrong: String, right: &str) -> Read<T> {
    Err(vec![Fault::new("", wrong, right)])
}

fn path(value: Value) -> Read<PathBuf> {
    let text = fields::text(value)?;
    if text.is_empty() { one("empty".into(), "a path") } else { Ok(text.into()) }
}

fn name_or_number(value: Value) -> Read<String> {
    match value {
        Value::Number(n) if n.is_u64() => Ok(n.to_string()),
        other => fields::short_text(other),
    }
}

fn mode(value: Value) -> Read<u32> {
    let text = fields::text(value)?;
    let mode = u32::from_str_radix(&text, 8).ok().filter(|m| *m <= 0o777);
    mode.map_or_else(|| one(format!("{text:?} is not a mode"), "octal digits in quotes, such as \"0660\""), Ok)
}

fn socket_address(value: Value) -> Read<SocketAddr> {
    let text = fields::text(value)?;
    text.parse().or_else(|_| one(format!("{text:?} is not an address with a port"), "such as 127.0.0.1:8420 or [::1]:8420"))
}

/// An address, with a port where it is not 53.
fn resolver(value: Value) -> Read<SocketAddr> {
    let text = fields::text(value)?;
    let plain = text.parse().map(|address| SocketAddr::new(address, 53));
    plain.or_else(|_| text.parse()).or_else(|_| one(format!("{text:?} is not an address"), "such as 192.168.1.53 or 192.168.1.53:5353"))
}

fn host(value: Value) -> Read<String> {
    let text = fields::short_text(value)?;
    let odd = text.contains('/') || text.contains(' ') || text.contains('*');
    if odd { one(format!("{text:?} is not a host"), "a name, or name:port, as the Host field of a request has it") } else { Ok(text) }
}

fn base_path(value: Value) -> Read<BasePath> {
    BasePath::new(&fields::text(value)?).map_err(|fault| vec![fault])
}

fn pool(value: Value) -> Read<DefaultPool> {
    let mut pool = Fields::of(value)?;
    let base = pool.required("base", "a range, such as 10.64.0.0/10", fields::cidr);
    let size = pool.required("size", "the prefix length of its pieces, such as 24", fields::number::<u8>(0, 128));
    if let Some(base) = base.filter(|b| b.addr() != b.network()) {
        pool.fault(Fault::new("base", format!("{base} has host bits set"), base.trunc().to_string()));
    }
    if let (Some(base), Some(size)) = (base, size)
        && !(base.prefix_len()..=base.max_prefix_len()).contains(&size)
    {
        let right = format!("{} to {}", base.prefix_len(), base.max_prefix_len());
        pool.fault(Fault::new("size", format!("{size} is no piece of {base}"), right));
    }
    let faults = pool.finish();
    match (base, size) {
        (Some(base), Some(size)) if faults.is_empty() => Ok(DefaultPool { base, size }),
        _ => Err(faults),
    }
}

fn grant(value: Value) -> Read<Grant> {
    let mut grant = Fields::of(value)?;
    let group = grant.optional("group", fields::short_text);
    let user = grant.optional("user", fields::short_text);
    let labels =
        grant.required("labels", "values by label key, such as {tier = [\"cards\"]}", fields::map(|v| fields::list(fields::text)(v)));
    if group.is_some() == user.is_some() && !grant.is_faulty() {
        grant.fault(Fault::new("", "names nobody, or two", "either group or user"));
    }
    let faults = grant.finish();
    match labels {
        Some(labels) if faults.is_empty() => Ok(Grant { group, user, labels }),
        _ => Err(faults),
    }
}

fn limits(value: Value) -> Read<Limits> {
    let default = Limits::default();
    let mut given = Fields::of(value)?;
    let limits = Limits {
        body_bytes_max: given.optional("body_bytes_max", fields::number(1024, 1 << 30)).unwrap_or(default.body_bytes_max),
        module_bytes_max: default.module_bytes_max,
        head_bytes_max: given.optional("head_bytes_max", fields::number(8192, 1 << 20)).unwrap_or(default.head_bytes_max),
        headers_max: given.optional("headers_max", fields::number(8, 1000)).unwrap_or(default.headers_max),
        head_within: given.optional("head_within_s", fields::number(1, 3600)).map_or(default.head_within, Duration::from_secs),
        body_within: given.optional("body_within_s", fields::number(1, 3600)).map_or(default.body_within, Duration::from_secs),
        answer_within: given.optional("answer_within_s", fields::number(1, 3600)).map_or(default.answer_within, Duration::from_secs),
        taken_within: given.optional("taken_within_s", fields::number(1, 3600)).map_or(default.taken_within, Duration::from_secs),
        connections_max: given.optional("connections_max", fields::number(1, 1 << 16)).unwrap_or(default.connections_max),
        blocking_max: given.optional("blocking_max", fields::number(1, 256)).unwrap_or(default.blocking_max),
        stop_within: given.optional("stop_within_s", fields::number(0, 3600)).map_or(default.stop_within, Duration::from_secs),
    };
    let faults = given.finish();
    if faults.is_empty() { Ok(limits) } else { Err(faults) }
}

fn policy_limits(value: Value) -> Read<PolicyLimits> {
    let mut given = Fields::of(value)?;
    let mut limits = PolicyLimits::default();
    for limit in PolicyLimits::ALL {
        if let Some(value) = given.optional(limit.name, fields::number(limit.min, limit.max)) {
            limit.set(&mut limits, value);
        }
    }
    let faults = given.finish();
    if faults.is_empty() { Ok(limits) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        serve: Serve,
    }

    fn load(toml: &str, flags: &[&str]) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bulkhead.toml");
        std::fs::write(&file, toml).unwrap();
        let file = file.to_str().unwrap();
        let all = ["bulkhead", "--config", file].into_iter().chain(flags.iter().copied());
        Config::load(&Flags::try_parse_from(all).unwrap().serve).map_err(|e| e.to_string().replace(file, "FILE"))
    }

    #[test]
    fn an_empty_file_is_the_default_and_flags_win() {
        assert_eq!(load("", &[]).unwrap(), Config::default());
        let toml =
            "socket = \"/a\"\ndatabase = \"/b\"\nadmins = [\"alice\", 1000]\nlisten = \"127.0.0.1:1\"\nhold_back_s = 5\nlog = \"json\"";
        let config = load(toml, &["--socket", "/c", "--admin", "bob", "--hold-back-s", "7"]).unwrap();
        assert_eq!((config.socket, config.database), ("/c".into(), "/b".into()));
        assert_eq!((config.admins, config.hold_back_s), (vec!["alice".to_owned(), "1000".into(), "bob".into()], 7));
        assert_eq!((config.listen.map(|l| l.port()), config.log), (Some(1), LogFormat::Json));
    }

    #[test]
    fn grants_pools_and_limits_are_read() {
        let toml = "[[grants]]\ngroup = \"cards-ops\"\nlabels = {tier = [\"cards\"]}\n[[pools]]\nbase = \"10.64.0.0/10\"\nsize = 24\n[limits]\nhead_within_s = 2\n[policy_limits]\nmodule_bytes_max = 5000\nfuel = 7\n";
        let config = load(toml, &[]).unwrap();
        assert_eq!(config.grants[0].labels["tier"], ["cards"]);
        assert_eq!(config.pools.map(|p| (p[0].base.to_string(), p[0].size)), Some(("10.64.0.0/10".into(), 24)));
        assert_eq!(config.limits.head_within, Duration::from_secs(2));
        assert_eq!(config.policy_limits, PolicyLimits { module_bytes_max: 5000, fuel: 7, ..PolicyLimits::default() });
        assert_eq!(config.limits.module_bytes_max, 5000, "the door takes no more than the judge");
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once_with_the_nearest_known() {
        let toml = "sokcet = \"/a\"\nhold_back_s = -1\nlisten = \"here\"\nsocket_mode = \"9\"\n[[grants]]\nlabels = {}\n[[pools]]\nbase = \"10.0.0.1/8\"\nsize = 4\n[limits]\nbody = 1\n[policy_limits]\nfeul = 1\ndeadline_ms = 0\n";
        let told = load(toml, &[]).unwrap_err();
        for line in [
            "the configuration FILE is wrong:",
            "sokcet: unknown field; did you mean socket?",
            "hold_back_s: -1 does not fit; a whole number from 0 to 86400",
            "listen: \"here\" is not an address with a port; such as 127.0.0.1:8420 or [::1]:8420",
            "socket_mode: \"9\" is not a mode; octal digits in quotes, such as \"0660\"",
            "grants[0]: names nobody, or two; either group or user",
            "pools[0].base: 10.0.0.1/8 has host bits set; 10.0.0.0/8",
            "pools[0].size: 4 is no piece of 10.0.0.1/8; 8 to 32",
            "limits.body: unknown field",
            "policy_limits.feul: unknown field; did you mean fuel?",
            "policy_limits.deadline_ms: 0 does not fit; a whole number from 1 to 60000",
        ] {
            assert!(told.contains(line), "{line}\n{told}");
        }
        assert!(load("socket = ", &[]).unwrap_err().starts_with("the configuration FILE is not TOML:\nTOML parse error at line 1"));
    }
}
