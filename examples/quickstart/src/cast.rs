//! Everybody on stage: the server, its operators, and the devices, each on a thread of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use device_sim::firmware::{Behaviour, leaves};
use device_sim::{Device, Factory, LAYOUT, Observer, PowerPlan, Timing, class, provision, vendor};
use linux_server::{Config, OperatorClient, Running, Verb, start};
use ota_manifest::{ChunkSize, DeviceId, Version};
use ota_server_core::http::api::{CampaignInfo, NewCampaign, NewDevice, NewImage, NewRelease};
use ota_server_core::{Gate, HaltRule, Outcome, Plan, Wave};
use ota_slots::SlotId;
use ota_verify::Sha256;
use tokio::runtime::Runtime;

use crate::firmware::{Images, Source};
use crate::show::Show;
use crate::{Options, PlayError};

/// Stack of a device's thread; its buffers are on the heap.
const STACK: usize = 512 * 1024;
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
    devices: Vec<Member>,
    threads: Vec<JoinHandle<Result<()>>>,
}

/// A device before it is switched on.
struct Member {
    dir: PathBuf,
    power: PowerPlan,
    /// Whoever sits between it and the server.
    proxy: Option<SocketAddr>,
}

impl Cast {
    /// Starts a server on an empty folder.
    pub(crate) fn assemble(
        options: Options,
        dir: PathBuf,
        source: Source,
        show: Arc<Show>,
        runtime: Runtime,
        interrupted: Arc<AtomicBool>,
    ) -> Result<Self> {
        let server = runtime.block_on(start(Config::local(&dir.join("server"))))?;
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
            devices: Vec::new(),
            threads: Vec::new(),
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

    pub(crate) fn plan_power(&mut self, device: usize, plan: impl FnOnce(&mut PowerPlan)) {
        if let Some(member) = self.devices.get_mut(device) {
            plan(&mut member.power);
        }
    }

    pub(crate) fn put_behind(&mut self, device: usize, proxy: SocketAddr) {
        if let Some(member) = self.devices.get_mut(device) {
            member.proxy = Some(proxy);
        }
    }

    /// Uploads one image per slot, has the manifest signed and published; the number of the release.
    pub(crate) fn publish(
        &self,
        version: Version,
        sequence: u32,
        behaviour: Behaviour,
    ) -> Result<(u32, Images)> {
        let images = self.source.images(version, behaviour);
        let mut uploaded = Vec::new();
        for (slot, image) in SlotId::BOTH.into_iter().zip(&images.0) {
            let kept = self.author.upload(image)?;
            uploaded.push(NewImage { sha256: kept.sha256, link_address: LAYOUT.slot(slot).link_address });
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
            trial_attempts: 3,
            images: uploaded,
        };
        let published = self.author.publish(&release)?;
        self.show.note(&format!("release {version} signed and published as manifest {}", published.manifest));
        Ok((published.release, images))
    }

    /// Drafts a campaign in waves of one device, 25 % and everybody, and has the other operator approve it.
    pub(crate) fn roll_out(&self, name: &str, release: u32) -> Result<u32> {
        let plan = Plan {
            waves: vec![Wave::Count(1), Wave::Percent(25), Wave::Percent(100)],
            max_in_flight: u32::from(self.options.devices).div_ceil(2).max(8),
            gate: Gate { permille: 1000, min_sample: 1 },
            soak_ms: 0,
            halt: vec![HaltRule { outcome: Outcome::RolledBack, permille: 0, min_sample: 1 }],
            approvals: 1,
            ..Plan::default()
        };
        let draft = NewCampaign { name: name.to_owned(), release, plan, devices: None };
        let campaign = self.author.create_campaign(&draft)?.campaign;
        self.author.command(campaign, Verb::Submit)?;
        self.show
            .note(&format!("campaign {campaign} submitted by the author: waves of 1 device, 25 %, 100 %"));
        self.approver.command(campaign, Verb::Approve)?;
        self.show.note(&format!("campaign {campaign} approved by the approver"));
        Ok(campaign)
    }

    /// Enrols and provisions every device with the first release.
    pub(crate) fn manufacture(&mut self, release: u32, images: &Images) -> Result<(), PlayError> {
        let envelope = self.author.envelope(release).map_err(anyhow::Error::from)?;
        let first_leaves = leaves(&images.0[0], ChunkSize::KIB4);
        for number in 0..self.size() {
            if self.is_interrupted() {
                return Err(PlayError::Interrupted);
            }
            let factory = self.enrol(number)?;
            let dir = self.dir.join("devices").join(format!("{number:04}"));
            provision(&dir, &factory, &images.0[0], &first_leaves, &envelope)?;
            self.devices.push(Member { dir, power: PowerPlan::default(), proxy: None });
        }
        Ok(())
    }

    fn enrol(&self, number: usize) -> Result<Factory> {
        let id = device_id(self.options.seed, number).to_string();
        let request = NewDevice { device: Some(id.clone()), name: format!("device {number}") };
        let token = self.author.enrol(&request)?.token;
        let release_key = self.server.release_key().to_string();
        Ok(Factory { id, server: self.server.url(), token, release_key })
    }

    /// Switches every device on.
    pub(crate) fn switch_on(&mut self) -> Result<()> {
        let timing = Timing {
            // Everybody together asks some 250 times a second at most.
            poll_interval_ms: u32::from(self.options.devices).saturating_mul(4).max(300),
            backoff_ms: (50, 2_000),
            request_timeout_ms: 10_000,
            watchdog_ms: 500,
        };
        for (number, member) in self.devices.iter().enumerate() {
            let show = Arc::clone(&self.show);
            let observer: Observer = Box::new(move |line| show.line(number, line));
            let seed = self.options.seed.wrapping_mul(1009).wrapping_add(number as u64);
            let mut device = Device::open(&member.dir, timing, seed, Some(observer))?;
            device.plan_power(member.power);
            if let Some(proxy) = member.proxy {
                device.reroute(&format!("http://{proxy}"));
            }
            let stop = Arc::clone(&self.stop);
            let thread = thread::Builder::new().name(format!("device {number}")).stack_size(STACK);
            self.threads.push(thread.spawn(move || device.run(&stop)).context("no thread for a device")?);
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
    pub(crate) fn dismiss(mut self) -> Result<PathBuf> {
        self.stop.store(true, Ordering::Relaxed);
        let mut failure = None;
        for thread in self.threads.drain(..) {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => failure = Some(error),
                Err(_) => failure = Some(anyhow!("a device's thread panicked")),
            }
        }
        let Self { runtime, server, dir, .. } = self;
        runtime.block_on(server.stop())?;
        match failure {
            Some(error) => Err(error.context("a device stopped by itself")),
            None => Ok(dir),
        }
    }
}

/// The same devices for the same seed.
fn device_id(seed: u64, number: usize) -> DeviceId {
    let digest = Sha256::of(&[b"quickstart device", &seed.to_le_bytes(), &(number as u64).to_le_bytes()]);
    let mut id = [0; 16];
    id.copy_from_slice(&digest.as_bytes()[..16]);
    DeviceId::new(id)
}

/// Where the server keeps its data.
pub(crate) fn server_dir(dir: &Path) -> PathBuf {
    dir.join("server")
}
