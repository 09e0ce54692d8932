//! The sockets: bound in a namespace when it gets its first endpoint, closed when it has lost its last, served by one task each.

use crate::answer::{self, Reply, Transport};
use crate::forward::{Forwarder, framed};
use crate::{Ground, NotBound, Sockets};
use bulkhead_core::endpoint::{Netns, NetnsId};
use bulkhead_core::event::Event;
use bulkhead_core::state::State;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// Bytes of a question, at most: a name has 255, and EDNS options are short.
const QUESTION_MAX: usize = 2048;
/// Questions over UDP that are answered before others have their turn.
const BURST: usize = 32;
/// Forwarded questions and TCP connections of one namespace at once.
const TALKS_MAX: usize = 64;
/// Forwarded questions of one namespace, per second and at once after a pause.
const FORWARDS_PER_S: f64 = 200.0;
const FORWARDS_BURST: f64 = 400.0;
/// How long a TCP connection may be idle (RFC 7766, 6.2.3: in the order of seconds).
const IDLE: Duration = Duration::from_secs(5);
/// After an accept that failed, such as for want of descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// How long events are gathered before sockets and record are compared: they come in swarms.
const GATHER: Duration = Duration::from_millis(20);
/// How often they are compared where nothing happens, and how soon a namespace is tried again that could not be served.
const COMPARE_EVERY: Duration = Duration::from_secs(10);

/// Serves names; cheap to clone. Ends with its runtime.
#[derive(Clone)]
pub struct Names(Arc<Shared>);

struct Shared {
    ground: Arc<dyn Ground>,
    forwarder: Forwarder,
    runtime: Handle,
    served: Mutex<BTreeMap<NetnsId, Served>>,
}

enum Served {
    /// By this task.
    Yes(AbortHandle),
    /// Not, why, and since when.
    No(NotBound, Instant),
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Served::Yes(task) = self {
            task.abort();
        }
    }
}

impl Names {
    /// Begins to serve all namespaces on record, and follows the record from then on by its `events`.
    pub fn start(ground: Arc<dyn Ground>, forwarder: Forwarder, runtime: Handle, events: broadcast::Receiver<Event>) -> Self {
        let names = Self(Arc::new(Shared { ground, forwarder, runtime, served: Mutex::default() }));
        names.0.runtime.spawn(names.clone().follow(events));
        names
    }

    async fn follow(self, mut events: broadcast::Receiver<Event>) {
        loop {
            let names = self.clone();
            if tokio::task::spawn_blocking(move || names.compare()).await.is_err() {
                tracing::error!("comparing resolvers with the record did not come to its end");
            }
            match timeout(COMPARE_EVERY, events.recv()).await {
                Ok(Err(broadcast::error::RecvError::Closed)) => return,
                // Events that were missed are no matter: it is the state that is compared.
                Ok(_) => {
                    sleep(GATHER).await;
                    events = events.resubscribe();
                }
                Err(_) => {}
            }
        }
    }

    /// Serves a namespace that has just got an endpoint, by sockets that `bind` makes; does nothing where it is served already.
    pub fn serve(&self, netns: NetnsId, bind: impl FnOnce() -> Result<Sockets, NotBound>) {
        if matches!(self.served().get(&netns), Some(Served::Yes(_))) {
            return;
        }
        let bound = bind().and_then(|sockets| {
            let _entered = self.0.runtime.enter();
            let sockets = UdpSocket::from_std(sockets.udp).and_then(|udp| Ok((Arc::new(udp), TcpListener::from_std(sockets.tcp)?)));
            sockets.map_err(|e| NotBound::Failed(e.to_string()))
        });
        let served = match bound {
            Ok((udp, tcp)) => Served::Yes(self.0.runtime.spawn(answer_all(Arc::clone(&self.0), netns, udp, tcp)).abort_handle()),
            Err(why) => {
                if let NotBound::Failed(why) = &why {
                    tracing::warn!(cookie = netns.cookie, %why, "names are not answered in a namespace");
                }
                Served::No(why, Instant::now())
            }
        };
        // Who was quicker has the port.
        let mut all = self.served();
        if matches!(served, Served::Yes(_)) || !matches!(all.get(&netns), Some(Served::Yes(_))) {
            all.insert(netns, served);
        }
    }

    /// Why names are not answered in a namespace, for people.
    pub fn trouble(&self, netns: NetnsId) -> Option<String> {
        match self.served().get(&netns) {
            Some(Served::No(NotBound::Taken(by), _)) => {
                Some(format!("names are not answered in this namespace: 127.0.0.11:53 is taken there by another resolver ({by})"))
            }
            Some(Served::No(NotBound::Failed(why), _)) => Some(format!("names are not answered in this namespace: {why}")),
            _ => None,
        }
    }

    /// Namespaces that are served now.
    pub fn count(&self) -> usize {
        self.served().values().filter(|s| matches!(s, Served::Yes(_))).count()
    }

