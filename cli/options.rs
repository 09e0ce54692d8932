//! The flags of `bulkhead serve`.

use bulkhead_web::BasePath;
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Runs the daemon.
#[derive(Debug, Args)]
#[command(after_help = format!("\
Examples:
  bulkhead serve --socket /run/bulkhead/bulkhead.sock --database /var/lib/bulkhead/bulkhead.db
  bulkhead serve --config /etc/bulkhead.toml --listen 127.0.0.1:8420

The configuration file (TOML) has these keys, and no others; flags win:
  socket, socket_group, socket_mode = \"0660\", database, listen = \"127.0.0.1:PORT\", hosts = [\"name:port\"],
  base_path = \"/bulkhead\", admins = [\"user\", 1000],
  hold_back_s = 60, sweep_s = 5, allow_unjudged = false, replay_last = 1000, keep_months = 13, names = true,
  resolvers = [\"192.168.1.53\"], log = \"text\"|\"json\",
  [[pools]] base = \"10.64.0.0/10\", size = 24
  [[grants]] group|user = \"cards-ops\", labels = {{tier = [\"cards\"]}}
  [limits] body_bytes_max, head_bytes_max, headers_max, head_within_s, body_within_s, answer_within_s,
           taken_within_s, connections_max, blocking_max, stop_within_s
  [policy_limits] what a policy may use, each with its default:
{}

RUST_LOG chooses what is logged, such as RUST_LOG=debug or RUST_LOG=bulkhead_web=debug,info.", policy_limits()))]
pub struct Serve {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Unix socket [default: /run/bulkhead/bulkhead.sock].
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Group of the unix socket, by name or number; its members may connect.
    #[arg(long, value_name = "GROUP")]
    pub socket_group: Option<String>,
    /// Database, made if it is not there [default: /var/lib/bulkhead/bulkhead.db].
    #[arg(long, value_name = "PATH")]
    pub database: Option<PathBuf>,
    /// Loopback address to listen on as well. Requests there need the token in the file `token` beside the database.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// A further name (or name:port) that requests over TCP may be meant for; may be repeated.
    #[arg(long, value_name = "HOST")]
    pub host: Vec<String>,
    /// The path below which a proxy shows the daemon, such as /bulkhead; the proxy may take it away or leave it.
    #[arg(long, value_name = "PATH", value_parser = base_path)]
    pub base_path: Option<BasePath>,
    /// A user, by name or uid, who is an admin; may be repeated. uid 0 always is.
    #[arg(long, value_name = "USER")]
    pub admin: Vec<String>,
    /// How long a freed address is not handed out again, in seconds [default: 60].
    #[arg(long, value_name = "SECONDS")]
    pub hold_back_s: Option<u64>,
    /// Allow what no enforcing policy judges; it is recorded as unjudged.
    #[arg(long)]
    pub allow_unjudged: bool,
    /// Serve although this version judges recorded decisions otherwise than they were; the differences are logged.
    #[arg(long)]
    pub go_on_with_differences: bool,
    /// How log lines look [default: text].
    #[arg(long, value_name = "FORMAT")]
    pub log: Option<LogFormat>,
    /// Answer no names in the namespaces of workloads: no resolver at 127.0.0.11.
    #[arg(long)]
    pub no_names: bool,
    /// Make a new token for TCP; the one before is worth nothing from then on.
    #[arg(long)]
    pub new_token: bool,
}

fn base_path(text: &str) -> Result<BasePath, String> {
    BasePath::new(text).map_err(|fault| fault.to_string())
}

/// One line for each limit.
fn policy_limits() -> String {
    let lines = bulkhead_wasm::Limits::ALL.iter().map(|l| format!("    {} = {}", l.name, l.default));
    lines.collect::<Vec<_>>().join("\n")
}
