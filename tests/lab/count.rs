//! Counts the netlink messages that a process sends, from outside of it: with strace, so that nothing in the process can forget to count.

use crate::{
    error::{Error, Result, Tried},
    topology::Lab,
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

/// What was sent on netlink sockets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// System calls.
    pub sends: usize,
    /// Messages in them: a batch has several.
    pub messages: usize,
    /// strace's lines, for a failing assertion.
    pub trace: Vec<String>,
}

/// Every call that can write to a socket.
const CALLS: &str = "trace=sendto,sendmsg,sendmmsg,write,writev,io_uring_enter";

impl Lab {
    /// Runs `work`, and tells what process `pid` (all its threads, and children it starts meanwhile) sent on netlink sockets during it.
    pub fn counting_netlink<T>(&self, pid: Pid, work: impl FnOnce() -> T) -> Result<(T, Sent)> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let path = std::env::temp_dir().join(format!("lab-strace-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        let mut strace = Command::new("strace")
            // Long strings and all of an array: a message cut off would not be counted.
            .args(["-f", "-yy", "-s", "65536", "-e", "abbrev=none", "-e", CALLS, "-o"])
            .arg(&path)
            .args(["-p", &pid.as_raw_nonzero().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .tried(|| "start strace".into())?;
        let attached = wait_until_attached(&mut strace, pid);
        let done = attached.map(|rest| (work(), rest));
        let ended = stop(&mut strace);
        let trace = fs::read_to_string(&path).tried(|| format!("read {}", path.display()));
        let _ = fs::remove_file(&path);
        let (value, _rest) = done?;
        ended?;
        Ok((value, sent(&trace?)))
    }
}

/// strace says so for each thread; the threads are all stopped and attached by the time it reports the last of them.
fn wait_until_attached(strace: &mut Child, pid: Pid) -> Result<impl Read + use<>> {
    let Some(stderr) = strace.stderr.take() else { return Err(Error::Unexpected("strace has no standard error".into())) };
    let mut lines = BufReader::new(stderr);
    let mut line = String::new();
    while lines.read_line(&mut line).tried(|| "read what strace says".into())? > 0 {
        if line.contains("attached") {
            return Ok(lines);
        }
    }
    Err(Error::Unexpected(format!("strace did not attach to process {}: {}", pid.as_raw_nonzero(), line.trim())))
}

fn stop(strace: &mut Child) -> Result<()> {
    kill_process(Pid::from_child(strace), Signal::INT).tried(|| "stop strace".into())?;
    strace.wait().tried(|| "wait for strace".into()).map(drop)
}

fn sent(trace: &str) -> Sent {
    let mut sent = Sent::default();
    for line in trace.lines().filter(|line| line.contains("<NETLINK:") || line.contains("io_uring_enter")) {
        sent.sends += 1;
        // Not decoded (an unknown protocol, an odd length): at least one.
        sent.messages += line.matches("nlmsg_len=").count().max(1);
        sent.trace.push(line.to_owned());
    }
    sent
}

#[cfg(test)]
mod tests {
    use super::sent;

    #[test]
    fn netlink_lines_count_by_message() {
        let trace = "7 sendto(3<NETLINK:[194]>, [{nlmsg_len=32, nlmsg_type=0x10}, \"\"], 32, 0, NULL, 0) = 32\n\
                     7 write(1<pipe:[3]>, \"nlmsg_len=\", 10) = 10\n\
                     7 sendmsg(5<NETLINK:[ROUTE:7]>, {msg_iov=[{iov_base=[[{nlmsg_len=1}, \"\"], [{nlmsg_len=2}, \"\"]]}]}, 0) = 3\n";
        let sent = sent(trace);
        assert_eq!((sent.sends, sent.messages), (2, 3));
    }
}
