//! Everybody on stage: the server, its operators, and the devices, each on a thread of its own.

mod manufacture;
mod server;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use device_sim::firmware::Behaviour;
use device_sim::{Device, Happening, LAYOUT, Line, Observer, PowerPlan, Timing, class, vendor};
use linux_server::{OperatorClient, Running, Verb};
use ota_manifest::Version;
use ota_server_core::http::api::{CampaignInfo, NewCampaign, NewRelease};
use ota_server_core::{Gate, HaltRule, Outcome, Plan, Timeouts, Wave};
use ota_slots::SlotId;
use tokio::runtime::Runtime;

use crate::firmware::{Images, Source};
use crate::show::Show;
use crate::{Options, PlayError};

/// Stack of a device's thread; its buffers are on the heap.
const STACK: usize = 512 * 1024;
/// Boots an image gets to confirm itself. A kill of the whole play during a trial takes one, and the play must not mistake many
/// kills for a bad release; a product would allow three.
const ATTEMPTS: u8 = 250;
/// How often the play looks at the server while it waits.
const LOOK: Duration = Duration::from_millis(50);

/// The stage.
pub(crate) struct Cast {
    pub(crate) options: Options,
    pub(crate) show: Arc<Show>,
    pub(crate) dir: PathBuf,
    pub(crate) source: Source,
    pub(crate) runtime: Runtime,
    /// Writes releases and campaigns.
    pub(crate) author: OperatorClient,
    /// Approves them; nobody approves his own.
    approver: OperatorClient,
    server: Running,
    stop: Arc<AtomicBool>,
    interrupted: Arc<AtomicBool>,
    /// The id of each device.
    ids: Vec<String>,
    devices: Vec<Member>,
    threads: Vec<JoinHandle<Result<()>>>,
    /// Says when the broker goes and comes, if there is one.
    watching: Option<tokio::task::JoinHandle<()>>,
    /// Whoever sits in between has kept a device from telling the server how its job went; nothing would ring for it again.
    fell_silent: Arc<AtomicBool>,
}

/// A device before it is switched on.
struct Member {
    dir: PathBuf,
    /// What it has been through in earlier runs.
    past: Vec<Line>,
    power: PowerPlan,
    /// Whoever sits between it and the server.
    proxy: Option<SocketAddr>,
}

impl Cast {
    /// Starts a server on the folder.
    pub(crate) fn assemble(
        options: Options,
        dir: PathBuf,
        source: Source,
        show: Arc<Show>,
        runtime: Runtime,
        interrupted: Arc<AtomicBool>,
    ) -> Result<Self, PlayError> {
        let ids = manufacture::ids(&options, &dir)?;
        let server = server::open(&options, &dir, &runtime)?;
        let link = server.bell().map(|bell| bell.link());
        let watching = link.map(|link| runtime.spawn(server::tell_of(link, Arc::clone(&show))));
        let author = OperatorClient::new(&server.url(), &server.tokens().author);
        let approver = OperatorClient::new(&server.url(), &server.tokens().approver);
        Ok(Self {
            options,
            show,
            dir,
            source,
            runtime,
            author,
            approver,
            server,
            stop: Arc::new(AtomicBool::new(false)),
            interrupted,
            ids,
            devices: Vec::new(),
            threads: Vec::new(),
            watching,
            fell_silent: Arc::default(),
        })
    }

    pub(crate) fn size(&self) -> usize {
        usize::from(self.options.devices)
    }

    pub(crate) fn server_url(&self) -> String {
        self.server.url()
    }

    /// Device number `wanted`, or the last one if there are not so many: then acts share devices.
    pub(crate) fn role(&self, wanted: usize) -> usize {
        wanted.min(self.size() - 1)
    }

    /// What a device has been through in earlier runs.
    pub(crate) fn past(&self, device: usize) -> &[Line] {
        self.devices.get(device).map_or(&[], |member| &member.past)
    }

