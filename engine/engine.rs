//! The engine, as the doors see it, and its one writer thread.
//!
//! One thread owns the state, so no policy ever judges a stale one ([`turn`](crate::turn) is what it does, over and over).
//! Nothing touches the kernel before its plan is on record: [`Kernel::apply`] takes only what a commit gave back.
//! Readers see the published state, an `Arc` that never changes under them.

use crate::answer::{Answer, Failure};
use crate::breaks::{Breaks, Broken};
use crate::clock;
use crate::fatal::or_abort;
use crate::input::{Input, Waiting};
use crate::lanes::Lanes;
use crate::shared::Shared;
use crate::sweep;
use crate::turn::Writer;
use bulkhead_core::caller::Caller;
use bulkhead_core::case::{Case, Tried};
use bulkhead_core::decide::{self, Basis, Decided};
use bulkhead_core::event::Event;
use bulkhead_core::evidence::JudgedBy;
use bulkhead_core::host::Host;
use bulkhead_core::kernel::Kernel;
use bulkhead_core::policy::{Change, Digest, Heard, Judge, Judged, Policy, Question};
use bulkhead_core::record::{Store, StoreError};
use bulkhead_core::replay::{self, Again};
use bulkhead_core::request::{Asked, Request};
use bulkhead_core::settings::Settings;
use bulkhead_core::state::State;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{broadcast, oneshot};

/// Inputs that may wait for the writer; more are turned away rather than kept waiting.
const QUEUE_MAX: usize = 8192;
/// Events that a slow watcher may lag behind.
const EVENTS_MAX: usize = 1024;

/// What the engine is made of.
pub struct Config {
    /// The durable record.
    pub store: Box<dyn Store>,
    /// The kernel.
    pub kernel: Arc<dyn Kernel>,
    /// Asks policies.
    pub judge: Arc<dyn Judge + Send + Sync>,
    /// What the operator configured.
    pub settings: Settings,
    /// How often namespaces are looked at for drift; `None` never (tests that drive it themselves).
    pub sweep: Option<Duration>,
}

/// Why the engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The record cannot be read or written.
    #[error("the record: {0}")]
    Store(#[from] StoreError),
    /// A thread cannot be started.
    #[error("a thread could not be started")]
    Thread(#[from] std::io::Error),
}

/// A handle; cheap to clone. The engine stops when [`Engine::stop`] is called.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    queue: SyncSender<Input>,
    writer: Arc<Mutex<Option<std::thread::JoinHandle<()>>>>,
}

