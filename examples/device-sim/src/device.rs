//! One device: power sessions, each from the bootloader's decision to the next reset.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use embedded_storage::nor_flash::ReadNorFlash;
use ota_agent::Config;
use ota_agent::linux::{Account, Doorbell, DualLink, HttpLink, LinkError, MqttLink, Updater};
use ota_agent::self_test::SelfTest;
use ota_manifest::{ResetCause, Role};
use ota_slots::{Handover, OpenError, Policy, SlotState};

use crate::application::Application;
use crate::board::{BOOTLOADER, FLASH_BYTES, HARDWARE, LAYOUT, WINDOW_BYTES};
use crate::bootloader;
use crate::firmware::{self, Trailer};
use crate::proxied::Proxied;
use crate::self_test;
use crate::{CutPoint, Factory, FlashFile, Happening, Log, Observer, PowerPlan};

/// How long a simulated reset takes.
const RESET: Duration = Duration::from_millis(20);
/// Longest sleep between two looks at the stop flag.
const NAP: Duration = Duration::from_millis(50);

/// How a device keeps time. Milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// How often it asks for work when the server does not say.
    pub poll_interval_ms: u32,
    /// How often it asks what time it is, and for the next trust document; 0 for never.
    pub freshness_interval_ms: u32,
    /// First and longest pause after a failure.
    pub backoff_ms: (u32, u32),
    /// How long it waits for an answer.
    pub request_timeout_ms: u32,
    /// How long a hanging image keeps the watchdog waiting.
    pub watchdog_ms: u32,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            poll_interval_ms: 30_000,
            freshness_interval_ms: 24 * 3_600_000,
            backoff_ms: (1_000, 60_000),
            request_timeout_ms: 30_000,
            watchdog_ms: 4_000,
        }
    }
}

/// A simulated device.
#[derive(Debug)]
pub struct Device {
    dir: PathBuf,
    factory: Factory,
    policy: &'static Policy<'static>,
    flash: FlashFile,
    log: Log,
    timing: Timing,
    power: PowerPlan,
    seed: u64,
    cause: ResetCause,
    account: Option<Account>,
    /// Somebody sits between it and the server.
    proxied: bool,
    wiring: Option<Wiring>,
}

/// How a device without a network reaches its server.
struct Wiring(Box<dyn FnMut() -> Box<Wire> + Send>);

/// What a device's messages travel over.
type Wire = dyn Doorbell<Error = LinkError>;

impl std::fmt::Debug for Wiring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wiring(..)")
    }
}

/// How a power session ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ended {
    PowerLost(CutPoint),
    Reset(ResetCause),
    Stopped,
}

impl Device {
    /// Opens the device in `dir`. `seed` makes its pauses its own.
    ///
    /// # Errors
    /// If the folder holds no device, or one whose flash is laid out otherwise.
    pub fn open(dir: &Path, timing: Timing, seed: u64, observer: Option<Observer>) -> Result<Self> {
        let factory = Factory::load(dir)?;
        let id = factory.device_id()?;
        let account = factory.mqtt.as_ref().map(|mqtt| mqtt.account(dir, id)).transpose()?;
        let (first, longest) = timing.backoff_ms;
        let path = dir.join("flash.bin");
        let flash = FlashFile::open(&path).with_context(|| format!("{} cannot be opened", path.display()))?;
        ensure!(
            flash.capacity() == FLASH_BYTES as usize,
            "{} is not laid out as this device-sim has it: provision the device anew",
            path.display()
        );
        Ok(Self {
            dir: dir.to_owned(),
            policy: factory.policy()?,
            factory,
            flash,
            log: Log::open(dir, observer)?,
            timing,
            power: PowerPlan::default(),
            seed,
            cause: ResetCause::PowerOn,
            account: account.map(|account| account.with_backoff_ms(first, longest)),
            proxied: false,
            wiring: None,
        })
    }

    /// Plans power failures.
    pub fn plan_power(&mut self, plan: PowerPlan) {
        self.power = plan;
    }

    /// Talks to another address than the one burnt in: the server has moved.
    pub fn move_to(&mut self, server: &str) {
        server.clone_into(&mut self.factory.server);
    }

    /// Talks to whoever sits in between it and the server. He has only its HTTP, so all but the bell goes that way.
    pub fn put_behind(&mut self, proxy: &str) {
        self.proxied = true;
        self.move_to(proxy);
    }

    /// Talks over a link of another kind: `wiring` makes one for each boot.
    pub fn wire(&mut self, wiring: impl FnMut() -> Box<dyn Doorbell<Error = LinkError>> + Send + 'static) {
        self.wiring = Some(Wiring(Box::new(wiring)));
    }

    /// Where the device lives.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs until `stop` is set.
    ///
    /// # Errors
    /// Only if the device cannot boot at all, which must not happen.
    pub fn run(&mut self, stop: &AtomicBool) -> Result<()> {
        while !stop.load(Ordering::Relaxed) {
            match self.session(stop)? {
                Ended::Stopped => break,
                Ended::Reset(cause) => self.cause = cause,
                Ended::PowerLost(at) => {
                    self.log.write(Happening::PowerCut { at });
                    self.flash.supply().restore();
                    self.cause = ResetCause::PowerOn;
                }
            }
            std::thread::sleep(RESET);
        }
        Ok(())
    }

