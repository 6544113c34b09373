//! What one sees: progress bars, and one line per event, both on standard error.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stderr};
use std::sync::Mutex;
use std::time::Instant;

use device_sim::{CutPoint, Happening, Line};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Fleets up to this size get a bar for each device; larger ones one bar for all.
const BARS: usize = 32;

/// The screen.
#[derive(Debug)]
pub(crate) struct Show {
    bars: MultiProgress,
    fleet: ProgressBar,
    devices: Mutex<BTreeMap<usize, ProgressBar>>,
    /// Devices that have confirmed, for the fleet's bar.
    confirmed: Mutex<Vec<bool>>,
    started: Instant,
    terminal: bool,
    each: bool,
}

impl Show {
    pub(crate) fn new(devices: usize) -> Self {
        let bars = MultiProgress::new();
        let fleet = bars.add(ProgressBar::new(devices as u64));
        fleet.set_style(style("{prefix:>12} [{bar:40.green}] {pos}/{len} {msg}"));
        fleet.set_prefix("confirmed");
        Self {
            bars,
            fleet,
            devices: Mutex::default(),
            confirmed: Mutex::new(vec![false; devices]),
            started: Instant::now(),
            terminal: stderr().is_terminal(),
            each: devices <= BARS,
        }
    }

    pub(crate) fn act(&self, title: &str) {
        self.say(&format!("\n== {title}"));
        if let Ok(mut confirmed) = self.confirmed.lock() {
            confirmed.fill(false);
        }
        self.fleet.set_position(0);
    }

    pub(crate) fn say(&self, text: &str) {
        if self.terminal {
            // A screen that cannot be written to is no reason to stop an update.
            let _ = self.bars.println(text);
        } else {
            eprintln!("{text}");
        }
    }

    pub(crate) fn note(&self, text: &str) {
        self.say(&format!("{:7.2} s  {text}", self.started.elapsed().as_secs_f64()));
    }

    /// A device has written a line into its log.
    pub(crate) fn line(&self, device: usize, line: &Line) {
        if let Happening::Reached { progress: Some((done, total)), .. } = &line.what {
            self.progress(device, *done, *total);
            return;
        }
        if let Some(text) = words(&line.what) {
            self.note(&format!("device {device:3}  {text}"));
        }
        self.count(device, line);
    }

    /// Counts a device that has confirmed, now or in an earlier run.
    pub(crate) fn count(&self, device: usize, line: &Line) {
        if let Happening::Reached { stage, .. } = &line.what
            && stage == "Confirmed"
        {
            self.finish(device);
        }
    }

    fn progress(&self, device: usize, done: u32, total: u32) {
        if !self.each {
            return;
        }
        let Ok(mut bars) = self.devices.lock() else { return };
        let bar = bars.entry(device).or_insert_with(|| {
            let bar = self.bars.insert_before(&self.fleet, ProgressBar::new(u64::from(total)));
            bar.set_style(style("{prefix:>12} [{bar:40.cyan}] {bytes}/{total_bytes} {msg}"));
            bar.set_prefix(format!("device {device:3}"));
            bar
        });
        bar.set_length(u64::from(total));
        bar.set_position(u64::from(done));
    }

    fn finish(&self, device: usize) {
        if let Ok(mut bars) = self.devices.lock()
            && let Some(bar) = bars.remove(&device)
        {
            bar.finish_and_clear();
        }
        if let Ok(mut confirmed) = self.confirmed.lock()
            && let Some(this) = confirmed.get_mut(device)
            && !std::mem::replace(this, true)
        {
            self.fleet.inc(1);
        }
    }

    pub(crate) fn close(&self) {
        self.fleet.finish_and_clear();
        let _ = self.bars.clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// What of a device's log people want to see.
fn words(what: &Happening) -> Option<String> {
    Some(match what {
        Happening::Boot { cause, slot, version, state, .. } => {
            format!("boots {version} from slot {slot}, {} ({cause})", state.to_lowercase())
        }
        Happening::Rung => "is rung".to_owned(),
        Happening::Offered { job, .. } => format!("is offered job {}", short(job)),
        Happening::Refused { refusal, code } => format!("REFUSES the offer: {refusal}, code {code:#06x}"),
        Happening::ChunkRefused { chunk } => format!("REFUSES chunk {chunk}: does not match its leaf"),
        Happening::LeavesRefused => "REFUSES the leaf list".to_owned(),
        Happening::Resumed { held, total } => {
            format!("resumes its download with {held} of {total} bytes in flash")
        }
        Happening::Reached { stage, progress: None } => format!("reaches {stage}"),
        Happening::RolledBack { reason, boots, .. } => format!("ROLLED BACK: {reason} after {boots} boot(s)"),
        Happening::PowerCut { at: CutPoint::Download } => "LOSES POWER in its download".to_owned(),
        Happening::PowerCut { at: CutPoint::Trial } => "LOSES POWER in its trial".to_owned(),
        Happening::Fault { why } => format!("crashes: {why}"),
        _ => return None,
    })
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