    /// Makes the sockets agree with the record. Blocks.
    fn compare(&self) {
        let state = self.0.ground.state();
        let wanted: BTreeSet<NetnsId> = state.namespaces().copied().collect();
        let missing: Vec<Netns> = {
            let mut served = self.served();
            served.retain(|netns, _| wanted.contains(netns));
            let is_missing = |netns: &&NetnsId| match served.get(netns) {
                None => true,
                Some(Served::Yes(task)) => task.is_finished(),
                Some(Served::No(_, since)) => since.elapsed() >= COMPARE_EVERY,
            };
            wanted.iter().filter(is_missing).filter_map(|id| state.in_netns(*id).next()).map(|e| e.netns.clone()).collect()
        };
        for netns in missing {
            // Still so: a look for many namespaces takes a while.
            if self.0.ground.state().in_netns(netns.id).next().is_some() {
                self.serve(netns.id, || self.0.ground.bind(&netns));
            }
        }
    }

    fn served(&self) -> std::sync::MutexGuard<'_, BTreeMap<NetnsId, Served>> {
        self.0.served.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one namespace may still forward.
struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowance {
    fn take(&mut self) -> bool {
        let now = Instant::now();
        let more = now.duration_since(self.at).as_secs_f64() * FORWARDS_PER_S;
        (self.left, self.at) = ((self.left + more).min(FORWARDS_BURST), now);
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }
}

/// The task of one namespace. What it started goes with it: nothing of ours stays in a namespace that is let go.
async fn answer_all(shared: Arc<Shared>, netns: NetnsId, udp: Arc<UdpSocket>, tcp: TcpListener) {
    let mut talks = JoinSet::new();
    let allowance = Arc::new(Mutex::new(Allowance { left: FORWARDS_BURST, at: Instant::now() }));
    loop {
        tokio::select! {
            ready = udp.readable() => if ready.is_ok() { answer_waiting(&shared, netns, &udp, &allowance, &mut talks) },
            accepted = tcp.accept(), if talks.len() < TALKS_MAX => match accepted {
                Ok((stream, _)) => {
                    talks.spawn(talk(Arc::clone(&shared), netns, stream, Arc::clone(&allowance)));
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection to a resolver could not be taken");
                    sleep(ACCEPT_AGAIN).await;
                }
            },
            Some(_) = talks.join_next() => {}
        }
    }
}

/// Answers what waits in the UDP socket. The buffer is on the stack of whoever does it: ten thousand namespaces have none of their own.
fn answer_waiting(shared: &Arc<Shared>, netns: NetnsId, udp: &Arc<UdpSocket>, allowance: &Mutex<Allowance>, talks: &mut JoinSet<()>) {
    let state = shared.ground.state();
    let mut question = [0; QUESTION_MAX];
    for _ in 0..BURST {
        let Ok((length, from)) = udp.try_recv_from(&mut question) else { return };
        let question = &question[..length];
        match reply(&state, netns, question, Transport::Udp, allowance, talks.len()) {
            Reply::Nothing => {}
            // An answer that finds no room is lost, as datagrams may be; it is asked for again.
            Reply::Answer(answer) => drop(udp.try_send_to(&answer, from)),
            Reply::Forward { otherwise } => {
                let (shared, udp, question) = (Arc::clone(shared), Arc::clone(udp), question.to_vec());
                talks.spawn(async move {
                    let answer = shared.forwarder.ask(&question, Transport::Udp).await.unwrap_or(otherwise);
                    drop(udp.send_to(&answer, from).await);
                });
            }
        }
    }
}

/// The reply, where what would be forwarded is held to what a namespace may.
fn reply(state: &State, netns: NetnsId, question: &[u8], transport: Transport, allowance: &Mutex<Allowance>, under_way: usize) -> Reply {
    match answer::reply(state, netns, question, transport) {
        Reply::Forward { otherwise } if under_way >= TALKS_MAX || !allowance.lock().unwrap_or_else(PoisonError::into_inner).take() => {
            Reply::Answer(otherwise)
        }
        reply => reply,
    }
}

/// One TCP connection: question after question, until it is idle or closed.
async fn talk(shared: Arc<Shared>, netns: NetnsId, mut stream: TcpStream, allowance: Arc<Mutex<Allowance>>) {
    let talked: io::Result<()> = async {
        loop {
            let question = timeout(IDLE, async {
                let length = stream.read_u16().await?;
                let mut question = vec![0; usize::from(length).min(QUESTION_MAX)];
                stream.read_exact(&mut question).await?;
                if usize::from(length) > QUESTION_MAX { Err(io::ErrorKind::InvalidData.into()) } else { io::Result::Ok(question) }
            });
            let question = question.await??;
            let answer = match reply(&shared.ground.state(), netns, &question, Transport::Tcp, &allowance, 0) {
                Reply::Nothing => return Ok(()),
                Reply::Answer(answer) => answer,
                Reply::Forward { otherwise } => shared.forwarder.ask(&question, Transport::Tcp).await.unwrap_or(otherwise),
            };
            timeout(IDLE, stream.write_all(&framed(&answer)?)).await??;
        }
    }
    .await;
    // It ends with an error whichever way it ends: closed, idle, or not understood.
    let _ = talked;
}
