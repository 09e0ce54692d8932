//! A client that sends exactly what it is told, and keeps its connection.

use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

enum To {
    Unix(PathBuf),
    Tcp(SocketAddr),
    /// Connected as somebody else.
    Ready(Option<UnixStream>),
}

pub struct Client {
    to: To,
    stream: Option<Box<dyn Stream>>,
    headers: Vec<(String, String)>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
    /// `field` of all faults.
    pub fn fields(&self) -> Vec<String> {
        let faults = self.json()["faults"].as_array().cloned().unwrap_or_default();
        faults.iter().map(|f| f["field"].as_str().unwrap().to_owned()).collect()
    }
}

impl Client {
    pub fn unix(path: &Path) -> Self {
        Self { to: To::Unix(path.to_owned()), stream: None, headers: vec![("Host".into(), "localhost".into())] }
    }
    /// Without any header: not even a Host.
    pub fn tcp(address: SocketAddr) -> Self {
        Self { to: To::Tcp(address), stream: None, headers: Vec::new() }
    }
    /// Connected by a thread whose uid and gid are `uid`; the kernel notes those at the connect. Needs root.
    pub fn unix_as(path: &Path, uid: u32) -> Self {
        let path = path.to_owned();
        let connected = std::thread::spawn(move || {
            // The plain system calls change this thread only, where libc's wrappers change all threads.
            let call = |number: libc::c_long| {
                // SAFETY: setres[ug]id take three numbers and touch no memory of ours.
                let done = unsafe { libc::syscall(number, uid, uid, uid) };
                assert_eq!(done, 0, "{}", io::Error::last_os_error());
            };
            // SAFETY: no groups, so that nothing is read.
            assert_eq!(unsafe { libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()) }, 0);
            call(libc::SYS_setresgid);
            call(libc::SYS_setresuid);
            UnixStream::connect(path).unwrap()
        });
        let stream = connected.join().unwrap();
        Self { to: To::Ready(Some(stream)), stream: None, headers: vec![("Host".into(), "localhost".into())] }
    }

    /// The same with a header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }
    pub fn delete(&mut self, path: &str) -> Answer {
        self.send("DELETE", path, &[], b"")
    }
    pub fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }
    pub fn patch(&mut self, path: &str, body: &Value) -> Answer {
        self.send("PATCH", path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }
    pub fn put(&mut self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        let own = self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        for (name, value) in own.chain(headers.iter().copied()) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || method != "GET" {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let whole = [head.as_bytes(), body].concat();
        self.raw(&whole).unwrap_or_else(|e| panic!("{method} {path}: {e}"))
    }

    /// Sends bytes as they are, and reads one answer.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<Answer> {
        let stream = self.stream()?;
        // Whoever is turned away early may find the other side closed while still sending; the answer is there all the same.
        let sent = stream.write_all(bytes).and_then(|()| stream.flush());
        match self.answer() {
            Ok(answer) => Ok(answer),
            Err(e) => sent.and(Err(e)),
        }
    }

    pub fn stream(&mut self) -> io::Result<&mut dyn Stream> {
        const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));
        if self.stream.is_none() {
            let stream: Box<dyn Stream> = match &mut self.to {
                To::Unix(path) => {
                    let stream = UnixStream::connect(path)?;
                    stream.set_read_timeout(PATIENCE)?;
                    Box::new(stream)
                }
                To::Ready(stream) => Box::new(stream.take().ok_or(io::ErrorKind::NotConnected)?),
                To::Tcp(address) => {
                    let stream = TcpStream::connect(*address)?;
                    stream.set_read_timeout(PATIENCE)?;
                    Box::new(stream)
                }
            };
            self.stream = Some(stream);
        }
        Ok(self.stream.as_mut().unwrap().as_mut())
    }

    pub fn answer(&mut self) -> io::Result<Answer> {
        let stream = self.stream.as_mut().unwrap();
        let mut head = Vec::new();
        let mut byte = [0_u8];
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte)? == 0 {
                self.stream = None;
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines.filter_map(|l| l.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        let mut answer = Answer { status, headers, body: Vec::new() };
        let length = answer.header("content-length").map_or(0, |l| l.parse().unwrap());
        answer.body.resize(length, 0);
        stream.read_exact(&mut answer.body)?;
        if answer.header("connection") == Some("close") {
            self.stream = None;
        }
        Ok(answer)
    }
}