    fn session(&mut self, stop: &AtomicBool) -> Result<Ended> {
        let booted = bootloader::boot(&mut self.flash, self.policy, self.cause);
        if !self.flash.supply().is_on() {
            // There is no other fuse than the download's, wherever it blows.
            return Ok(Ended::PowerLost(CutPoint::Download));
        }
        let handover = booted?;
        let mut memory = [0; LAYOUT.trust_limit()];
        let adopted = bootloader::in_force(&mut self.flash, self.policy, &mut memory)?;
        let policy = bootloader::under(self.policy, adopted.as_ref());
        match self.start(&handover, &policy) {
            Ok(trailer) => {
                let asks = policy.trust.has_keys(Role::Freshness);
                self_test::with(trailer.behaviour, asks, |test| {
                    self.run_firmware(&handover, &policy, trailer, test, stop)
                })?
            }
            Err(fault) => {
                self.log.write(Happening::Fault { why: fault.to_string() });
                Ok(Ended::Reset(ResetCause::Lockup))
            }
        }
    }

    /// The firmware, from its start to the next reset.
    fn run_firmware(
        &mut self,
        handover: &Handover,
        policy: &Policy<'_>,
        trailer: Trailer,
        test: SelfTest<'_, '_>,
        stop: &AtomicBool,
    ) -> Result<Ended> {
        let mut link = self.link()?;
        let updater = Updater {
            layout: &LAYOUT,
            policy,
            slot: handover.slot(),
            config: self.config(&trailer),
            window: WINDOW_BYTES,
            seed: self.seed,
            nap: NAP,
            flash: &mut self.flash,
        };
        let mut application = Application {
            supply: updater.flash.supply(),
            log: &mut self.log,
            power: &mut self.power,
            watchdog_ms: self.timing.watchdog_ms,
            behaviour: trailer.behaviour,
            on_trial: handover.state() == SlotState::Trial,
            test,
            started: Instant::now(),
            stop,
            ended: None,
        };
        let ran = updater.run(&mut *link, &mut application);
        let ended = application.ended();
        match ran {
            Ok(ota_agent::linux::Ended::Reset) => Ok(Ended::Reset(ResetCause::Software)),
            Ok(ota_agent::linux::Ended::Stopped) => Ok(ended),
            Err(_) if !self.flash.supply().is_on() => Ok(Ended::PowerLost(CutPoint::Download)),
            Err(error @ OpenError::NotRunning(_)) => {
                self.log.write(Happening::Note { text: error.to_string() });
                Ok(Ended::Reset(ResetCause::Software))
            }
            Err(error) => {
                // The firmware does its work; it just cannot update.
                self.log.write(Happening::Note { text: error.to_string() });
                while !stop.load(Ordering::Relaxed) {
                    std::thread::sleep(NAP);
                }
                Ok(Ended::Stopped)
            }
        }
    }

    fn config(&self, trailer: &Trailer) -> Config {
        Config {
            version: trailer.version,
            hardware: HARDWARE,
            bootloader: BOOTLOADER,
            poll_interval_ms: self.timing.poll_interval_ms,
            freshness_interval_ms: self.timing.freshness_interval_ms,
            // A device with a bell is told when to ask.
            ask_at_boot: self.account.is_none(),
            request_timeout_ms: self.timing.request_timeout_ms,
            backoff_ms: self.timing.backoff_ms,
            confirm_needs_server: true,
            ..Config::default()
        }
    }

    /// A link as long as the firmware runs: a reset cuts the connection, and the next boot makes another at once. What is rung
    /// in between is not lost, since the broker keeps it.
    fn link(&mut self) -> Result<Box<Wire>> {
        if let Some(Wiring(make)) = &mut self.wiring {
            return Ok(make());
        }
        let timeout = Duration::from_millis(self.timing.request_timeout_ms.into());
        let http = HttpLink::new(&self.factory.server, &self.factory.token, timeout)?;
        let mqtt = self.account.as_ref().map(|account| MqttLink::open(account, timeout)).transpose()?;
        Ok(match mqtt {
            None => Box::new(http),
            Some(bell) if self.proxied => Box::new(Proxied { bell, http }),
            Some(mqtt) => Box::new(DualLink::new(mqtt, http)),
        })
    }

    /// Jumps: reads the image as the processor would, from where it was handed over.
    fn start(&mut self, handover: &Handover, policy: &Policy<'_>) -> Result<Trailer> {
        let slot = LAYOUT.slot(handover.slot());
        let mut image = vec![0; handover.image().size() as usize];
        self.flash.read(slot.region.start, &mut image).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let trailer = firmware::start(&image, slot.link_address)?;
        self.log.write(Happening::Boot {
            cause: format!("{:?}", self.cause),
            slot: format!("{:?}", handover.slot()),
            version: trailer.version.to_string(),
            state: format!("{:?}", handover.state()),
            trust: policy.trust.version(),
        });
        Ok(trailer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_whose_flash_is_laid_out_otherwise_is_to_be_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let key = "11".repeat(32);
        let description = format!(
            r#"{{ "id": "{}", "server": "http://s", "token": "t", "release_key": "{key}" }}"#,
            "ab".repeat(16)
        );
        std::fs::write(dir.path().join("device.json"), description).unwrap();
        FlashFile::create(&dir.path().join("flash.bin"), 3 * 4096 + 2 * 1024 * 1024).unwrap();
        let refused = Device::open(dir.path(), Timing::default(), 1, None).unwrap_err().to_string();
        assert!(refused.ends_with("provision the device anew"), "{refused}");
    }
}
