//! Who asks, and whether they may come in at all. Every request passes here before any handler sees it.
//!
//! On the unix socket the kernel says who the peer is (SO_PEERCRED, SO_PEERGROUPS), as of its connect. On TCP loopback any user
//! of the machine may connect, and any web page that a user looks at may make the browser connect: so there every request needs
//! the token, a Host that is ours (DNS rebinding: a page's own name that resolves to 127.0.0.1), and no foreign Origin.

use crate::accounts::Accounts;
use crate::problem::{Kind, Problem};
use crate::sessions::Sessions;
use crate::token::TokenHash;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use bulkhead_core::caller::Caller;
use bulkhead_core::names::shown;
use std::os::fd::AsRawFd;
use std::sync::Arc;

/// Name of the bearer of the token.
pub const TOKEN_CALLER: &str = "token";

/// Checks of the TCP door.
#[derive(Clone)]
pub struct TcpGuard {
    /// The port that we listen on.
    pub port: u16,
    /// Further names that we are known by: `name`, with any port, or `name:port`.
    pub hosts: Vec<String>,
    /// Hash of the token.
    pub token: TokenHash,
    /// Sessions of the dashboard.
    pub sessions: Arc<Sessions>,
}

impl TcpGuard {
    /// Lets a request in, or says why not: Host first, then Origin, then the token.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        self.check_site(uri, headers)?;
        let mut given = headers.get_all(header::AUTHORIZATION).iter();
        let (first, second) = (given.next(), given.next());
        let bearer = first.filter(|_| second.is_none()).and_then(|v| v.to_str().ok()).and_then(|v| v.split_once(' '));
        let detail = match bearer {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                if self.token.is_of(token.trim()) {
                    return Ok(());
                }
                "the token is not the one of this daemon; the file beside its database has it"
            }
            _ if first.is_some() => "Authorization is not one Bearer token",
            _ => "Authorization: Bearer TOKEN is needed on TCP; the file beside the daemon's database has the token",
        };
        Err(Problem::new(Kind::Unauthorized, detail).about("Authorization", "Bearer and the token"))
    }

    /// Host and Origin alone: for what needs something else than the token.
    pub fn check_site(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        check_origin(&self.host(uri, headers)?, headers)
    }

    /// For pages, which hold no secret: a link of another site may lead to one, but no other site may load it into a page of its own.
    pub fn check_page(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let host = self.host(uri, headers)?;
        let is = |name: &str, value: &str| headers.get(name).is_some_and(|v| v == value);
        let is_visit = is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document") && !headers.contains_key(header::ORIGIN);
        if is_visit { Ok(()) } else { check_origin(&host, headers) }
    }

    /// Host alone: for public files that a page of no origin loads.
    pub fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        self.host(uri, headers).map(drop)
    }

    /// The one host that a request names, which must be ours.
    fn host(&self, uri: &Uri, headers: &HeaderMap) -> Result<String, Problem> {
        let host = one_host(uri, headers)?;
        if self.is_ours(&host) {
            return Ok(host);
        }
        let ours = format!("127.0.0.1:{0}, [::1]:{0}, localhost:{0}", self.port);
        let all: Vec<&str> = std::iter::once(ours.as_str()).chain(self.hosts.iter().map(String::as_str)).collect();
        let ours = all.join(", ");
        Err(Problem::new(Kind::Misdirected, format!("Host is {}; this daemon is {ours}", shown(&host))).about("Host", ours))
    }

    fn is_ours(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let (name, port) = split(&host);
        // A browser leaves out the port of http.
        let is_our_port = port.map_or(self.port == 80, |p| p == self.port.to_string());
        if is_our_port && matches!(name, "127.0.0.1" | "[::1]" | "localhost") {
            return true;
        }
        self.hosts.iter().any(|configured| {
            let configured = configured.to_ascii_lowercase();
            let (wanted, wanted_port) = split(&configured);
            name == wanted && (wanted_port.is_none() || wanted_port == port)
        })
    }
}

