//! `bulkhead serve`: the one place that puts the parts together.
//!
//! In the order in which things can fail without having touched anything: configuration, rights, the socket's path, the
//! record, the policies' engine, the kernel. Then record and kernel are made to agree, and only then does a door open.

use crate::config::Config;
use crate::modules::{load_modules, set_up_built_ins};
use crate::named::{HostGround, NamedKernel};
use crate::options::{LogFormat, Serve};
use crate::parts::{HostNamespaces, RecordLog, WasmModules};
use crate::policy_child;
use crate::replay;
use crate::retention;
use bulkhead_core::kernel::Kernel;
use bulkhead_core::names::shown;
use bulkhead_core::settings::Settings;
use bulkhead_engine::{Config as Parts, Engine};
use bulkhead_kernel::LinuxKernel;
use bulkhead_names::{Forwarder, Names};
use bulkhead_store::{LogReader, SqliteStore};
use bulkhead_wasm::{Cache, Child, WasmJudge};
use bulkhead_web::App;
use bulkhead_web::accounts::Accounts;
use bulkhead_web::auth::TcpGuard;
use bulkhead_web::listen::{self, TcpDoor, UnixDoor};
use bulkhead_web::sessions::Sessions;
use bulkhead_web::token::{self, TokenHash};
use std::error::Error;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Runs the daemon until it is told to stop.
pub fn run(options: &Serve) -> ExitCode {
    match try_run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bulkhead serve: {error}");
            let (mut told, mut cause) = (error.to_string(), error.source());
            while let Some(c) = cause {
                // Some errors have their cause in their text already, and some only a kind that stands for a cause.
                let is_kind = c.downcast_ref::<std::io::Error>().is_some_and(|e| e.raw_os_error().is_none());
                if !is_kind && !told.contains(&c.to_string()) {
                    told = c.to_string();
                    eprintln!("  because {told}");
                }
                cause = c.source();
            }
            ExitCode::FAILURE
        }
    }
}

type Started<T> = Result<T, Box<dyn Error>>;

fn try_run(options: &Serve) -> Started<()> {
    let config = Config::load(options)?;
    start_logging(config.log);
    check_rights()?;
    // What is made from here on is the owner's only, unless it says otherwise itself.
    rustix::process::umask(rustix::fs::Mode::from_bits_truncate(0o077));
    raise_open_files();
    make_folder(&config.database, 0o700)?;
    make_folder(&config.socket, 0o755)?;
    let accounts = Arc::new(Accounts::default());
    let group = config.socket_group.as_deref().map(|group| gid_of(&accounts, group)).transpose()?;
    let admins = config.admins.iter().map(|user| uid_of(&accounts, user)).collect::<Started<Vec<u32>>>()?;
    listen::check_free(&config.socket)?;
    config.listen.map_or(Ok(()), listen::check_loopback)?;

    let mut store = SqliteStore::open(&config.database)?;
    // Bound before the kernel is looked at, served when all is ready: until then connections wait.
    let tcp = match config.listen {
        Some(address) => {
            let token = ready_token(&mut store, &config.database, options.new_token)?;
            Some(TcpDoor::bind(address, |bound| {
                let sessions = Arc::new(Sessions::new(bound, config.base_path.clone()));
                TcpGuard { port: bound.port(), hosts: config.hosts.clone(), token, sessions }
            })?)
        }
        None => None,
    };
    let judge = WasmJudge::new(config.policy_limits.clone())?.with_child(Child::of_this_program(policy_child::NAME));
    let judge = Arc::new(match Cache::open(&config.database.with_file_name("compiled")) {
        Ok(cache) => judge.with_cache(cache),
        Err(error) => {
            tracing::warn!(%error, "compiled modules cannot be kept; every start compiles them anew");
            judge
        }
    });
    let kernel = LinuxKernel::start()?;
    for missing in &kernel.host().missing {
        tracing::warn!(module = %missing, "the kernel lacks it: what needs it is refused (modprobe {missing} may help)");
    }
    let named = NamedKernel::over(kernel);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // Recovery asks no policy, so modules may come after it; no request comes before them.
    let engine = Engine::start(Parts {
        store: Box::new(store),
        kernel: Arc::<NamedKernel>::clone(&named),
        judge: Arc::<WasmJudge>::clone(&judge),
        settings: settings(&config)?,
        sweep: Some(config.sweep).filter(|s| !s.is_zero()),
    })?;
    let names = config.names.then(|| {
        let forwarder =
            if config.resolvers.is_empty() { Forwarder::of_file("/etc/resolv.conf") } else { Forwarder::to(config.resolvers.clone()) };
        Names::start(Arc::new(HostGround(engine.clone())), forwarder, runtime.handle().clone(), engine.watch())
    });
    names.iter().for_each(|names| named.answer_names(names));
    let served = runtime.block_on(serve(&config, engine.clone(), judge, tcp, names, (accounts, group, admins)));
    engine.stop();
    // Whatever still blocks a thread has been waited for long enough.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    tracing::info!("stopped");
    served
}

