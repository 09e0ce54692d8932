//! The daemon's keeper, tried with a stand-in: this very program, started as `serve`, answers on its socket.

use bulkhead_lab::{Client, Lab, Serve};
use serde_json::json;
use std::{
    env,
    error::Error,
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    process::exit,
    thread,
    time::Duration,
};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = env::args().collect();
    if args.get(1).map(String::as_str) == Some("serve") {
        return serve(&args);
    }
    type Test = fn() -> Result<(), Box<dyn Error>>;
    let tests: [(&str, Test); 4] = [
        ("one_connection_serves_many_requests", one_connection_serves_many_requests),
        ("killed_and_started_again", killed_and_started_again),
        ("an_end_while_starting_shows_the_log", an_end_while_starting_shows_the_log),
        ("runs_inside_the_host", runs_inside_the_host),
    ];
    for (name, test) in tests {
        print!("test {name} ... ");
        test()?;
        println!("ok");
    }
    Ok(())
}

fn stand_in(folder: &Path) -> Result<Serve, Box<dyn Error>> {
    Ok(Serve { binary: env::current_exe()?, folder: folder.to_owned(), config: None, args: Vec::new(), env: Vec::new() })
}

fn one_connection_serves_many_requests() -> Result<(), Box<dyn Error>> {
    let (lab, folder) = (Lab::new()?, tempfile::tempdir()?);
    let daemon = stand_in(folder.path())?.start(&lab.host)?;
    let mut client = daemon.client().with_header("x-test", "yes");
    let first = client.post("/echo", &json!({"name": "ä"}))?;
    assert_eq!((first.status, first.json()?), (200, json!({"name": "ä"})));
    let second = client.get("/chunked")?;
    assert_eq!((second.status, second.text().as_str()), (200, "hello world"));
    let connections = |client: &mut Client| -> Result<String, Box<dyn Error>> { Ok(client.get("/connection")?.text()) };
    let own = connections(&mut client)?;
    assert_eq!(own, connections(&mut client)?, "the connection is kept");
    assert_eq!(client.delete("/nothing")?.status, 204);
    assert_eq!(own, connections(&mut client)?, "also after an answer without a body");
    assert_eq!(client.get("/close")?.header("connection"), Some("close"));
    assert_ne!(own, connections(&mut client)?, "a closed one is replaced");
    Ok(())
}

fn killed_and_started_again() -> Result<(), Box<dyn Error>> {
    let (lab, folder) = (Lab::new()?, tempfile::tempdir()?);
    let mut daemon = stand_in(folder.path())?.start(&lab.host)?;
    let first = daemon.pid()?;
    daemon.kill()?;
    assert!(daemon.pid().is_err());
    assert!(daemon.client().get("/v1/health").is_err(), "nobody answers");
    daemon.start()?;
    assert_ne!(daemon.pid()?, first);
    assert_eq!(daemon.log()?.matches("serving").count(), 2, "one log over both starts");
    assert_eq!(daemon.stop()?.to_string(), "signal: 15 (SIGTERM)");
    Ok(())
}

fn an_end_while_starting_shows_the_log() -> Result<(), Box<dyn Error>> {
    let (lab, folder) = (Lab::new()?, tempfile::tempdir()?);
    let error = stand_in(folder.path())?.arg("--fail").start(&lab.host).err().ok_or("it started")?.to_string();
    assert!(error.contains("exit status: 3") && error.contains("told to fail"), "{error}");
    Ok(())
}

fn runs_inside_the_host() -> Result<(), Box<dyn Error>> {
    let (lab, folder) = (Lab::new()?, tempfile::tempdir()?);
    let daemon = stand_in(folder.path())?.start(&lab.host)?;
    let its = fs::read_link(format!("/proc/{}/ns/net", daemon.pid()?.as_raw_nonzero()))?;
    let named = lab.host.run(&["readlink", "/proc/self/ns/net"])?;
    assert_eq!(its.to_string_lossy(), named.trim());
    Ok(())
}

/// The stand-in.
fn serve(args: &[String]) -> Result<(), Box<dyn Error>> {
    if args.iter().any(|arg| arg == "--fail") {
        eprintln!("told to fail");
        exit(3);
    }
    let socket = args.iter().position(|arg| arg == "--socket").ok_or("no --socket")? + 1;
    assert_eq!(args[socket + 1], "--database");
    let _ = fs::remove_file(&args[socket]);
    let listener = UnixListener::bind(&args[socket])?;
    println!("serving");
    for (number, stream) in listener.incoming().enumerate() {
        let stream = stream?;
        thread::spawn(move || {
            let _ = answer(stream, number);
        });
    }
    Ok(())
}

fn answer(stream: UnixStream, number: usize) -> std::io::Result<()> {
    let mut input = BufReader::new(stream.try_clone()?);
    let mut output = stream;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if input.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).and_then(|value| value.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        input.read_exact(&mut body)?;
        let whole = |body: &[u8]| [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat();
        match head.split(' ').nth(1).unwrap_or_default() {
            "/v1/health" => output.write_all(&whole(b"{}"))?,
            "/echo" if head.contains("x-test: yes") => output.write_all(&whole(&body))?,
            "/connection" => output.write_all(&whole(number.to_string().as_bytes()))?,
            "/nothing" => output.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?,
            "/close" => {
                output.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")?;
                return Ok(());
            }
            "/chunked" => {
                // In pieces, so that a reader which takes a chunk for a read is found out.
                output.write_all(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")?;
                thread::sleep(Duration::from_millis(20));
                output.write_all(b"lo\r\n6;x=y\r\n world\r\n0\r\ntrailer: t\r\n\r\n")?;
            }
            _ => output.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?,
        }
    }
}