/// `name:port`, `[v6]:port`, or either without a port.
fn split(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') && (!name.contains(':') || name.ends_with(']')) => (name, Some(port)),
        _ => (host, None),
    }
}

/// The one host that a request names; a request line with an authority must agree with the field (RFC 9112 section 3.2).
fn one_host(uri: &Uri, headers: &HeaderMap) -> Result<String, Problem> {
    let mut fields = headers.get_all(header::HOST).iter();
    let field = match (fields.next(), fields.next()) {
        (Some(field), None) => field.to_str().ok(),
        _ => None,
    };
    let misdirected = |detail: &str| Problem::new(Kind::Misdirected, detail).about("Host", "one, and the one that the request line names");
    let field = field.ok_or_else(|| misdirected("the request has not exactly one Host"))?;
    match uri.authority().map(Authority::as_str) {
        Some(authority) if !authority.eq_ignore_ascii_case(field) => Err(misdirected("the request line and Host name different hosts")),
        _ => Ok(field.to_owned()),
    }
}

/// On every request, reads and event streams included: a page of somebody else's may not even ask.
fn check_origin(host: &str, headers: &HeaderMap) -> Result<(), Problem> {
    let ours = |origin: &HeaderValue| {
        let origin = origin.to_str().unwrap_or_default();
        origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")).is_some_and(|o| o.eq_ignore_ascii_case(host))
    };
    if let Some(foreign) = headers.get_all(header::ORIGIN).iter().find(|o| !ours(o)) {
        let detail = format!("Origin is {}; only pages of http://{host} may ask", shown(&String::from_utf8_lossy(foreign.as_bytes())));
        return Err(Problem::new(Kind::ForeignOrigin, detail).about("Origin", format!("http://{host}, or none")));
    }
    // Browsers send no Origin with some requests, but they say here whether a page of another site is behind it.
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if matches!(site, Some(b"cross-site" | b"same-site")) {
        return Err(Problem::new(Kind::ForeignOrigin, "the browser says that a page of another site asks (Sec-Fetch-Site)"));
    }
    Ok(())
}

/// The unix door has no browser behind it: whatever names an Origin comes through somebody's proxy.
pub fn check_unix(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key(header::ORIGIN) || matches!(headers.get("sec-fetch-site"), Some(v) if v != "none" && v != "same-origin") {
        return Err(Problem::new(Kind::ForeignOrigin, "web pages have no business at the unix socket; let the daemon listen on TCP"));
    }
    Ok(())
}

/// The bearer of the token: an admin.
pub fn token_caller(peer: String) -> Caller {
    Caller { name: TOKEN_CALLER.to_owned(), uid: None, groups: Vec::new(), door: "tcp".to_owned(), peer, admin: true }
}

/// The peer of a unix socket.
pub fn unix_caller(socket: &tokio::net::UnixStream, accounts: &Accounts, admins: &[u32]) -> std::io::Result<Caller> {
    let peer = socket.peer_cred()?;
    let (uid, gid) = (peer.uid(), peer.gid());
    // Supplementary groups do not list the first one.
    let mut gids = vec![gid];
    gids.extend(peer_groups(socket)?.into_iter().filter(|g| *g != gid));
    Ok(Caller {
        name: accounts.user(uid),
        uid: Some(uid),
        groups: gids.into_iter().map(|g| accounts.group(g)).collect(),
        door: "unix".to_owned(),
        peer: peer.pid().map_or_else(|| "unknown".to_owned(), |pid| format!("pid {pid}")),
        admin: uid == 0 || admins.contains(&uid),
    })
}