async fn serve(
    config: &Config,
    engine: Engine,
    judge: Arc<WasmJudge>,
    tcp: Option<TcpDoor>,
    names: Option<Names>,
    (accounts, group, admins): (Arc<Accounts>, Option<u32>, Vec<u32>),
) -> Started<()> {
    let log = LogReader::open(&config.database)?;
    load_modules(&engine, &judge, &log).await?;
    replay::last_decisions(&engine, &log, config.replay_last, config.go_on_with_differences).await?;
    set_up_built_ins(&engine, &judge).await?;

    // Caught before a door opens: from then on an end is a polite one.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stop, stopped) = watch::channel(false);
    let sessions = tcp.as_ref().map(TcpDoor::sessions);
    let archives = config.database.with_file_name("archive");
    let retention = tokio::spawn(retention::keep(engine.clone(), log.clone(), archives, config.keep_months));
    let modules = Arc::new(WasmModules { judge, engine: engine.clone() });
    let (limits, base) = (config.limits.clone(), config.base_path.clone());
    let app = App::new(engine, Arc::new(HostNamespaces(names)), modules, Arc::new(RecordLog(log)), limits, sessions, base);
    let unix = UnixDoor::bind(&config.socket, config.socket_mode, group, accounts, admins)?;
    tracing::info!(socket = %config.socket.display(), database = %config.database.display(), "serving");
    if let Some(tcp) = &tcp {
        tracing::info!(address = %tcp.address()?, token = %token_file(&config.database).display(), "serving on TCP; the token is in its file");
    }
    let told = async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("stopping: no more requests are taken, those under way are finished");
        let _ = stop.send(true);
        // A second signal does not wait.
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::warn!("told twice to stop; what is under way is found at the next start");
        std::process::exit(1)
    };
    let told = tokio::spawn(told);
    listen::serve(app, Some(unix), tcp, stopped).await?;
    told.abort();
    retention.abort();
    Ok(())
}

fn start_logging(format: LogFormat) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}

/// Capabilities (include/uapi/linux/capability.h) without which nothing works, and one without which less is found.
const CAP_NET_ADMIN: u32 = 12;
const CAP_SYS_PTRACE: u32 = 19;
const CAP_SYS_ADMIN: u32 = 21;

fn check_rights() -> Started<()> {
    let status = fs::read_to_string("/proc/self/status").map_err(|e| format!("/proc/self/status cannot be read: {e}"))?;
    let effective = status.lines().find_map(|l| l.strip_prefix("CapEff:")).and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    let has = |cap: u32| effective.is_none_or(|all| all & (1 << cap) != 0);
    let missing: Vec<&str> = [(CAP_NET_ADMIN, "CAP_NET_ADMIN"), (CAP_SYS_ADMIN, "CAP_SYS_ADMIN")]
        .into_iter()
        .filter(|(c, _)| !has(*c))
        .map(|(_, n)| n)
        .collect();
    if !missing.is_empty() {
        let missing = missing.join(" and ");
        return Err(format!("without {missing} it cannot change links, nor enter the namespaces of workloads: run it as root").into());
    }
    if !has(CAP_SYS_PTRACE) {
        tracing::warn!("CAP_SYS_PTRACE is missing: namespaces that only a process holds may not be found again after a restart");
    }
    Ok(())
}

