//! The one thread that writes the audit log and the prompts. Requests hand over and go on.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    chain::{Chain, Record},
    file::{RotatedFile, Sink},
    prompts::{self, Exchange},
};
use crate::settings::Audit as Settings;

/// Records that wait before no request is taken any more: what cannot be audited is not served.
const MAX_WAITING: usize = 65_536;
/// Lines that are written at once.
const BATCH_BYTES: usize = 64 << 10;
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// After the first record of a batch. A write, and a wake of this thread, for each record would cost more than its request's key
/// and quota, and at the moment when the next request is there.
const GATHER_TIME: Duration = Duration::from_millis(10);
const DELETE_EVERY: Duration = Duration::from_mins(10);

enum Entry {
    Record(Box<Record>),
    Exchange(Box<Exchange>),
}

/// Where requests leave their records.
#[derive(Clone, Debug)]
pub(crate) struct AuditLog {
    to_writer: Sender<Entry>,
    waiting: Arc<AtomicUsize>,
    keeps_prompts: bool,
}

impl AuditLog {
    /// Opens the log and starts its writer, which ends once every clone of the log is gone.
    pub(crate) fn open(settings: &Settings) -> io::Result<(Self, JoinHandle<()>)> {
        let (sink, chain) = if settings.file.as_os_str().is_empty() {
            (Sink::Stdout, Chain::default())
        } else {
            let (file, chain) = RotatedFile::open(&settings.file, settings.max_bytes, settings.keep)?;
            (Sink::File(file), chain)
        };
        let directory = settings.file.parent().filter(|_| !settings.file.as_os_str().is_empty()).map(PathBuf::from);
        let (to_writer, entries) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let keeps_prompts = directory.is_some();
        let writer = Writer { sink, chain, directory, waiting: Arc::clone(&waiting) };
        let thread = Builder::new().name("audit".to_owned()).spawn(move || writer.run(&entries))?;
        Ok((Self { to_writer, waiting, keeps_prompts }, thread))
    }

    /// Whether a request may be taken: its record will be.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) < MAX_WAITING
    }

    /// Whether prompts can be kept at all.
    pub(crate) fn keeps_prompts(&self) -> bool {
        self.keeps_prompts
    }

    pub(crate) fn record(&self, record: Record) {
        self.send(Entry::Record(Box::new(record)));
    }

    pub(crate) fn exchange(&self, exchange: Exchange) {
        self.send(Entry::Exchange(Box::new(exchange)));
    }

    fn send(&self, entry: Entry) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if self.to_writer.send(entry).is_err() {
            tracing::error!("the writer of the audit log has ended; a record is lost");
        }
    }
}

struct Writer {
    sink: Sink,
    chain: Chain,
    directory: Option<PathBuf>,
    waiting: Arc<AtomicUsize>,
}

impl Writer {
    fn run(mut self, entries: &Receiver<Entry>) {
        let (mut synced, mut deleted) = (Instant::now(), None::<Instant>);
        loop {
            let first = match entries.recv_timeout(SYNC_EVERY) {
                Ok(entry) => Some(entry),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if let Some(first) = first {
                std::thread::sleep(GATHER_TIME);
                self.write(first, entries);
            }
            if synced.elapsed() >= SYNC_EVERY {
                self.sync();
                synced = Instant::now();
            }
            if deleted.is_none_or(|at| at.elapsed() >= DELETE_EVERY) {
                self.delete_expired();
                deleted = Some(Instant::now());
            }
        }
        self.sync();
    }

    /// Everything that waits, as few writes as that takes.
    fn write(&mut self, first: Entry, entries: &Receiver<Entry>) {
        let (mut lines, mut taken) = (String::new(), 0);
        let mut next = Some(first);
        while let Some(entry) = next {
            taken += 1;
            match entry {
                Entry::Record(record) => match self.chain.seal(&record) {
                    Ok(line) => lines.push_str(&line),
                    Err(error) => tracing::error!(%error, "failed to write an audit record"),
                },
                Entry::Exchange(exchange) => self.keep(&exchange),
            }
            next = if lines.len() < BATCH_BYTES { entries.try_recv().ok() } else { None };
        }
        // Tried until it works: meanwhile records wait, and with too many waiting nothing is served.
        while let Err(error) = self.sink.write(&lines) {
            tracing::error!(%error, "failed to write the audit log; it is tried again");
            std::thread::sleep(SYNC_EVERY);
        }
        self.waiting.fetch_sub(taken, Ordering::Relaxed);
    }

    fn keep(&self, exchange: &Exchange) {
        let Some(directory) = &self.directory else { return };
        let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        if let Err(error) = prompts::append(directory, exchange, today) {
            tracing::error!(%error, model = %exchange.model, "failed to keep a prompt");
        }
    }

    fn sync(&mut self) {
        if let Err(error) = self.sink.sync() {
            tracing::error!(%error, "failed to sync the audit log");
        }
    }

    fn delete_expired(&self) {
        let Some(directory) = &self.directory else { return };
        match prompts::delete_expired(directory, Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()) {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "deleted prompts that were kept long enough"),
            Err(error) => tracing::error!(%error, "failed to delete prompts that were kept long enough"),
        }
    }
}