/// Supplementary groups of the peer, as of its connect (SO_PEERGROUPS, since Linux 4.13).
fn peer_groups(socket: &tokio::net::UnixStream) -> std::io::Result<Vec<u32>> {
    let mut gids: Vec<libc::gid_t> = vec![0; 64];
    loop {
        let mut bytes = (gids.len() * size_of::<libc::gid_t>()) as libc::socklen_t;
        // SAFETY: SO_PEERGROUPS writes at most `bytes` bytes to the vector, which has as many, and to `bytes` how many there are
        // (net/core/sock.c, `sk_getsockopt`); both outlive the call.
        let done = unsafe {
            libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERGROUPS, gids.as_mut_ptr().cast(), &raw mut bytes)
        };
        let there = bytes as usize / size_of::<libc::gid_t>();
        if done == 0 {
            gids.truncate(there);
            return Ok(gids);
        }
        let error = std::io::Error::last_os_error();
        match error.raw_os_error() {
            // More than fit; the kernel has said how many.
            Some(libc::ERANGE) if there > gids.len() => gids.resize(there, 0),
            // A peer without groups.
            Some(libc::ENODATA) => return Ok(Vec::new()),
            _ => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base_path::BasePath;

    fn guard() -> TcpGuard {
        let sessions = Arc::new(Sessions::new("127.0.0.1:8420".parse().unwrap(), BasePath::default()));
        TcpGuard { port: 8420, hosts: vec!["Bulkhead.example".into(), "10.0.0.5:9000".into()], token: TokenHash::of("right"), sessions }
    }

    #[test]
    fn hosts_are_ours_by_name_and_port() {
        for ours in
            ["127.0.0.1:8420", "[::1]:8420", "localhost:8420", "LOCALHOST:8420", "bulkhead.example", "bulkhead.example:1", "10.0.0.5:9000"]
        {
            assert!(guard().is_ours(ours), "{ours}");
        }
        for foreign in [
            "127.0.0.1",
            "localhost",
            "localhost:80",
            "127.0.0.1:84200",
            "evil.example:8420",
            "localhost.evil.example:8420",
            "10.0.0.5",
            "::1:8420",
            "",
            ":8420",
        ] {
            assert!(!guard().is_ours(foreign), "{foreign}");
        }
        assert!(TcpGuard { port: 80, ..guard() }.is_ours("localhost"));
    }

    #[test]
    fn who_may_come_in() {
        let check = |uri: &str, fields: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_str(value).unwrap());
            }
            guard().check(&uri.parse().unwrap(), &headers).map_err(|p| p.kind())
        };
        let (host, token) = (("host", "localhost:8420"), ("authorization", "Bearer right"));
        assert_eq!(check("/v1/health", &[host, token]), Ok(()));
        assert_eq!(check("/", &[host, ("authorization", "bearer right")]), Ok(()));
        assert_eq!(check("/", &[host, token, ("origin", "http://localhost:8420")]), Ok(()));
        assert_eq!(check("/", &[host, token, ("sec-fetch-site", "same-origin")]), Ok(()));
        for (fields, kind) in [
            (vec![host], Kind::Unauthorized),
            (vec![host, ("authorization", "Bearer wrong")], Kind::Unauthorized),
            (vec![host, ("authorization", "Basic right")], Kind::Unauthorized),
            (vec![host, ("authorization", "right")], Kind::Unauthorized),
            (vec![host, token, token], Kind::Unauthorized),
            (vec![token], Kind::Misdirected),
            (vec![host, host, token], Kind::Misdirected),
            (vec![("host", "evil.example:8420"), token], Kind::Misdirected),
            (vec![host, token, ("origin", "http://evil.example")], Kind::ForeignOrigin),
            (vec![host, token, ("origin", "null")], Kind::ForeignOrigin),
            (vec![host, token, ("origin", "http://127.0.0.1:8420")], Kind::ForeignOrigin),
            (vec![host, token, ("origin", "http://localhost:8420"), ("origin", "http://evil.example")], Kind::ForeignOrigin),
            (vec![host, token, ("sec-fetch-site", "cross-site")], Kind::ForeignOrigin),
        ] {
            assert_eq!(check("/", &fields), Err(kind), "{fields:?}");
        }
        assert_eq!(check("http://evil.example/", &[host, token]), Err(Kind::Misdirected));
        assert_eq!(check("http://localhost:8420/", &[host, token]), Ok(()));
    }
}
