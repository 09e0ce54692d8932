//! What all handlers share.

use crate::base_path::BasePath;
use crate::limits::Limits;
use crate::params::Params;
use crate::parts::{Log, Modules, Namespaces};
use crate::problem::{Kind, Problem};
use crate::sessions::{SessionWatch, Sessions};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use bulkhead_core::caller::Caller;
use bulkhead_core::policy::Change;
use bulkhead_core::request::Request;
use bulkhead_engine::dry_run::DryRun;
use bulkhead_engine::{Answer, Engine};
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use tokio::sync::{Mutex, Semaphore, watch};

/// Uploads whose bytes are held at a time.
const UPLOADS_MAX: usize = 4;
/// Settings that are put to modules at a time.
const SETTINGS_CHECKS_MAX: usize = 4;

/// What all handlers share; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    engine: Engine,
    namespaces: Arc<dyn Namespaces>,
    modules: Arc<dyn Modules>,
    log: Arc<dyn Log>,
    limits: Limits,
    sessions: Option<Arc<Sessions>>,
    base: BasePath,
    description: OnceLock<String>,
    blocking: Arc<Semaphore>,
    module_change: Mutex<()>,
    uploads: Arc<Semaphore>,
    settings_checks: Semaphore,
    started: Instant,
}

impl App {
    /// Puts the parts together; `sessions` are those of the TCP door, where there is one, and `base` is where a proxy shows it all.
    pub fn new(
        engine: Engine,
        namespaces: Arc<dyn Namespaces>,
        modules: Arc<dyn Modules>,
        log: Arc<dyn Log>,
        limits: Limits,
        sessions: Option<Arc<Sessions>>,
        base: BasePath,
    ) -> Self {
        let blocking = Arc::new(Semaphore::new(limits.blocking_max));
        Self(Arc::new(Inner {
            engine,
            namespaces,
            modules,
            log,
            limits,
            sessions,
            base,
            description: OnceLock::new(),
            blocking,
            module_change: Mutex::new(()),
            uploads: Arc::new(Semaphore::new(UPLOADS_MAX)),
            settings_checks: Semaphore::new(SETTINGS_CHECKS_MAX),
            started: Instant::now(),
        }))
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }
    /// Opens namespaces.
    pub fn namespaces(&self) -> &Arc<dyn Namespaces> {
        &self.0.namespaces
    }
    /// Admits modules.
    pub fn modules(&self) -> &Arc<dyn Modules> {
        &self.0.modules
    }
    /// Reads the log.
    pub fn log(&self) -> &dyn Log {
        &*self.0.log
    }
    /// What a client may take.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }
    /// Sessions of the dashboard, where it is served.
    pub fn sessions(&self) -> Option<&Sessions> {
        self.0.sessions.as_deref()
    }
    /// The path below which a proxy shows it.
    pub fn base(&self) -> &BasePath {
        &self.0.base
    }
    /// The API's description, as it is served.
    pub fn description(&self) -> &str {
        self.0.description.get_or_init(|| crate::router::description(&self.0.base))
    }
    /// Held while modules come or go: one upload compiles at a time, and none is unloaded while another of the same bytes arrives.
    pub fn module_change(&self) -> &Mutex<()> {
        &self.0.module_change
    }
    /// Held while a module's bytes are in memory: that many uploads at a time, and the others wait with nothing but their connection.
    pub fn uploads(&self) -> &Arc<Semaphore> {
        &self.0.uploads
    }
    /// Held while settings are put to a module: it may take long, and must not take all threads that [`blocking`](Self::blocking) has.
    pub fn settings_checks(&self) -> &Semaphore {
        &self.0.settings_checks
    }
    /// When it was put together.
    pub fn started(&self) -> Instant {
        self.0.started
    }

    /// Runs what blocks a thread on a thread that may be blocked; only so many at a time.
    pub async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let permit =
            Arc::clone(&self.0.blocking).acquire_owned().await.map_err(|_| Problem::new(Kind::Unavailable, "the daemon is stopping"))?;
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        done.await.map_err(|e| {
            tracing::error!(error = %e, "a call did not come to its end");
            Problem::new(Kind::Internal, "a call did not come to its end; the daemon's log says more")
        })
    }

    /// Puts a request to the engine and waits for its end.
    pub async fn ask(&self, request: Request, caller: Caller, why: Why, netns: Option<Arc<OwnedFd>>) -> Result<Answer, Problem> {
        Ok(self.engine().ask(request, caller, why.change, why.force, netns).await?)
    }

    /// What would come of a request. Policies run, so a thread may be blocked for a while.
    pub async fn dry_run(&self, request: Request, caller: Caller, why: Why) -> Result<DryRun, Problem> {
        let engine = self.engine().clone();
        Ok(self.blocking(move || engine.dry_run(request, caller, why.change, why.force)).await??)
    }
}

/// Who asks, as the door found out ([`auth`](crate::auth)).
#[derive(Debug, Clone)]
pub struct Asker(pub Arc<Caller>);

impl<S: Sync> FromRequestParts<S> for Asker {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Without a caller there is no way in: a door that forgot to say who asks serves nobody.
        parts.extensions.get::<Asker>().cloned().ok_or_else(|| Problem::new(Kind::Internal, "the door did not say who asks"))
    }
}

/// Tells a long answer that the daemon stops.
#[derive(Debug, Clone)]
pub struct Stopping(pub watch::Receiver<bool>);

/// Tells a long answer that it must end: the daemon stops, or the session is over in which it was asked for.
pub struct Ending(Option<Stopping>, Option<SessionWatch>);

impl Ending {
    /// Until then.
    pub async fn ended(self) {
        let stopped = async {
            match self.0 {
                Some(Stopping(mut stop)) => drop(stop.wait_for(|stop| *stop).await),
                None => std::future::pending().await,
            }
        };
        let over = async {
            match self.1 {
                Some(session) => session.over().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stopped => {}
            () = over => {}
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Ending {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Ending(parts.extensions.get::<Stopping>().cloned(), parts.extensions.get::<SessionWatch>().cloned()))
    }
}

/// How and why a change is asked for.
#[derive(Debug, Clone)]
pub struct Why {
    /// Say what would happen, and do nothing.
    pub dry_run: bool,
    /// Why.
    pub change: Change,
    /// An admin's reason to go against a denial.
    pub force: Option<String>,
}

impl Why {
    /// Reads the parameters that every change has.
    pub fn of(params: &mut Params) -> Self {
        Self { dry_run: params.switch("dry_run"), change: params.change(), force: None }
    }
    /// The same, and `force`, which removals have.
    pub fn of_removal(params: &mut Params) -> Self {
        Self { force: params.one("force"), ..Self::of(params) }
    }
}