/// Open files that are asked for: two a namespace whose names are answered, one a connection. The usual fs.nr_open.
const OPEN_FILES: u64 = 1 << 20;

fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Beyond the hard limit with CAP_SYS_RESOURCE only.
    let wished = Rlimit { current: Some(OPEN_FILES), maximum: Some(limit.maximum.unwrap_or(OPEN_FILES).max(OPEN_FILES)) };
    let raised = setrlimit(Resource::Nofile, wished);
    if let Err(e) = raised.or_else(|_| setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })) {
        tracing::warn!(error = %e, "the limit of open files could not be raised");
    }
}

fn make_folder(file: &Path, mode: u32) -> Started<()> {
    let Some(folder) = file.parent().filter(|f| !f.as_os_str().is_empty() && !f.exists()) else { return Ok(()) };
    let made = DirBuilder::new().recursive(true).mode(mode).create(folder);
    // The umask takes away what is asked for.
    let made = made.and_then(|()| fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(mode)));
    made.map_err(|e| format!("the folder {} cannot be made: {e}", folder.display()).into())
}

fn gid_of(accounts: &Accounts, group: &str) -> Started<u32> {
    accounts
        .gid_of(group)
        .ok_or_else(|| format!("there is no group {} for the socket; name one of /etc/group, or a number", shown(group)).into())
}

fn uid_of(accounts: &Accounts, user: &str) -> Started<u32> {
    accounts
        .uid_of(user)
        .ok_or_else(|| format!("there is no user {} to be an admin; name one of /etc/passwd, or a uid", shown(user)).into())
}

fn settings(config: &Config) -> Started<Settings> {
    let mut settings = Settings::new(ula()?);
    settings.pools = config.pools.clone().unwrap_or(settings.pools);
    settings.hold_back_s = config.hold_back_s;
    settings.grants = config.grants.clone();
    settings.allow_unjudged = config.allow_unjudged;
    settings.breaks_max = config.policy_limits.breaks_max;
    Ok(settings)
}

/// This host's ULA /48 (RFC 4193): fd and 40 bits of a hash of what the host keeps over restarts. The machine id itself must not
/// be shown (machine-id(5)), a hash of it under a name of our own may be.
fn ula() -> Started<ipnet::Ipv6Net> {
    let machine =
        ["/etc/machine-id", "/var/lib/dbus/machine-id"].iter().find_map(|f| fs::read_to_string(f).ok().filter(|t| t.trim().len() == 32));
    let host = machine.unwrap_or_else(|| {
        tracing::info!("this machine has no machine id; its IPv6 default pool is made of the host's name");
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    });
    let hash = bulkhead_wasm::digest(format!("bulkhead ula {}", host.trim()).as_bytes());
    let mut octets = [0_u8; 16];
    octets[0] = 0xfd;
    octets[1..6].copy_from_slice(&hash.0[..5]);
    Ok(ipnet::Ipv6Net::new(octets.into(), 48)?)
}

fn token_file(database: &Path) -> PathBuf {
    database.with_file_name("token")
}

/// The token's hash. The token itself is made at the first start, and again when asked.
fn ready_token(store: &mut SqliteStore, database: &Path, anew: bool) -> Started<TokenHash> {
    let file = token_file(database);
    let recorded = store.token_hash()?.as_deref().and_then(TokenHash::from_bytes).filter(|_| !anew);
    if let Some(hash) = recorded {
        match fs::read_to_string(&file) {
            Ok(token) if hash.is_of(token.trim()) => {}
            Ok(_) => {
                tracing::warn!(file = %file.display(), "the file does not have the token on record; start with --new-token to make a new one")
            }
            Err(error) => {
                tracing::warn!(file = %file.display(), %error, "the token's file cannot be read; start with --new-token to make a new one")
            }
        }
        return Ok(hash);
    }
    let token = match token::kept(&file).filter(|_| !anew) {
        Some(token) => token,
        None => {
            // The file first: a token on record that nobody knows would lock everybody out.
            let token = token::random()?;
            token::write(&file, &token).map_err(|e| format!("the token's file {} cannot be written: {e}", file.display()))?;
            token
        }
    };
    let hash = TokenHash::of(&token);
    store.set_token_hash(hash.as_bytes())?;
    Ok(hash)
}
