//! A real server with its operators, and simulated devices that are switched on and off.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use device_sim::firmware::{Behaviour, build, leaves};
use device_sim::{Factory, Happening, LAYOUT, Timing, class, provision, read_log, vendor};
use linux_server::{Config, OperatorClient, Running, Verb, start};
use ota_manifest::{ChunkSize, Version};
use ota_server_core::http::api::{JobInfo, NewCampaign, NewDevice, NewImage, NewRelease};
use ota_server_core::{Plan, Wave};
use ota_slots::SlotId;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const LIMIT: Duration = Duration::from_secs(60);

/// The server, with release 1 in it for the factory.
pub(crate) struct Site {
    pub(crate) config: Config,
    runtime: Runtime,
    server: Option<Running>,
    pub(crate) author: OperatorClient,
    approver: OperatorClient,
    first: Vec<u8>,
    folder: TempDir,
}

impl Site {
    pub(crate) fn open(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::local(&folder.path().join("server"));
        change(&mut config);
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(start(config.clone())).unwrap();
        // So that devices find it again when it has been restarted.
        config.listen = server.addr();
        let operator = |token: &str| OperatorClient::new(&server.url(), token);
        let (author, approver) = (operator(&server.tokens().author), operator(&server.tokens().approver));
        let mut site =
            Self { config, runtime, author, approver, server: Some(server), first: Vec::new(), folder };
        (_, site.first) = site.publish(1, Behaviour::Healthy);
        site
    }

    pub(crate) fn server(&self) -> &Running {
        self.server.as_ref().unwrap()
    }

    /// Stops the server, lets somebody work in its data folder, and starts it again.
    pub(crate) fn restart(&mut self, meanwhile: impl FnOnce(&Path)) {
        self.runtime.block_on(self.server.take().unwrap().stop()).unwrap();
        meanwhile(&self.config.data);
        self.server = Some(self.runtime.block_on(start(self.config.clone())).unwrap());
    }

    fn publish(&self, number: u16, behaviour: Behaviour) -> (u32, Vec<u8>) {
        let version = Version::new(number, 0, 0);
        let images = SlotId::BOTH.map(|slot| {
            let address = LAYOUT.slot(slot).link_address;
            (build(&[number.to_le_bytes()[0]; 20_000], address, version, behaviour), address)
        });
        let uploaded = images.iter().map(|(image, link_address)| NewImage {
            sha256: self.author.upload(image).unwrap().sha256,
            link_address: *link_address,
        });
        let release = NewRelease {
            version: version.to_string(),
            epoch: 0,
            sequence: number.into(),
            security_version: 1,
            vendor: vendor().to_string(),
            class: class().to_string(),
            hardware_min: 0,
            hardware_max: u16::MAX,
            min_bootloader: 0,
            confirm_window_s: 60,
            trial_attempts: 3,
            images: uploaded.collect(),
        };
        let [(image, _), _] = images;
        (self.author.publish(&release).unwrap().release, image)
    }

    /// Publishes release `number` and rolls it out to everybody at once; the campaign.
    pub(crate) fn roll_out(&self, number: u16, behaviour: Behaviour) -> u32 {
        let (release, _) = self.publish(number, behaviour);
        let plan = Plan { waves: vec![Wave::Percent(100)], soak_ms: 0, ..Plan::default() };
        let new = NewCampaign { name: format!("release {number}"), release, plan, devices: None };
        let campaign = self.author.create_campaign(&new).unwrap().campaign;
        self.author.command(campaign, Verb::Submit).unwrap();
        self.approver.command(campaign, Verb::Approve).unwrap();
        campaign
    }

    /// A device from the factory, with release 1, the server's keys, and what else is burnt in.
    pub(crate) fn make(&self, name: &str, burn_in: impl FnOnce(&mut Factory)) -> Device {
        self.enrol(NewDevice { device: None, name: name.to_owned() }, burn_in)
    }

    /// The same, of a device that may have an id already.
    pub(crate) fn enrol(&self, new: NewDevice, burn_in: impl FnOnce(&mut Factory)) -> Device {
        let enrolled = self.author.enrol(&new).unwrap();
        let mut factory = Factory {
            id: enrolled.device.clone(),
            server: self.server().url(),
            token: enrolled.token,
            release_key: self.server().release_key().to_string(),
            freshness_key: Some(self.server().freshness_key().to_string()),
            root_keys: Vec::new(),
            root_threshold: 1,
            mqtt: None,
        };
        burn_in(&mut factory);
        let (dir, envelope) = (self.folder.path().join(new.name), self.author.envelope(1).unwrap());
        let leaves = leaves(&self.first, ChunkSize::KIB4);
        provision(&dir, &factory, &self.first, &leaves, &envelope).unwrap();
        Device { dir, id: enrolled.device }
    }

    /// The job of a device in a campaign.
    pub(crate) fn job(&self, campaign: u32, device: &Device) -> Option<JobInfo> {
        self.author.jobs(campaign).unwrap().into_iter().find(|job| job.device == device.id)
    }

    /// Waits until the device's job is in this state.
    pub(crate) fn wait_for_job(&self, campaign: u32, device: &Device, state: &str) -> JobInfo {
        wait(|| match self.job(campaign, device) {
            Some(job) if job.state == state => Ok(job),
            other => Err(format!("{other:?}")),
        })
    }

    /// Waits until the device has told the server that its trust is at this version.
    pub(crate) fn wait_for_trust(&self, device: &Device, version: u32) {
        wait(|| {
            let devices = self.author.devices().unwrap();
            let trust = devices.iter().find(|known| known.device == device.id).unwrap().trust;
            if trust == Some(version) { Ok(()) } else { Err(format!("{trust:?} {:?}", device.log())) }
        });
    }
}

/// Where a device lives.
pub(crate) struct Device {
    pub(crate) dir: PathBuf,
    id: String,
}

impl Device {
    /// Runs it until what is returned is dropped.
    pub(crate) fn switch_on(&self) -> SwitchedOn {
        self.switch_on_with(|_| ())
    }

    /// The same, of a device that is changed first.
    pub(crate) fn switch_on_with(&self, change: impl FnOnce(&mut device_sim::Device)) -> SwitchedOn {
        let timing = Timing {
            poll_interval_ms: 100,
            freshness_interval_ms: 500,
            backoff_ms: (20, 200),
            ..Timing::default()
        };
        let mut device = device_sim::Device::open(&self.dir, timing, 7, None).unwrap();
        change(&mut device);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || device.run(&stopped).unwrap());
        SwitchedOn { stop, thread: Some(thread) }
    }

    pub(crate) fn log(&self) -> Vec<Happening> {
        read_log(&self.dir).unwrap().into_iter().map(|line| line.what).collect()
    }

    /// Version of the firmware, its state, and version of the trust, at each boot.
    pub(crate) fn boots(&self) -> Vec<String> {
        let boot = |what| match what {
            Happening::Boot { version, state, trust, .. } => Some(format!("{version} {state} {trust}")),
            _ => None,
        };
        self.log().into_iter().filter_map(boot).collect()
    }
}

/// A device at work.
pub(crate) struct SwitchedOn {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for SwitchedOn {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking(), "the device stopped by itself");
    }
}

/// Waits until there is what is looked for; what there was instead goes into the complaint.
pub(crate) fn wait<T>(look: impl Fn() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(instead) => assert!(begun.elapsed() < LIMIT, "{instead}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
