//! `bulkhead serve` as a process on the lab's host: started, killed, started again, and its log at hand.

use crate::{
    client::Client,
    error::{Error, Result, Tried},
    namespace::Namespace,
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    env,
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Long, as the first start compiles all built-in modules, perhaps on a busy machine.
const READY: Duration = Duration::from_secs(120);
const STOPPED: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(5);

/// How a daemon is started. All of its files are in one folder, so that a second start finds what the first left.
#[derive(Debug, Clone)]
pub struct Serve {
    /// The `bulkhead` binary.
    pub binary: PathBuf,
    /// Where socket, database and log are.
    pub folder: PathBuf,
    /// A configuration file.
    pub config: Option<PathBuf>,
    /// Further arguments.
    pub args: Vec<String>,
    /// Further environment.
    pub env: Vec<(String, String)>,
}

impl Serve {
    /// The binary that $BULKHEAD names, or the one built beside the running program, with its files in `folder`.
    pub fn new(folder: impl AsRef<Path>) -> Result<Self> {
        let binary = match env::var_os("BULKHEAD") {
            Some(path) => PathBuf::from(path),
            None => {
                let program = env::current_exe().tried(|| "find the running program".into())?;
                let beside = program.parent().into_iter().flat_map(|folder| [Some(folder), folder.parent()]).flatten();
                beside.map(|folder| folder.join("bulkhead")).find(|path| path.is_file()).ok_or_else(|| {
                    Error::Unexpected(format!("no `bulkhead` beside {}: `cargo build` it, or set BULKHEAD to it", program.display()))
                })?
            }
        };
        Ok(Self { binary, folder: folder.as_ref().to_owned(), config: None, args: Vec::new(), env: Vec::new() })
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Writes `toml` into the folder, as the configuration file.
    pub fn config(mut self, toml: &str) -> Result<Self> {
        let path = self.folder.join("bulkhead.toml");
        fs::write(&path, toml).tried(|| format!("write {}", path.display()))?;
        self.config = Some(path);
        Ok(self)
    }

    /// Starts it inside `host`, and returns once it answers GET /v1/health with 200.
    pub fn start(self, host: &Namespace) -> Result<Daemon<'_>> {
        let mut daemon = Daemon { serve: self, host, child: None };
        daemon.start()?;
        Ok(daemon)
    }
}

/// A daemon, running or not. On drop it is asked to stop, and killed if it does not.
#[derive(Debug)]
pub struct Daemon<'lab> {
    serve: Serve,
    host: &'lab Namespace,
    child: Option<Child>,
}

impl Daemon<'_> {
    /// Starts it again, with the same files. It must not be running.
    pub fn start(&mut self) -> Result<()> {
        self.launch()?;
        self.wait_until_ready()
    }

    /// Starts it without waiting until it answers: for what happens before that.
    pub fn launch(&mut self) -> Result<()> {
        if let Some(child) = &self.child {
            return Err(Error::Unexpected(format!("the daemon is running already, as process {}", child.id())));
        }
        let path = self.log_path();
        let log = OpenOptions::new().create(true).append(true).open(&path).tried(|| format!("open {}", path.display()))?;
        let errors = log.try_clone().tried(|| format!("open {} twice", path.display()))?;
        let mut command = Command::new(&self.serve.binary);
        command.arg("serve").arg("--socket").arg(self.socket()).arg("--database").arg(self.database());
        if let Some(config) = &self.serve.config {
            command.arg("--config").arg(config);
        }
        command.args(&self.serve.args).envs(self.serve.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        self.child = Some(self.host.spawn(&mut command)?);
        Ok(())
    }

    /// Waits until it answers GET /v1/health with 200. An end before that is an error with the end of its log.
    pub fn wait_until_ready(&mut self) -> Result<()> {
        let start = Instant::now();
        loop {
            let last = Client::new(self.socket()).get("/v1/health");
            if matches!(&last, Ok(answer) if answer.status == 200) {
                return Ok(());
            }
            if let Some(status) = self.ended()? {
                return Err(self.wrong(&format!("ended while starting: {status}")));
            }
            if start.elapsed() > READY {
                let last = last.map_or_else(|error| error.to_string(), |answer| format!("status {}", answer.status));
                return Err(self.wrong(&format!("not ready within {READY:?} (last answer to GET /v1/health: {last})")));
            }
            thread::sleep(POLL);
        }
    }

    /// Waits until it ends by itself, as at a kill point.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if start.elapsed() > READY {
                return Err(self.wrong(&format!("did not end within {READY:?}")));
            }
            thread::sleep(POLL);
        }
    }

    /// `kill -9`, and gone when this returns.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().tried(|| format!("kill {}", child.id()))?;
            child.wait().tried(|| format!("wait for {}", child.id()))?;
        }
        Ok(())
    }

    /// Asks it to stop (SIGTERM) and waits; one that does not stop in time is killed, and that is an error.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        let pid = self.pid()?;
        kill_process(pid, Signal::TERM).tried(|| format!("stop process {pid:?}"))?;
        let start = Instant::now();
        while start.elapsed() < STOPPED {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            thread::sleep(POLL);
        }
        self.kill()?;
        Err(self.wrong(&format!("did not stop within {STOPPED:?}, and was killed")))
    }

    /// A client of its own connection.
    pub fn client(&self) -> Client {
        Client::new(self.socket())
    }

    /// Its process.
    pub fn pid(&self) -> Result<Pid> {
        self.child.as_ref().map(Pid::from_child).ok_or_else(|| Error::Unexpected("the daemon is not running".into()))
    }

    /// Its unix socket.
    pub fn socket(&self) -> PathBuf {
        self.serve.folder.join("bulkhead.sock")
    }

    /// Its database.
    pub fn database(&self) -> PathBuf {
        self.serve.folder.join("bulkhead.db")
    }

    /// All that it wrote so far, over all its starts.
    pub fn log(&self) -> Result<String> {
        let path = self.log_path();
        fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).tried(|| format!("read {}", path.display()))
    }

    fn log_path(&self) -> PathBuf {
        self.serve.folder.join("bulkhead.log")
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else { return Err(Error::Unexpected("the daemon is not running".into())) };
        let status = child.try_wait().tried(|| format!("wait for process {}", child.id()))?;
        if status.is_some() {
            self.child = None;
        }
        Ok(status)
    }

    fn wrong(&self, what: &str) -> Error {
        let log = self.log().unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(30)..].join("\n");
        Error::Unexpected(format!("`{} serve` {what}. The end of its log:\n{tail}", self.serve.binary.display()))
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- the daemon's log ---\n{}", self.log().unwrap_or_default());
        }
        if self.child.is_some()
            && let Err(error) = self.stop()
        {
            eprintln!("lab: {error}");
        }
    }
}
