//! Netlink messages, counted from outside.

use bulkhead_lab::{Lab, Result};
use rustix::process::Pid;
use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

#[test]
fn messages_of_another_process_are_counted_while_we_look_and_only_then() -> Result<()> {
    let lab = Lab::new()?;
    // `ip -batch` as the process: it sends when it is told to.
    let mut command = Command::new("ip");
    command.args(["-force", "-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = lab.host.spawn(&mut command)?;
    let pid = Pid::from_child(&child);
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut tell = |line: &str| {
        // The second command's output says that the first is done.
        writeln!(input, "{line}\nlink show dev lo").unwrap();
        let mut lines = String::new();
        while !lines.contains("link/loopback") {
            assert!(output.read_line(&mut lines).unwrap() > 0, "{lines}");
        }
    };
    tell("link add d0 type dummy");
    let ((), idle) = lab.counting_netlink(pid, || ())?;
    assert_eq!((idle.sends, idle.messages), (0, 0), "{idle:?}");
    let ((), looking) = lab.counting_netlink(pid, || tell(""))?;
    let ((), both) = lab.counting_netlink(pid, || tell("addr add 10.0.0.1/24 dev d0"))?;
    assert!(looking.messages >= 1, "{looking:?}");
    assert_eq!(both.messages, looking.messages + 2, "the index of d0, and the address: {both:?}");
    tell("link del d0");
    drop(input);
    child.wait().unwrap();
    Ok(())
}

#[test]
fn a_process_that_is_not_there_is_an_error() -> Result<()> {
    let lab = Lab::new()?;
    let mut child = lab.host.spawn(&mut Command::new("true"))?;
    let pid = Pid::from_child(&child);
    child.wait().unwrap();
    let error = lab.counting_netlink(pid, || ()).unwrap_err().to_string();
    assert!(error.contains("strace"), "{error}");
    Ok(())
}
