//! A named network namespace of ours.
//!
//! Made and entered by threads, not by `ip netns`: a process start costs 30 ms in user-mode Linux.

use crate::error::{Error, Result, Tried};
use rustix::{
    mount::{UnmountFlags, mount_bind, unmount},
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with},
    thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe},
};
use std::{
    fs::{self, File},
    io::{self, Write},
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
};

/// Where `ip netns` and the daemon look for names.
const FOLDER: &str = "/run/netns";

/// A network namespace under a name in /run/netns. Goes with its links when dropped, once no process is left in it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    file: File,
}

impl Namespace {
    /// Makes one, with `lo` up and IPv6 addresses usable at once. A name that is there already is an error.
    pub fn create(name: &str) -> Result<Self> {
        fs::create_dir_all(FOLDER).tried(|| format!("make {FOLDER}"))?;
        let path = Path::new(FOLDER).join(name);
        File::create_new(&path).tried(|| format!("make {}", path.display()))?;
        let made = on_a_thread(|| {
            // SAFETY: only this thread's network namespace changes, and the thread ends here; CLONE_FILES, which could pull
            // descriptors away from other code, is not among the flags.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.tried(|| "make a network namespace (are we root?)".into())?;
            // Before any link is up: no second of duplicate address detection, and nothing learnt from routers.
            for (file, value) in [("accept_dad", "0"), ("router_solicitations", "0"), ("accept_ra", "0")] {
                for scope in ["all", "default"] {
                    let path = format!("/proc/sys/net/ipv6/conf/{scope}/{file}");
                    fs::write(&path, value).tried(|| format!("write {path}"))?;
                }
            }
            loopback_up().tried(|| "set lo up".into())?;
            mount_bind("/proc/thread-self/ns/net", &path).tried(|| format!("mount the namespace on {}", path.display()))?;
            File::open(&path).tried(|| format!("open {}", path.display()))
        });
        match made {
            Ok(file) => Ok(Self { name: name.to_owned(), file }),
            Err(error) => {
                let _ = fs::remove_file(&path);
                Err(error)
            }
        }
    }

    /// Its name, as in `ip -n NAME`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its file, as in `namespace: {"path": …}`.
    pub fn path(&self) -> PathBuf {
        Path::new(FOLDER).join(&self.name)
    }

    /// Runs `work` on a thread inside. Sockets made there stay there; children started there live there.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        on_a_thread(|| {
            move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network))
                .tried(|| format!("enter the network namespace {}", self.name))?;
            Ok(work())
        })
    }

    /// Starts a process inside.
    pub fn spawn(&self, command: &mut Command) -> Result<Child> {
        self.enter(|| command.spawn())?.tried(|| format!("start {:?} in {}", command.get_program(), self.name))
    }

    /// Runs a command inside to its end, whatever that is.
    pub fn output(&self, command: &[&str]) -> Result<Output> {
        let mut process = Command::new(command[0]);
        process.args(&command[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.spawn(&mut process)?.wait_with_output().tried(|| format!("wait for `{}`", command.join(" ")))
    }

    /// Runs a command inside that has to succeed; its standard output.
    pub fn run(&self, command: &[&str]) -> Result<String> {
        let output = self.output(command)?;
        self.succeeded(command.join(" "), output)
    }

    /// Runs lines of `ip` in one process, such as `link set eth0 up`.
    pub fn ip(&self, lines: &str) -> Result<String> {
        self.batch("ip", &[], lines)
    }

    /// Runs lines of `tc` in one process.
    pub fn tc(&self, lines: &str) -> Result<String> {
        self.batch("tc", &[], lines)
    }

    pub(crate) fn batch(&self, program: &str, options: &[&str], lines: &str) -> Result<String> {
        let mut process = Command::new(program);
        process.args(options).args(["-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.spawn(&mut process)?;
        if let Some(mut input) = child.stdin.take() {
            // A failing first line closes the pipe before we are done: its own words say more than our EPIPE.
            let _ = input.write_all(lines.as_bytes());
        }
        let output = child.wait_with_output().tried(|| format!("wait for {program}"))?;
        self.succeeded(format!("{program} {}", lines.trim()), output)
    }

    fn succeeded(&self, command: String, output: Output) -> Result<String> {
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Error::Command { command, namespace: self.name.clone(), status: output.status, said });
        }
        String::from_utf8(output.stdout).map_err(|_| Error::Unexpected(format!("`{command}` printed something that is not UTF-8")))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let path = self.path();
        let gone = unmount(&path, UnmountFlags::DETACH).map_err(io::Error::from).and_then(|()| fs::remove_file(&path));
        if let Err(error) = gone {
            eprintln!("lab: {} stays behind: {error}", path.display());
        }
    }
}

/// `ip link set lo up` without the process: 32 bytes to NETLINK_ROUTE (protocol 0), in a namespace where lo is always link 1.
fn loopback_up() -> io::Result<()> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    let up = libc::IFF_UP as u32;
    let mut message = Vec::with_capacity(32);
    message.extend(32_u32.to_ne_bytes());
    message.extend(libc::RTM_NEWLINK.to_ne_bytes());
    message.extend(((libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16).to_ne_bytes());
    for word in [0, 0, 0, 1, up, up] {
        message.extend(word.to_ne_bytes()); // sequence, port, family, index, flags, which of them
    }
    send(&socket, &message, SendFlags::empty())?;
    let mut answer = [0; 128];
    let (length, _) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    match answer.get(16..20).filter(|_| length >= 20) {
        Some(&[a, b, c, d]) if i32::from_ne_bytes([a, b, c, d]) == 0 => Ok(()),
        Some(&[a, b, c, d]) => Err(io::Error::from_raw_os_error(-i32::from_ne_bytes([a, b, c, d]))),
        _ => Err(io::Error::other("the kernel's answer is cut off")),
    }
}

/// A thread of its own, as a namespace belongs to a thread.
fn on_a_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| match scope.spawn(work).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
