//! Names from outside: asked of the host's own resolvers, from the host's namespace. The question goes on as it came, but for an id
//! of ours and a port that the kernel draws, and an answer counts only if it comes from there with both and with the same question.

use crate::answer::Transport;
use rustix::rand::{GetRandomFlags, getrandom};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Questions that wait for an answer at once, over all namespaces.
const WAITING_MAX: usize = 1024;
/// Servers that are asked, one after the other (resolv.conf(5), MAXNS).
const SERVERS_MAX: usize = 3;
/// How long one server may take. All together stay below what glibc waits for us (5 s).
const WITHIN: Duration = Duration::from_millis(1500);
/// How old what we know of the host's resolvers may be.
const STALE_AFTER: Duration = Duration::from_secs(5);

/// Asks the host's resolvers.
#[derive(Debug)]
pub struct Forwarder {
    source: Source,
    known: Mutex<Option<(Instant, Vec<SocketAddr>)>>,
    waiting: Semaphore,
}

#[derive(Debug)]
enum Source {
    These(Vec<SocketAddr>),
    File(PathBuf),
}

impl Forwarder {
    /// Asks these servers, in order.
    pub fn to(servers: Vec<SocketAddr>) -> Self {
        Self::new(Source::These(servers))
    }

    /// Asks those that a file such as /etc/resolv.conf names, and follows its changes.
    pub fn of_file(path: impl Into<PathBuf>) -> Self {
        Self::new(Source::File(path.into()))
    }

    fn new(source: Source) -> Self {
        Self { source, known: Mutex::new(None), waiting: Semaphore::new(WAITING_MAX) }
    }

    /// The answer of the first server that gives one; `None` where none does, or too many are waiting already.
    pub async fn ask(&self, question: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let _waiting = self.waiting.try_acquire().ok()?;
        for server in self.servers() {
            let asked = async {
                match transport {
                    Transport::Udp => over_udp(server, question).await,
                    Transport::Tcp => over_tcp(server, question).await,
                }
            };
            match timeout(WITHIN, asked).await {
                Ok(Ok(answer)) => return Some(answer),
                Ok(Err(error)) => tracing::debug!(%server, %error, "a resolver of the host does not answer"),
                Err(_) => tracing::debug!(%server, "a resolver of the host does not answer in time"),
            }
        }
        None
    }

    fn servers(&self) -> Vec<SocketAddr> {
        let path = match &self.source {
            Source::These(servers) => return servers.clone(),
            Source::File(path) => path,
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some((at, servers)) if at.elapsed() < STALE_AFTER => servers.clone(),
            _ => {
                let text = std::fs::read_to_string(path).unwrap_or_else(|error| {
                    tracing::warn!(path = %path.display(), %error, "the host's resolvers are not known");
                    String::new()
                });
                let servers = servers_of(&text);
                *known = Some((Instant::now(), servers.clone()));
                servers
            }
        }
    }
}

/// The servers of a resolv.conf(5).
fn servers_of(text: &str) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let address: IpAddr = line.strip_prefix("nameserver")?.split_whitespace().next()?.parse().ok()?;
        Some(SocketAddr::new(address, 53))
    };
    text.lines().filter_map(|line| server(line.trim_start())).take(SERVERS_MAX).collect()
}

async fn over_udp(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    // The kernel passes on only what comes from there, and tells of a port that nobody listens at.
    socket.connect(server).await?;
    let asked = with_own_id(question)?;
    socket.send(&asked).await?;
    let mut answer = vec![0; 65_535];
    loop {
        let length = socket.recv(&mut answer).await?;
        if answers(&asked, &answer[..length]) {
            answer.truncate(length);
            return Ok(with_id_of(question, answer));
        }
    }
}

async fn over_tcp(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let asked = with_own_id(question)?;
    stream.write_all(&framed(&asked)?).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    if answers(&asked, &answer) { Ok(with_id_of(question, answer)) } else { Err(io::Error::other("an answer to another question")) }
}

/// A message as TCP carries it: its length first (RFC 1035, 4.2.2).
pub(crate) fn framed(message: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(message.len()).map_err(|_| io::Error::other("a message of more than 65,535 bytes"))?;
    Ok([&length.to_be_bytes(), message].concat())
}

fn with_own_id(question: &[u8]) -> io::Result<Vec<u8>> {
    let mut id = [0; 2];
    getrandom(&mut id[..], GetRandomFlags::empty())?;
    Ok(id.iter().chain(question.iter().skip(2)).copied().collect())
}

fn with_id_of(question: &[u8], mut answer: Vec<u8>) -> Vec<u8> {
    answer.iter_mut().zip(question).take(2).for_each(|(a, q)| *a = *q);
    answer
}

/// Whether it is an answer, with the id and the question of what was asked.
fn answers(asked: &[u8], answer: &[u8]) -> bool {
    let Some(end) = end_of_question(asked) else { return false };
    let (question, echoed) = (asked.get(12..end), answer.get(12..end));
    let same = question.zip(echoed).is_some_and(|(q, e)| q.eq_ignore_ascii_case(e));
    same && answer[..2] == asked[..2] && answer[2] & 0x80 != 0 && answer[4..6] == [0, 1]
}

/// Where the first question ends: after the labels of its name, its type and its class.
fn end_of_question(message: &[u8]) -> Option<usize> {
    let mut at = 12;
    loop {
        match *message.get(at)? {
            0 => return Some(at + 5).filter(|end| *end <= message.len()),
            length @ 1..=63 => at += 1 + usize::from(length),
            // Nothing stands before a first question that it could point to.
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_of_a_file_are_read() {
        let text = "# nameserver 9.9.9.9\nsearch a\nnameserver 10.0.0.1\n nameserver\t2001:db8::1 # x\nnameserver bad\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n";
        let expected: Vec<SocketAddr> = ["10.0.0.1:53", "[2001:db8::1]:53", "10.0.0.2:53"].map(|a| a.parse().unwrap()).into();
        assert_eq!(servers_of(text), expected);
    }

    #[test]
    fn only_the_answer_to_the_question_counts() {
        let mut asked = vec![1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        asked.extend(b"\x03www\x02de\x00\x00\x01\x00\x01");
        let mut answer = asked.clone();
        answer[2] |= 0x80;
        assert!(answers(&asked, &answer));
        for (at, change) in [(0, 9), (2, 1), (5, 0), (13, b'x'), (21, 5)] {
            let mut other = answer.clone();
            other[at] = change;
            assert!(!answers(&asked, &other), "byte {at}");
        }
        for cut in 0..answer.len() {
            assert!(!answers(&asked, &answer[..cut]), "cut at {cut}");
        }
        assert!(answers(&asked, &answer.to_ascii_uppercase()) && !answers(&asked[..14], &answer));
    }
}