    /// Plans power failures; those that an earlier run has seen are not repeated. Whether any is left.
    pub(crate) fn plan_power(&mut self, device: usize, plan: impl FnOnce(&mut PowerPlan)) -> bool {
        let Some(member) = self.devices.get_mut(device) else { return false };
        let before = member.power;
        plan(&mut member.power);
        member.power = member.power.left_after(&member.past);
        member.power != before
    }

    pub(crate) fn put_behind(&mut self, device: usize, proxy: SocketAddr) {
        if let Some(member) = self.devices.get_mut(device) {
            member.proxy = Some(proxy);
        }
    }

    /// Uploads one image per slot, has the manifest signed and published; the number of the release. One that an earlier run
    /// has published is taken as it is: the folder belongs to these firmware bytes.
    pub(crate) fn publish(
        &self,
        version: Version,
        sequence: u32,
        behaviour: Behaviour,
    ) -> Result<(u32, Images)> {
        let images = self.source.images(version, behaviour);
        let published = self.author.releases()?;
        if let Some(known) = published.iter().find(|release| release.version == version.to_string()) {
            return Ok((known.release, images));
        }
        let release = NewRelease {
            version: version.to_string(),
            epoch: 0,
            sequence,
            security_version: 1,
            vendor: vendor().to_string(),
            class: class().to_string(),
            hardware_min: 0,
            hardware_max: u16::MAX,
            min_bootloader: 0,
            confirm_window_s: 60,
            trial_attempts: ATTEMPTS,
            images: Vec::new(),
        };
        let addresses = SlotId::BOTH.map(|slot| LAYOUT.slot(slot).link_address);
        let linked = images.0.iter().map(Vec::as_slice).zip(addresses);
        let published = self.author.release(linked, release)?;
        self.show.note(&format!("release {version} signed and published as manifest {}", published.manifest));
        Ok((published.release, images))
    }

    /// Drafts a campaign in waves of one device, 25 % and everybody, and has the other operator approve it; what an earlier run
    /// has done of this is not repeated. The campaign as it was found.
    pub(crate) fn roll_out(&self, name: &str, release: u32) -> Result<CampaignInfo> {
        let known = self.author.campaigns()?.into_iter().find(|campaign| campaign.name == name);
        let found = match known {
            Some(known) => known,
            None => self.draft(name, release)?,
        };
        let (campaign, mut state) = (found.campaign, found.state.clone());
        if state == "draft" {
            state = self.author.command(campaign, Verb::Submit)?.state;
            self.show.note(&format!(
                "campaign {campaign} submitted by the author: waves of 1 device, 25 %, 100 %"
            ));
        }
        if state == "awaiting_approval" {
            self.approver.command(campaign, Verb::Approve)?;
            self.show.note(&format!("campaign {campaign} approved by the approver"));
        }
        Ok(found)
    }

    fn draft(&self, name: &str, release: u32) -> Result<CampaignInfo> {
        let plan = Plan {
            waves: vec![Wave::Count(1), Wave::Percent(25), Wave::Percent(100)],
            max_in_flight: u32::from(self.options.devices).div_ceil(2).max(8),
            gate: Gate { permille: 1000, min_sample: 1 },
            soak_ms: 0,
            halt: vec![HaltRule { outcome: Outcome::RolledBack, permille: 0, min_sample: 1 }],
            timeouts: patient(),
            approvals: 1,
            ..Plan::default()
        };
        let draft = NewCampaign { name: name.to_owned(), release, plan, devices: None };
        Ok(self.author.create_campaign(&draft)?)
    }

