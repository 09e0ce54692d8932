//! Sessions of the dashboard: who logged in, and until when.
//!
//! A caller whom a door knows already (the peer of the unix socket, the bearer of the token) asks for a code, which is worth one
//! log-in within a minute. A log-in gives two secrets, and each request of a session must show both: the *cookie*, which the
//! browser keeps from scripts, and the *key*, which the dashboard's script sends as a header field. Cookies know no ports: any
//! other service of the same host is sent them too, and may set them. What one learns so is worth nothing without the key, which is kept by
//! origin, and the key is worth nothing without the cookie. No page but the dashboard's can send the header field, which is what
//! keeps others from riding on the cookie.
//!
//! A session acts as the caller who asked for its code, with the groups of that moment. Sessions live in memory only: a restart ends them.

use crate::base_path::BasePath;
use crate::token::{self, TokenHash};
use bulkhead_core::caller::Caller;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a code is good.
pub const CODE_WITHIN: Duration = Duration::from_secs(60);
/// A session without a request for so long is over.
pub const IDLE_MAX: Duration = Duration::from_secs(30 * 60);
/// The longest that a session lasts.
pub const AGE_MAX: Duration = Duration::from_secs(12 * 3600);
/// Codes that wait for their log-in; one more, and the oldest is worth nothing.
const CODES_MAX: usize = 64;
/// Sessions at a time; one more, and the one idle for longest is over.
const SESSIONS_MAX: usize = 256;
/// The door of a session's caller.
pub const DOOR: &str = "dashboard";

/// The sessions of one TCP door. Secrets are kept as hashes.
pub struct Sessions {
    address: SocketAddr,
    base: BasePath,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    codes: Vec<Code>,
    /// By the hash of the cookie.
    sessions: HashMap<[u8; 32], Session>,
}

struct Code {
    hash: TokenHash,
    caller: Arc<Caller>,
    until: Instant,
}

struct Session {
    key: TokenHash,
    caller: Arc<Caller>,
    begun: Instant,
    used: Instant,
}

impl Session {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.used) >= IDLE_MAX || now.duration_since(self.begun) >= AGE_MAX
    }
}

/// The secrets of a new session.
#[derive(Debug)]
pub struct LoggedIn {
    /// For the browser alone.
    pub cookie: String,
    /// For the dashboard's script.
    pub key: String,
    /// As whom.
    pub caller: Arc<Caller>,
}

impl Sessions {
    /// None yet, of the door at `address` and below `base`.
    pub fn new(address: SocketAddr, base: BasePath) -> Self {
        Self { address, base, held: Mutex::default() }
    }

