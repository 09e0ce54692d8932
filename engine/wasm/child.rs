//! Checks and compilations in a process of their own: wasmtime's promise of safety covers what it runs, not what it compiles. A panic,
//! a bomb or a kill there is a refusal, and the daemon serves on.
//!
//! The program is started again; it confines itself ([`confine`](crate::confine)) before it reads a byte of the module. The job comes in a
//! memfd as its standard input, the outcome goes back through a pipe: each a line of JSON and bytes behind it.

use crate::confine::{self, Confined};
use crate::limits::Limits;
use crate::prepare::{self, Job, Outcome};
use crate::runner::Runner;
use crate::turns::Turns;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ChildStdout, Command, ExitCode, ExitStatus, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

/// Bytes of a failing child's last words.
const WORDS_BYTES_MAX: u64 = 4096;
/// What exceeds its CPU time gets (signal(7)).
const SIGXCPU: i32 = 24;
/// Threads of the compiler: as many as the machine has CPUs would multiply its memory.
const THREADS: &str = "4";

/// How the process is started.
#[derive(Debug)]
pub struct Child {
    program: PathBuf,
    arguments: Vec<OsString>,
    told: Once,
}

impl Child {
    /// This very program, also where its file has been replaced since; `argument` makes it call [`child_main`].
    pub fn of_this_program(argument: &str) -> Self {
        Self::of("/proc/self/exe", &[argument])
    }

    /// A program that calls [`child_main`].
    pub fn of(program: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        Self { program: program.into(), arguments: arguments.iter().map(OsString::from).collect(), told: Once::new() }
    }

    /// Has a job done. `Err` says what became of the process, as the end of a sentence about it.
    pub(crate) fn work(&self, turns: &Turns, limits: &Limits, job: Job, bytes: &[u8]) -> Result<(Outcome, Vec<u8>), String> {
        let _turn = turns.take();
        let not_begun = |e: io::Error| format!("could not be begun: {e}");
        let input = sent(&Asked { limits: limits.clone(), job }, bytes).map_err(not_begun)?;
        let mut words = memory("bulkhead-policy-words").map_err(not_begun)?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear().env("RAYON_NUM_THREADS", THREADS).current_dir("/");
        command.stdin(input).stdout(Stdio::piped()).stderr(words.try_clone().map_err(not_begun)?);
        let mut child = command.spawn().map_err(not_begun)?;
        let said = child.stdout.take().map_or_else(|| Ok(Vec::new()), |out| listen(out, limits));
        // It has said all that it may; one that lingers is not waited for.
        let _ = child.kill();
        let status = child.wait().map_err(|e| format!("was lost: {e}"))?;
        let (answer, code): (Answer, _) = read(&said?[..]).map_err(|_| end_of(status, &last_words(&mut words), limits))?;
        if let Some(missing) = answer.confined.missing() {
            self.told.call_once(|| tracing::warn!("modules are checked and compiled in a process of their own, but {missing}"));
        }
        if code.len() as u64 > limits.code_bytes_max { Err(too_much(limits)) } else { Ok((answer.outcome, code)) }
    }
}

/// Reads what the child says until it closes its pipe, in time and within bounds.
fn listen(mut out: ChildStdout, limits: &Limits) -> Result<Vec<u8>, String> {
    let until = Instant::now() + Duration::from_secs(limits.compile_s);
    let mut said = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(left.subsec_nanos()) };
        match poll(&mut [PollFd::new(&out, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return Err(format!("took longer than {} s", limits.compile_s)),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(e) => return Err(format!("was lost: {e}")),
        }
        match out.read(&mut buffer) {
            Ok(0) => return Ok(said),
            Ok(n) => said.extend_from_slice(&buffer[..n]),
            Err(e) => return Err(format!("was lost: {e}")),
        }
        if said.len() as u64 > limits.code_bytes_max + line_bytes_max(limits) {
            return Err(too_much(limits));
        }
    }
}

/// Bytes of an outcome: its texts are within the limit of a module's answer, and JSON makes at most six bytes of one.
fn line_bytes_max(limits: &Limits) -> u64 {
    limits.answer_bytes_max * 6 + (1 << 16)
}

fn too_much(limits: &Limits) -> String {
    format!("gave more than {} bytes of code", limits.code_bytes_max)
}

/// Why a child ended without an answer.
fn end_of(status: ExitStatus, words: &str, limits: &Limits) -> String {
    let mib = limits.compile_bytes_max >> 20;
    match status.signal() {
        // What Rust says where it gets no more memory; it then aborts. Where a thread gets no stack, it says so, too.
        _ if words.contains("memory allocation of") || words.contains("Cannot allocate memory") => {
            format!("wanted more than {mib} MiB of memory")
        }
        Some(SIGXCPU) => format!("took more than {} s of CPU time", limits.compile_s),
        Some(9) => format!("was killed, as the kernel does where the machine is short of memory{}", after(words)),
        Some(signal) => format!("was killed by signal {signal}{}", after(words)),
        None => format!("ended with {status} and without an answer{}", after(words)),
    }
}

fn after(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(": {}", bulkhead_core::names::shown(words)) }
}

/// What a child said before it ended, on one line; not where to find more.
fn last_words(from: &mut File) -> String {
    let mut said = Vec::new();
    let read = from.rewind().and_then(|()| from.take(WORDS_BYTES_MAX).read_to_end(&mut said));
    let said = String::from_utf8_lossy(&said);
    let lines = said.lines().map(str::trim).filter(|l| read.is_ok() && !l.is_empty() && !l.starts_with("note: "));
    lines.collect::<Vec<_>>().join(" ")
}

#[derive(Serialize, Deserialize)]
struct Asked {
    limits: Limits,
    job: Job,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    confined: Confined,
    outcome: Outcome,
}

fn memory(name: &str) -> io::Result<File> {
    Ok(memfd_create(name, MemfdFlags::CLOEXEC)?.into())
}

/// A line of JSON and bytes behind it, to be read from the start.
fn sent(asked: &Asked, bytes: &[u8]) -> io::Result<File> {
    let mut file = memory("bulkhead-policy-job")?;
    write(&mut file, asked, bytes)?;
    file.rewind()?;
    Ok(file)
}

fn write(to: &mut impl Write, line: &impl Serialize, bytes: &[u8]) -> io::Result<()> {
    let mut line = serde_json::to_vec(line)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.write_all(bytes)?;
    to.flush()
}

fn read<T: for<'de> Deserialize<'de>>(mut from: impl BufRead) -> io::Result<(T, Vec<u8>)> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line)?;
    let value = serde_json::from_slice(&line)?;
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes)?;
    Ok((value, bytes))
}

/// What the child does, as the only thing that its process does: call it before there is any other thread or open file.
pub fn child_main() -> ExitCode {
    let confined = confine::confine();
    let done = read::<Asked>(BufReader::new(io::stdin().lock())).map_err(|e| e.to_string()).and_then(|(asked, bytes)| {
        let confined = confined.within(&asked.limits)?;
        // One at a time: it is all that comes.
        let limits = Limits { calls_at_once: 1, warm_slots: 1, large_calls_at_once: 1, ..asked.limits };
        let runner = Runner::new(limits).map_err(|e| e.to_string())?;
        let (outcome, code) = prepare::work(&runner, &asked.job, &bytes);
        write(&mut io::stdout().lock(), &Answer { confined, outcome }, &code).map_err(|e| e.to_string())
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
