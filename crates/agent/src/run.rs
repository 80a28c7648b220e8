//! `watch` put together: the network loop and the reporter in tasks of their own, and one loop that drives the state
//! machine by views and by time, remembers its deadlines and prints. It ends rights even if the other tasks hang.

use std::sync::Arc;

use anyhow::Context;
use tidegate_core::wire::StatusReport;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::args::WatchArgs;
use crate::clock::{self, Now};
use crate::event::Event;
use crate::network::{Ears, Network, Settings};
use crate::output::Printer;
use crate::report::Reporter;
use crate::store::{Entry, Store};
use crate::watch::{Memory, View, Watch};

/// Reports wait in a queue of this length while standard output is slow.
const QUEUE: usize = 64;

/// Runs until a signal (then `Ok`) or an error that no further try can mend.
///
/// # Errors
/// The state directory cannot be used, enrolment was denied, no gateway matches the pin, or standard output is gone.
pub async fn watch(args: WatchArgs) -> anyhow::Result<()> {
    let WatchArgs { gateway, endpoint, trust, state_dir, output, log_level: _, max_backoff, void_patience } = args;
    let mut stop = Stop::new().context("cannot listen for signals")?;
    let store = Arc::new(Store::open(&state_dir).context("the state directory cannot be used")?);
    let memory: Option<Memory> = store.read_json(Entry::Deadlines)?;
    let boot_id = clock::boot_id().context("cannot read the id of this boot")?;
    let (state, ends) = Watch::resume(memory.clone(), boot_id);
    let (views, mut seen) = watch::channel(None);
    let (events, news) = mpsc::channel(QUEUE);
    let (reach, reached) = watch::channel(None);
    let (reports, latest) = watch::channel(None);
    let (taken, settled) = watch::channel(None);
    let settings = Settings { gateways: gateway, endpoint, pins: trust, max_backoff, void_patience };
    let network = Network::load(settings, store.clone(), Ears { views, events, reach })?;
    let mut teller = Teller { state, memory, disk_is_sound: true, store, printer: Printer::new(output), reports };
    teller.print(&ends, clock::now())?;
    // What is on disk applies before any gateway is asked.
    let stored = seen.borrow_and_update().clone();
    teller.take(stored)?;
    tokio::spawn(Reporter::new(latest, reached, taken, max_backoff).run());
    let news = News { views: seen, events: news, settled, network: tokio::spawn(network.run()) };
    tokio::select! {
        done = teller.run(news) => done,
        () = stop.wait() => Ok(()),
    }
}

/// Drives the state machine and prints.
struct Teller {
    state: Watch,
    /// What is on disk.
    memory: Option<Memory>,
    /// The disk took the last memory: its failure is said once.
    disk_is_sound: bool,
    store: Arc<Store>,
    printer: Printer,
    reports: watch::Sender<Option<StatusReport>>,
}

/// What the other tasks tell the teller.
struct News {
    views: watch::Receiver<Option<View>>,
    events: mpsc::Receiver<Event>,
    /// The report that a gateway took last.
    settled: watch::Receiver<Option<StatusReport>>,
    /// Ends only if no further try can mend it.
    network: JoinHandle<anyhow::Error>,
}

// === impl Teller ===

impl Teller {
    async fn run(&mut self, news: News) -> anyhow::Result<()> {
        let News { mut views, mut events, mut settled, mut network } = news;
        loop {
            let nap = self.state.nap(clock::now());
            let mut told = None;
            tokio::select! {
                biased;
                // News first: the network loop says why before it hands on what follows from it.
                Some(event) = events.recv() => told = Some(event),
                Ok(()) = views.changed() => self.take(views.borrow_and_update().clone())?,
                Ok(()) = settled.changed() => self.settle(settled.borrow_and_update().as_ref()),
                done = &mut network => return Err(done.context("the network loop broke")?),
                () = tokio::time::sleep(nap) => {}
            }
            // Whatever woke this loop: no stream of news holds up an end.
            let now = clock::now();
            let events: Vec<Event> = self.state.tick(now).into_iter().chain(told).collect();
            self.print(&events, now)?;
        }
    }

    fn settle(&mut self, taken: Option<&StatusReport>) {
        if let Some(report) = taken {
            self.state.settle(report);
        }
    }

    fn take(&mut self, view: Option<View>) -> anyhow::Result<()> {
        let Some(view) = view else { return Ok(()) };
        let now = clock::now();
        let events = self.state.apply(view, now);
        self.print(&events, now)
    }

    /// Remembers first, then reports and prints: what was said must be known after a restart.
    fn print(&mut self, events: &[Event], now: Now) -> anyhow::Result<()> {
        self.remember();
        self.report();
        let written = events
            .iter()
            .try_for_each(|event| self.printer.event(event, now.wall))
            .and_then(|()| if self.printer.counts_down() { self.printer.rows(&self.state.rows(now)) } else { Ok(()) });
        written.context("cannot write to standard output")
    }

    /// Hands the latest report on, if it is another one than before.
    fn report(&self) {
        let report = Some(self.state.report());
        self.reports.send_if_modified(|latest| {
            let is_news = *latest != report;
            *latest = report;
            is_news
        });
    }

    /// Ends must go on without a disk: a failure is said, and the next event tries again.
    fn remember(&mut self) {
        let memory = Some(self.state.memory());
        if memory == self.memory {
            return;
        }
        match self.store.write_json(Entry::Deadlines, &memory) {
            Ok(()) => (self.memory, self.disk_is_sound) = (memory, true),
            Err(e) if self.disk_is_sound => {
                tracing::error!("{e}: a restart would not remember the deadlines of this boot");
                self.disk_is_sound = false;
            }
            Err(_) => {}
        }
    }
}

/// SIGINT and SIGTERM.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