    /// Where the dashboard is, on this host.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.base.join("/ui/"))
    }

    /// The path below which all is.
    pub fn base(&self) -> &BasePath {
        &self.base
    }

    /// A code for one log-in as `caller`.
    pub fn code(&self, caller: Arc<Caller>, now: Instant) -> io::Result<String> {
        let code = token::random()?;
        let mut held = self.held();
        held.codes.retain(|c| now < c.until);
        if held.codes.len() >= CODES_MAX {
            held.codes.remove(0);
        }
        held.codes.push(Code { hash: TokenHash::of(&code), caller, until: now + CODE_WITHIN });
        Ok(code)
    }

    /// Begins a session for a code, which is used up thereby; `None` where it is none, or too old.
    pub fn log_in(&self, code: &str, peer: &str, now: Instant) -> io::Result<Option<LoggedIn>> {
        let (cookie, key) = (token::random()?, token::random()?);
        let mut held = self.held();
        held.codes.retain(|c| now < c.until);
        let Some(at) = held.codes.iter().position(|c| c.hash.is_of(code)) else { return Ok(None) };
        let asked = held.codes.remove(at).caller;
        let caller = Arc::new(Caller { door: DOOR.to_owned(), peer: peer.to_owned(), ..Caller::clone(&asked) });
        held.sessions.retain(|_, s| !s.is_over(now));
        if held.sessions.len() >= SESSIONS_MAX
            && let Some(idlest) = held.sessions.iter().min_by_key(|(_, s)| s.used).map(|(hash, _)| *hash)
        {
            held.sessions.remove(&idlest);
        }
        let session = Session { key: TokenHash::of(&key), caller: Arc::clone(&caller), begun: now, used: now };
        held.sessions.insert(hash(&cookie), session);
        Ok(Some(LoggedIn { cookie, key, caller }))
    }

    /// Whose session this is, and how long it lasts at most; `None` where either secret is wrong, or the session is over.
    pub fn find(&self, cookie: &str, key: &str, now: Instant) -> Option<(Arc<Caller>, Duration)> {
        let (mut held, hash) = (self.held(), hash(cookie));
        let session = held.sessions.get_mut(&hash)?;
        if session.is_over(now) {
            held.sessions.remove(&hash);
            return None;
        }
        if !session.key.is_of(key) {
            return None;
        }
        session.used = now;
        Some((Arc::clone(&session.caller), AGE_MAX - now.duration_since(session.begun)))
    }

    /// Until the session of `cookie`, which [`find`](Self::find) has found, is over: an answer that goes on and on ends with it.
    pub fn watch(self: &Arc<Self>, cookie: &str) -> SessionWatch {
        SessionWatch { sessions: Arc::clone(self), hash: hash(cookie) }
    }

    fn is_over(&self, hash: &[u8; 32], now: Instant) -> bool {
        self.held().sessions.get(hash).is_none_or(|s| s.is_over(now))
    }

    /// Ends a session, which [`find`](Self::find) has found.
    pub fn end(&self, cookie: &str) {
        self.held().sessions.remove(&hash(cookie));
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing that is done under the lock can leave it half done.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often a long answer looks whether its session is over.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// One session, as a long answer watches it. To watch is no use of it.
#[derive(Clone)]
pub struct SessionWatch {
    sessions: Arc<Sessions>,
    hash: [u8; 32],
}

impl SessionWatch {
    /// Until it is over.
    pub async fn over(self) {
        while !self.sessions.is_over(&self.hash, Instant::now()) {
            tokio::time::sleep(WATCH_EVERY).await;
        }
    }
}

fn hash(secret: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(TokenHash::of(secret).as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(name: &str) -> Arc<Caller> {
        let groups = vec!["ops".to_owned()];
        Arc::new(Caller { name: name.into(), uid: Some(7), groups, door: "unix".into(), peer: "pid 1".into(), admin: false })
    }

    fn sessions() -> (Sessions, Instant) {
        (Sessions::new("127.0.0.1:8420".parse().unwrap(), BasePath::default()), Instant::now())
    }

    #[test]
    fn a_code_is_good_once_and_for_a_minute() {
        let (all, now) = sessions();
        let code = all.code(caller("eve"), now).unwrap();
        assert!(all.log_in("", "peer", now).unwrap().is_none());
        assert!(all.log_in(&code[1..], "peer", now).unwrap().is_none());
        let one = all.log_in(&code, "127.0.0.1:5", now).unwrap().unwrap();
        assert_eq!((one.caller.name.as_str(), one.caller.door.as_str(), one.caller.peer.as_str()), ("eve", DOOR, "127.0.0.1:5"));
        assert_eq!((one.caller.uid, &one.caller.groups[..], one.caller.admin), (Some(7), &["ops".to_owned()][..], false), "as who asked");
        assert!(all.log_in(&code, "peer", now).unwrap().is_none(), "used up");
        let late = all.code(caller("eve"), now).unwrap();
        assert!(all.log_in(&late, "peer", now + CODE_WITHIN).unwrap().is_none());
    }

    #[test]
    fn cookie_and_key_belong_together() {
        let (all, now) = sessions();
        let log_in = |name| all.log_in(&all.code(caller(name), now).unwrap(), "", now).unwrap().unwrap();
        let (eve, bob) = (log_in("eve"), log_in("bob"));
        assert_eq!(all.find(&eve.cookie, &eve.key, now).unwrap().0.name, "eve");
        for (cookie, key) in [
            (&eve.cookie, &bob.key),
            (&bob.cookie, &eve.key),
            (&eve.key, &eve.cookie),
            (&eve.cookie, &eve.cookie),
            (&eve.cookie, &String::new()),
        ] {
            assert!(all.find(cookie, key, now).is_none());
        }
        all.end(&eve.cookie);
        assert!(all.find(&eve.cookie, &eve.key, now).is_none());
        assert!(all.find(&bob.cookie, &bob.key, now).is_some(), "one end is not another's");
    }

    #[test]
    fn sessions_end_by_themselves() {
        let (all, now) = sessions();
        let log_in = || all.log_in(&all.code(caller("eve"), now).unwrap(), "", now).unwrap().unwrap();
        let (idle, busy) = (log_in(), log_in());
        let mut at = now;
        while at + IDLE_MAX / 2 < now + AGE_MAX {
            assert!(all.find(&busy.cookie, &busy.key, at).is_some());
            at += IDLE_MAX / 2;
        }
        assert!(all.find(&idle.cookie, &idle.key, now + IDLE_MAX).is_none());
        assert!(all.find(&busy.cookie, &busy.key, now + AGE_MAX).is_none(), "use does not prolong it beyond");
    }

    #[test]
    fn there_is_a_limit_on_both() {
        let (all, now) = sessions();
        let codes: Vec<String> = (0..=CODES_MAX).map(|_| all.code(caller("eve"), now).unwrap()).collect();
        assert!(all.log_in(&codes[0], "", now).unwrap().is_none(), "the oldest had to go");
        assert!(all.log_in(&codes[1], "", now).unwrap().is_some());
        let first = all.log_in(&codes[2], "", now).unwrap().unwrap();
        for i in 0..SESSIONS_MAX {
            let at = now + Duration::from_millis(i as u64 + 1);
            all.log_in(&all.code(caller("bob"), at).unwrap(), "", at).unwrap().unwrap();
        }
        assert!(all.find(&first.cookie, &first.key, now + Duration::from_secs(1)).is_none());
        assert_eq!(all.held().sessions.len(), SESSIONS_MAX);
    }
}