    /// Switches every device on.
    pub(crate) fn switch_on(&mut self) -> Result<()> {
        let timing = Timing {
            poll_interval_ms: self.poll_interval_ms(),
            backoff_ms: (50, 2_000),
            request_timeout_ms: 10_000,
            watchdog_ms: 500,
            ..Timing::default()
        };
        for (number, member) in self.devices.iter().enumerate() {
            let show = Arc::clone(&self.show);
            let fell_silent = Arc::clone(&self.fell_silent);
            let is_cheated = member.proxy.is_some();
            let observer: Observer = Box::new(move |line| {
                show.line(number, line);
                if is_cheated && matches!(line.what, Happening::Settled { .. }) {
                    fell_silent.store(true, Ordering::Relaxed);
                }
            });
            let seed = self.options.seed.wrapping_mul(1009).wrapping_add(number as u64);
            let mut device = Device::open(&member.dir, timing, seed, Some(observer))?;
            device.plan_power(member.power);
            // The server has another port in each run.
            match member.proxy {
                Some(proxy) => device.put_behind(&format!("http://{proxy}")),
                None => device.move_to(&self.server.url()),
            }
            let stop = Arc::clone(&self.stop);
            let thread = thread::Builder::new().name(format!("device {number}")).stack_size(STACK);
            self.threads.push(thread.spawn(move || device.run(&stop)).context("no thread for a device")?);
        }
        Ok(())
    }

    fn poll_interval_ms(&self) -> u32 {
        match self.has_bell() {
            true => 3_600_000,
            // Everybody together asks some 250 times a second at most.
            false => u32::from(self.options.devices).saturating_mul(4).max(300),
        }
    }

    pub(crate) fn has_bell(&self) -> bool {
        self.options.bell.mqtt.is_some()
    }

    /// Has the author ring for a device, if there is a bell. Without one it asks by itself.
    pub(crate) fn ring(&self, device: &str) -> Result<()> {
        if self.has_bell() {
            self.author.ring(device)?;
        }
        Ok(())
    }

    /// An operator who sees that a device has gone quiet wants to hear from it.
    fn ring_for_the_silent(&self) -> Result<()> {
        if self.fell_silent.swap(false, Ordering::Relaxed) {
            self.ring(&self.ids[self.role(2)])?;
        }
        Ok(())
    }

    /// Waits until `done` says so. A device that dies, Ctrl-C and the clock end it too.
    pub(crate) fn wait_until(
        &self,
        what: &str,
        limit: Duration,
        mut done: impl FnMut(&Self) -> Result<bool>,
    ) -> Result<(), PlayError> {
        let begun = std::time::Instant::now();
        while !done(self)? {
            if self.is_interrupted() {
                return Err(PlayError::Interrupted);
            }
            if self.threads.iter().any(JoinHandle::is_finished) {
                return Err(PlayError::Unmet("a device stopped by itself: it could not boot".to_owned()));
            }
            if begun.elapsed() > limit {
                return Err(PlayError::Unmet(format!("{what} within {} s", limit.as_secs())));
            }
            self.ring_for_the_silent()?;
            thread::sleep(LOOK);
        }
        Ok(())
    }

    pub(crate) fn campaign(&self, campaign: u32) -> Result<CampaignInfo> {
        Ok(self.author.campaign(campaign)?)
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Switches everything off, devices first, so that none is left asking a server that is gone.
    pub(crate) fn dismiss(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let mut failure = None;
        for thread in self.threads.drain(..) {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => failure = Some(error),
                Err(_) => failure = Some(anyhow!("a device's thread panicked")),
            }
        }
        let Self { runtime, server, watching, .. } = self;
        // That the server leaves its broker now is no news.
        if let Some(watching) = watching {
            watching.abort();
        }
        runtime.block_on(server.stop())?;
        match failure {
            Some(error) => Err(error.context("a device stopped by itself")),
            None => Ok(()),
        }
    }
}

/// A play that was cut off may stay so for days; its devices are not silent, they do not exist meanwhile.
fn patient() -> Timeouts {
    const YEAR: u64 = 365 * 24 * 3_600_000;
    Timeouts {
        offered: YEAR,
        accepted: YEAR,
        downloading: YEAR,
        downloaded: YEAR,
        verified: YEAR,
        pending_boot: YEAR,
        testing: YEAR,
    }
}

/// Where a device lives.
pub(crate) fn device_dir(dir: &Path, number: usize) -> PathBuf {
    dir.join("devices").join(format!("{number:04}"))
}

/// Where the server keeps its data.
pub(crate) fn server_dir(dir: &Path) -> PathBuf {
    dir.join("server")
}