impl Engine {
    /// Reads the record, makes the kernel agree with it, and starts to serve. Blocks until record and kernel agree.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let Config { mut store, kernel, judge, settings, sweep } = config;
        let (queue, inputs) = sync_channel(QUEUE_MAX);
        let host = kernel.host();
        let loaded = store.load()?;
        let reopened = store.reopened(&loaded);
        let state = State::load(host.boot, loaded);
        let shared = Arc::new(Shared {
            published: RwLock::new(Arc::new(state.clone())),
            kernel: Arc::clone(&kernel),
            judge,
            breaks: Breaks::new(settings.breaks_max),
            settings,
            events: broadcast::channel(EVENTS_MAX).0,
            stopping: AtomicBool::new(false),
        });
        let lanes = Lanes::start(Arc::clone(&kernel), queue.clone())?;
        let mut writer = Writer::new(Arc::clone(&shared), store, lanes, state);
        writer.recover(reopened)?;
        let notices = queue.clone();
        kernel.on_notice(Box::new(move |notice| {
            // A full queue means that the writer is busy; it looks at the host again with the next notice or sweep.
            let _ = notices.try_send(Input::Noticed(notice));
        }));
        let thread = std::thread::Builder::new().name("writer".into()).spawn(move || or_abort("writer", || writer.run(&inputs)))?;
        if let Some(every) = sweep {
            sweep::start(Arc::clone(&shared), queue.clone(), every)?;
        }
        Ok(Self { shared, queue, writer: Arc::new(Mutex::new(Some(thread))) })
    }

    /// Puts a request in the queue and waits for its end: refused, denied, done or failed. `netns` is the namespace that was
    /// opened at the request; the apply uses it and nothing else.
    pub async fn ask(
        &self,
        request: Request,
        caller: Caller,
        change: Change,
        force: Option<String>,
        netns: Option<Arc<OwnedFd>>,
    ) -> Result<Answer, Failure> {
        self.ask_with(request, caller, change, force, netns, None).await
    }

    /// Like [`ask`](Self::ask), for an admitted module and its bytes.
    pub async fn ask_with(
        &self,
        request: Request,
        caller: Caller,
        change: Change,
        force: Option<String>,
        netns: Option<Arc<OwnedFd>>,
        bytes: Option<(Digest, Arc<[u8]>)>,
    ) -> Result<Answer, Failure> {
        if self.shared.stopping.load(Ordering::Acquire) {
            return Err(Failure::Unavailable("the daemon is stopping".into()));
        }
        let asked = Asked { request, caller, change, force, now: clock::now(), up_us: clock::up_us(), seed: clock::seed() };
        let (answer, heard) = oneshot::channel();
        let waiting = Waiting { asked, netns, bytes, answer };
        match self.queue.try_send(Input::Request(Box::new(waiting))) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(Failure::Unavailable(format!("{QUEUE_MAX} requests are waiting; try again"))),
            Err(TrySendError::Disconnected(_)) => return Err(Failure::Unavailable("the daemon is stopping".into())),
        }
        heard.await.unwrap_or_else(|_| Err(Failure::Unavailable("the daemon is stopping".into())))
    }

    pub(crate) fn decide_on_published(
        &self,
        request: Request,
        caller: Caller,
        change: Change,
        force: Option<String>,
    ) -> Result<Decided, Failure> {
        let asked = Asked { request, caller, change, force, now: clock::now(), up_us: clock::up_us(), seed: clock::seed() };
        let (state, host) = (self.state(), self.host());
        let basis = Basis { state: &state, host: &host, judge: &self.shared.watchful(), settings: &self.shared.settings };
        Ok(decide::decide(basis, &asked)?)
    }

    /// What a policy says to a question: nothing is decided, recorded or changed. Runs the policy, so it may take a while.
    pub fn judge(&self, policy: &Policy, question: &Question) -> Judged {
        self.shared.judge.judge(policy, question)
    }
    /// Puts a test case to a policy.
    pub fn try_case(&self, policy: &Policy, case: &Case) -> Tried {
        case.put(&*self.shared.judge, policy)
    }
    /// How a policy broke, if it did when it was asked last.
    pub fn broke(&self, policy: &Policy) -> Option<Broken> {
        self.shared.breaks.of(policy)
    }
    /// Puts a recorded question to the policy that was asked, as it was then ([`replay::again`]).
    pub fn again(&self, then: &Heard, policy: Option<&Policy>, by: Option<&JudgedBy>) -> Again {
        replay::again(&*self.shared.judge, then, policy, by)
    }
    /// What runs the policies.
    pub fn judged_by(&self) -> Arc<JudgedBy> {
        self.shared.judge.judged_by()
    }
    /// Asks policies: nothing is decided, recorded or changed.
    pub fn judge_of_policies(&self) -> &dyn Judge {
        &*self.shared.judge
    }
    /// What is on record now.
    pub fn state(&self) -> Arc<State> {
        self.shared.state()
    }
    /// The host as last seen.
    pub fn host(&self) -> Arc<Host> {
        self.shared.kernel.host()
    }
    /// The kernel, for looking only: it changes nothing but by recorded plans.
    pub fn kernel(&self) -> &Arc<dyn Kernel> {
        &self.shared.kernel
    }
    /// What the operator configured.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }
    /// Events from now on.
    pub fn watch(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }
    /// Looks at every namespace on record now, and heals what differs. Comes back when the record has heard of it; what must be
    /// made again is made in the background.
    pub async fn look(&self) {
        let then = self.state();
        let all = sweep::namespaces(&then);
        let kernel = Arc::clone(self.kernel());
        let Ok(observed) = tokio::task::spawn_blocking(move || kernel.observe(&all)).await else { return };
        self.put(Input::Observed { observed: Box::new(observed), then });
        self.flush().await;
    }
    fn put(&self, input: Input) {
        // A full queue means that the writer is busy; the next look comes by itself.
        let _ = self.queue.try_send(input);
    }
    /// Waits until all that is queued now has had its turn and is on record.
    pub async fn flush(&self) {
        let (done, heard) = oneshot::channel();
        if self.queue.try_send(Input::Flush(done)).is_ok() {
            let _ = heard.await;
        }
    }
    /// Stops taking requests, lets what is under way finish, commits and ends the writer. Blocks; may be called twice.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        let _ = self.queue.send(Input::Stop);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A writer that panics takes the process along.
        writer.into_iter().for_each(|writer| drop(writer.join()));
    }
}
