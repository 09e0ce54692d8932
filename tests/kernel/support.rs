//! A site: a lab with a daemon on its host. Whatever a test does, its end takes everything away over the API and compares
//! the links with those before.

use bulkhead_lab::{Client, Daemon, Lab, Namespace, Response, Serve};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long silence must last to count as "no answer".
pub const NO_ANSWER: Duration = Duration::from_millis(500);

pub struct Site<'lab> {
    pub lab: &'lab Lab,
    pub daemon: Daemon<'lab>,
    pub client: Client,
}

/// Runs a test on a fresh site.
pub fn site(test: impl FnOnce(&mut Site<'_>)) {
    site_with("", |_| {}, test);
}

/// The same, with a configuration file and with the lab prepared before the daemon starts.
pub fn site_with(config: &str, prepare: impl FnOnce(&Lab), test: impl FnOnce(&mut Site<'_>)) {
    let lab = Lab::new().expect("a lab");
    prepare(&lab);
    let before = seen(&lab.host);
    let folder = tempfile::Builder::new().prefix("bulkhead-test-").tempdir_in(scratch()).expect("a folder");
    let mut serve = Serve::new(folder.path()).expect("the daemon's binary");
    if !config.is_empty() {
        serve = serve.config(config).expect("a configuration file");
    }
    let compiled = folder.path().join("compiled");
    copy_files(&scratch().join("bulkhead-test-compiled"), &compiled);
    let daemon = serve.start(&lab.host);
    copy_files(&compiled, &scratch().join("bulkhead-test-compiled"));
    let daemon = daemon.expect("a daemon");
    let client = daemon.client();
    let mut site = Site { lab: &lab, daemon, client };
    test(&mut site);
    site.take_all_away();
    let after = seen(&lab.host);
    assert_eq!(before, after, "the host's links, addresses, routes and filters are as before");
    let status = site.daemon.stop().expect("the daemon stops when asked");
    assert!(status.success(), "{status}");
}

/// Tests share what daemons have compiled: it is the slowest part of a first start.
fn copy_files(from: &Path, to: &Path) {
    let Ok(files) = std::fs::read_dir(from) else { return };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(to).expect("a folder");
    for file in files.flatten() {
        std::fs::copy(file.path(), to.join(file.file_name())).expect("a copy");
    }
}

fn scratch() -> PathBuf {
    std::env::var_os("BULKHEAD_SHARE").map_or_else(std::env::temp_dir, PathBuf::from)
}

fn seen(host: &Namespace) -> (String, String) {
    (host.links().expect("links"), host.filters("eth0").expect("filters"))
}

impl Site<'_> {
    pub fn post(&mut self, path: &str, body: &Value) -> Response {
        self.client.post(path, body).unwrap_or_else(|e| panic!("POST {path}: {e}\n{}", self.log()))
    }

    pub fn patch(&mut self, path: &str, body: &Value) -> Response {
        let sent = self.client.send("PATCH", path, &[("content-type", "application/json")], body.to_string().as_bytes());
        sent.unwrap_or_else(|e| panic!("PATCH {path}: {e}\n{}", self.log()))
    }

    pub fn get(&mut self, path: &str) -> Value {
        let answer = self.client.get(path).unwrap_or_else(|e| panic!("GET {path}: {e}\n{}", self.log()));
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.text());
        answer.json().expect("JSON")
    }

    pub fn delete(&mut self, path: &str) -> Response {
        self.client.delete(path).unwrap_or_else(|e| panic!("DELETE {path}: {e}\n{}", self.log()))
    }

    pub fn log(&self) -> String {
        self.daemon.log().unwrap_or_default()
    }

    /// A network that must be made.
    pub fn network(&mut self, wish: &Value) -> Value {
        let answer = self.post("/v1/networks", wish);
        assert_eq!(answer.status, 201, "{wish}: {}\n{}", answer.text(), self.log());
        answer.json().expect("JSON")
    }

    /// A network that must be refused; its faults as `field: wrong`.
    pub fn no_network(&mut self, wish: &Value) -> (u16, Vec<String>) {
        let answer = self.post("/v1/networks", wish);
        (answer.status, faults(&answer))
    }

    /// An attach that must succeed; the endpoint.
    pub fn attach(&mut self, network: &str, workload: &Namespace, more: &Value) -> Value {
        let answer = self.try_attach(network, workload, more);
        assert_eq!(answer.status, 201, "attach to {network}: {}\n{}", answer.text(), self.log());
        answer.json().expect("JSON")
    }

    pub fn try_attach(&mut self, network: &str, workload: &Namespace, more: &Value) -> Response {
        let mut wish = json!({"namespace": {"name": workload.name()}, "interface": "eth0"});
        for (key, value) in more.as_object().into_iter().flatten() {
            wish[key] = value.clone();
        }
        self.post(&format!("/v1/networks/{network}/endpoints"), &wish)
    }

    pub fn items(&mut self, path: &str) -> Vec<Value> {
        self.get(path)["items"].as_array().cloned().unwrap_or_default()
    }

    /// Detaches and deletes all there is.
    pub fn take_all_away(&mut self) {
        for endpoint in self.items("/v1/endpoints?limit=500") {
            let (network, id) = (text(&endpoint, "network"), text(&endpoint, "id"));
            let answer = self.delete(&format!("/v1/networks/{network}/endpoints/{id}"));
            assert!(answer.status < 300, "detach {id}: {}", answer.text());
        }
        for network in self.items("/v1/networks?limit=500") {
            let answer = self.delete(&format!("/v1/networks/{}", text(&network, "name")));
            assert!(answer.status < 300, "delete {network}: {}", answer.text());
        }
    }

    /// Events of a kind, by their text.
    pub fn events(&mut self, kind: &str) -> Vec<String> {
        let all = self.items("/v1/events?limit=500");
        all.iter().filter(|e| e["kind"] == kind).map(|e| text(e, "text")).collect()
    }

    /// A client of a restarted daemon.
    pub fn reconnect(&mut self) {
        self.client = self.daemon.client();
    }
}

pub fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("no text {key} in {value}")).to_owned()
}

/// The faults of a problem, as `field: wrong`.
pub fn faults(answer: &Response) -> Vec<String> {
    let problem = answer.json().unwrap_or_default();
    let faults = problem["faults"].as_array().cloned().unwrap_or_default();
    faults.iter().map(|f| format!("{}: {}", f["field"].as_str().unwrap_or("?"), f["wrong"].as_str().unwrap_or("?"))).collect()
}

/// The n-th address of an endpoint, without its prefix.
pub fn address(endpoint: &Value, n: usize) -> IpAddr {
    let at = &endpoint["addresses"][n];
    let text = at.as_str().or_else(|| at["address"].as_str()).unwrap_or_else(|| panic!("no address {n} in {endpoint}"));
    text.split('/').next().and_then(|a| a.parse().ok()).unwrap_or_else(|| panic!("{text} is no address"))
}

pub fn pings(from: &Namespace, to: IpAddr) -> bool {
    from.ping(to).expect("a ping")
}

pub fn silent(from: &Namespace, to: IpAddr) -> bool {
    !from.ping_within(to, NO_ANSWER).expect("a ping")
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Waits until something is so; healing is asynchronous.
pub fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(15);
    while !so() {
        assert!(Instant::now() < end, "not within 15 s: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
