//! A gateway at work on one board, and what it says.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use device_sim::Factory;
use gateway::{Event, Gateway, Line, Station, Trouble};

use crate::site::{Device, Site, wait};

/// Dropped, it stops.
pub(crate) struct Desk {
    stop: Arc<AtomicBool>,
    lines: Arc<Mutex<Vec<Line>>>,
    thread: Option<JoinHandle<()>>,
}

impl Desk {
    /// Serves what is at `port` with this token.
    pub(crate) fn open(site: &Site, port: &Path, token: &str) -> Self {
        Self::until(site, port, token, |_| false)
    }

    /// The same, and it soon says what may be wrong.
    pub(crate) fn impatient(site: &Site, port: &Path, token: &str) -> Self {
        Self::serve(gateway(site).with_patience_ms(300), port, token, |_| false)
    }

    /// The same, up to the first line that `is_last`.
    pub(crate) fn until(
        site: &Site,
        port: &Path,
        token: &str,
        is_last: impl Fn(&Line) -> bool + Send + 'static,
    ) -> Self {
        // What a busy computer is slow to do is no trouble.
        Self::serve(gateway(site).with_patience_ms(60_000), port, token, is_last)
    }

    fn serve(
        gateway: Gateway,
        port: &Path,
        token: &str,
        is_last: impl Fn(&Line) -> bool + Send + 'static,
    ) -> Self {
        let station = Station::new(port, token, layout::BAUD);
        let (stop, lines) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<Line>>>::default());
        let (stopped, log) = (Arc::clone(&stop), Arc::clone(&lines));
        let thread = std::thread::spawn(move || {
            let note = |line: Line| {
                if is_last(&line) {
                    stopped.store(true, Ordering::Relaxed);
                }
                log.lock().unwrap().push(line);
            };
            gateway.keep(&station, &stopped, note).unwrap();
        });
        Self { stop, lines, thread: Some(thread) }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().iter().map(ToString::to_string).collect()
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.lines.lock().unwrap().iter().map(|line| line.event.clone()).collect()
    }

    pub(crate) fn troubles(&self) -> Vec<Trouble> {
        let trouble = |event| match event {
            Event::Trouble(trouble) => Some(trouble),
            _ => None,
        };
        self.events().into_iter().filter_map(trouble).collect()
    }

    /// Waits for an event.
    pub(crate) fn wait_for(&self, is_it: impl Fn(&Event) -> bool) -> Event {
        wait(|| self.events().into_iter().find(&is_it).ok_or_else(|| format!("{:#?}", self.lines())))
    }

    /// Waits until it has stopped by itself.
    pub(crate) fn ended(mut self) -> Vec<Event> {
        self.thread.take().unwrap().join().unwrap();
        self.events()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

fn gateway(site: &Site) -> Gateway {
    Gateway::new(&site.server().url(), None).unwrap()
}

/// What the factory gave a device.
pub(crate) fn token(device: &Device) -> String {
    Factory::load(&device.dir).unwrap().token
}
