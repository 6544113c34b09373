//! Server and devices as processes of their own, killed at random moments while an update is rolled out.
//!
//! Whatever is killed is started again a little later, as a supervisor or a power supply would. In the end every device runs
//! the new release and has confirmed it, in one job with one attempt.
#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{KilledOnDrop, Random, wait_for};
use device_sim::firmware::{Behaviour, build};
use device_sim::{Happening, LAYOUT, class, read_log, vendor};
use linux_server::{OperatorClient, Verb};
use ota_manifest::Version;
use ota_server_core::http::api::{JobHistory, NewCampaign, NewDevice, NewImage, NewRelease};
use ota_server_core::{Plan, Wave};
use ota_slots::SlotId;

const DEVICES: usize = 30;
const DEVICE_KILLS: usize = 40;
const SERVER_KILLS: usize = 4;
/// From one kill to the next.
const PAUSE: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(150)];
/// How long what was killed is away.
const AWAY: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(300)];
const LIMIT: Duration = Duration::from_secs(120);
/// Everybody asks several times in this time.
const QUIET: Duration = Duration::from_secs(1);

#[test]
fn killed_servers_and_devices_lose_no_job_and_run_none_twice() {
    let mut site = Site::open();
    site.provision();
    site.start_devices();
    let campaign = site.roll_out();
    site.kill_at_random(campaign);
    wait_for("campaign completed", LIMIT, || {
        site.nobody_ended();
        site.state(campaign).as_deref() == Some("completed")
    });
    let jobs = site.jobs(campaign);
    assert_each_device_confirmed_once(&jobs);
    std::thread::sleep(QUIET);
    assert_eq!(site.jobs(campaign), jobs, "nothing moves any more");
    site.assert_logs_know_one_job(&jobs);
    site.assert_each_boots_confirmed();
}

/// A server, an operator's desk, and a place for devices.
struct Site {
    // Dropped in this order: nobody writes into a folder that is gone.
    server: Option<KilledOnDrop>,
    devices: Vec<Option<KilledOnDrop>>,
    port: u16,
    author: OperatorClient,
    approver: OperatorClient,
    release_key: String,
    freshness_key: String,
    programs: PathBuf,
    random: Random,
    dir: tempfile::TempDir,
}

impl Site {
    fn open() -> Self {
        let programs = build_programs();
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        let server = start_server(&programs, dir.path(), port);
        let announced = dir.path().join("server.out");
        let mut words = Vec::new();
        wait_for("server started", LIMIT, || {
            let text = fs::read_to_string(&announced).unwrap();
            words = text.split_whitespace().map(str::to_owned).collect();
            words.iter().any(|word| word == "operators")
        });
        let key = |role: &str| words[words.iter().position(|word| word == role).unwrap() + 2].clone();
        let url = format!("http://127.0.0.1:{port}");
        let tokens = fs::read_to_string(dir.path().join("server/operator.tokens")).unwrap();
        let operator = |name: &str| {
            let line = tokens.lines().find(|line| line.split(' ').next() == Some(name)).unwrap();
            OperatorClient::new(&url, line.split(' ').next_back().unwrap())
        };
        Self {
            server: Some(server),
            devices: Vec::new(),
            port,
            author: operator("author"),
            approver: operator("approver"),
            release_key: key("release"),
            freshness_key: key("freshness"),
            programs,
            random: Random::new(),
            dir,
        }
    }

    fn device_dir(&self, number: usize) -> PathBuf {
        self.dir.path().join(format!("device-{number:02}"))
    }

    /// Publishes a release and returns its number and its image for slot A.
    fn publish(&self, version: Version, sequence: u32) -> (u32, Vec<u8>) {
        let firmware: Vec<u8> =
            (sequence..800_000 + sequence).map(|n| n.wrapping_mul(0x9E37_79B1).to_be_bytes()[0]).collect();
        let images = SlotId::BOTH.map(|slot| {
            let link_address = LAYOUT.slot(slot).link_address;
            (build(&firmware, link_address, version, Behaviour::Healthy), link_address)
        });
        let uploaded = images.iter().map(|(image, link_address)| NewImage {
            sha256: self.author.upload(image).unwrap().sha256,
            link_address: *link_address,
        });
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
            // Each kill in a trial takes one. Three would be a verdict on the release once in some hundred runs.
            trial_attempts: 100,
            images: uploaded.collect(),
        };
        let [(image, _), _] = images;
        (self.author.publish(&release).unwrap().release, image)
    }

    fn provision(&mut self) {
        let (first, image) = self.publish(Version::new(1, 0, 0), 1);
        let (image_file, envelope) = (self.dir.path().join("first.bin"), self.dir.path().join("first.ota"));
        fs::write(&image_file, image).unwrap();
        fs::write(&envelope, self.author.envelope(first).unwrap()).unwrap();
        for number in 0..DEVICES {
            let new = NewDevice { device: None, name: format!("device {number}") };
            let enrolled = self.author.enrol(&new).unwrap();
            let url = format!("http://127.0.0.1:{}", self.port);
            let mut command = Command::new(self.programs.join("device-sim"));
            command.arg("provision").arg(self.device_dir(number)).args(["--id", &enrolled.device]);
            command.args(["--server", &url, "--token", &enrolled.token, "--key", &self.release_key]);
            command.args(["--freshness-key", &self.freshness_key]);
            command.arg("--image").arg(&image_file).arg("--envelope").arg(&envelope);
            assert!(command.stdout(Stdio::null()).status().unwrap().success());
        }
    }

    fn start_devices(&mut self) {
        self.devices = (0..DEVICES).map(|number| Some(self.start_device(number))).collect();
    }

    fn start_device(&self, number: usize) -> KilledOnDrop {
        let dir = self.device_dir(number);
        let mut command = Command::new(self.programs.join("device-sim"));
        command.arg("run").arg(&dir).args(["--poll-interval-ms", "250", "--backoff-ms", "20,400"]);
        let errors = File::options().create(true).append(true).open(dir.join("stderr")).unwrap();
        KilledOnDrop(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).spawn().unwrap())
    }

    /// One canary, a quarter, everybody; few at a time, so that it takes a while.
    fn roll_out(&self) -> u32 {
        let (release, _) = self.publish(Version::new(1, 1, 0), 2);
        let plan = Plan {
            waves: vec![Wave::Count(1), Wave::Percent(25), Wave::Percent(100)],
            max_in_flight: 3,
            soak_ms: 0,
            ..Plan::default()
        };
        let new = NewCampaign { name: "1.1.0 to everybody".to_owned(), release, plan, devices: None };
        let campaign = self.author.create_campaign(&new).unwrap().campaign;
        self.author.command(campaign, Verb::Submit).unwrap();
        self.approver.command(campaign, Verb::Approve).unwrap();
        campaign
    }

    /// The state of a campaign, if the server is there to tell.
    fn state(&self, campaign: u32) -> Option<String> {
        self.author.campaign(campaign).ok().map(|info| info.state)
    }

    fn confirmed(&self, campaign: u32) -> Option<usize> {
        let info = self.author.campaign(campaign).ok()?;
        usize::try_from(*info.counters.get("confirmed")?).ok()
    }

    /// Kills as often as was promised, and starts everything again.
    fn kill_at_random(&mut self, campaign: u32) {
        let mut victims = vec![false; DEVICE_KILLS];
        for _ in 0..SERVER_KILLS {
            victims.insert(self.random.below(victims.len()), true);
        }
        let (mut away, mut confirmed) = (Vec::new(), 0);
        for (kills, is_server) in victims.iter().enumerate() {
            confirmed = self.confirmed(campaign).unwrap_or(confirmed);
            // A quick machine is not done before the last kill.
            let behind = confirmed * victims.len() > kills * DEVICES;
            let pause = if behind { Duration::ZERO } else { self.random.between(PAUSE[0], PAUSE[1]) };
            self.bring_back(&mut away, Instant::now() + pause);
            let victim = if *is_server { None } else { Some(self.somebody()) };
            if let Some((back, _)) = away.iter().find(|(_, who)| *who == victim) {
                let back = *back;
                self.bring_back(&mut away, back);
            }
            match victim {
                Some(number) => self.devices[number] = None, // SIGKILL
                None => self.server = None,
            }
            away.push((Instant::now() + self.random.between(AWAY[0], AWAY[1]), victim));
        }
        println!("{confirmed} of {DEVICES} devices had confirmed at the last kill");
        assert!(confirmed < DEVICES, "all kills came while the update was rolled out");
        self.bring_back(&mut away, Instant::now() + AWAY[1]);
        assert!(away.is_empty());
    }

    /// A device that runs.
    fn somebody(&mut self) -> usize {
        let running: Vec<_> = (0..DEVICES).filter(|number| self.devices[*number].is_some()).collect();
        running[self.random.below(running.len())]
    }

    /// Starts what is due again, until `end`.
    fn bring_back(&mut self, away: &mut Vec<(Instant, Option<usize>)>, end: Instant) {
        loop {
            let due = away.iter().enumerate().min_by_key(|(_, (at, _))| *at);
            let Some((index, at)) = due.map(|(index, (at, _))| (index, *at)).filter(|(_, at)| *at <= end)
            else {
                std::thread::sleep(end.saturating_duration_since(Instant::now()));
                return self.nobody_ended();
            };
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            match away.swap_remove(index).1 {
                Some(number) => self.devices[number] = Some(self.start_device(number)),
                None => self.server = Some(start_server(&self.programs, self.dir.path(), self.port)),
            }
        }
    }

    /// Only a kill ends a process.
    fn nobody_ended(&mut self) {
        let errors = (0..DEVICES).map(|number| self.device_dir(number).join("stderr"));
        let errors = errors.chain([self.dir.path().join("server.err")]).collect::<Vec<_>>();
        let processes = self.devices.iter_mut().chain([&mut self.server]).zip(&errors);
        for (process, errors) in processes {
            let ended = process.as_mut().and_then(|process| process.0.try_wait().unwrap());
            let said = || fs::read_to_string(errors).unwrap_or_default();
            assert!(ended.is_none(), "{ended:?}, {}: {}", errors.display(), said());
        }
    }

    fn jobs(&self, campaign: u32) -> Vec<JobHistory> {
        let jobs = self.author.jobs(campaign).unwrap();
        jobs.iter().map(|job| self.author.job(&job.job).unwrap()).collect()
    }

    fn assert_logs_know_one_job(&self, jobs: &[JobHistory]) {
        let mut seen = BTreeSet::new();
        for number in 0..DEVICES {
            let log = read_log(&self.device_dir(number)).unwrap();
            let offered: BTreeSet<_> = log
                .iter()
                .filter_map(|line| match &line.what {
                    Happening::Offered { job, .. } => Some(job.clone()),
                    _ => None,
                })
                .collect();
            assert_eq!(offered.len(), 1, "device {number}: {offered:?}");
            let bad = log.iter().find(|line| {
                matches!(
                    line.what,
                    Happening::RolledBack { .. } | Happening::Refused { .. } | Happening::Fault { .. }
                )
            });
            assert_eq!(bad, None, "device {number}");
            assert!(log.iter().any(|line| matches!(line.what, Happening::Settled { .. })), "device {number}");
            seen.extend(offered);
        }
        assert_eq!(seen, jobs.iter().map(|job| job.job.job.clone()).collect());
    }

    /// Kills every device once more and looks what it comes back with.
    fn assert_each_boots_confirmed(&mut self) {
        for number in 0..DEVICES {
            self.devices[number] = None;
            let boots = |log: Vec<device_sim::Line>| -> Vec<_> {
                let boots = log.into_iter().filter_map(|line| match line.what {
                    Happening::Boot { version, state, .. } => Some((version, state)),
                    _ => None,
                });
                boots.collect()
            };
            let dir = self.device_dir(number);
            let before = boots(read_log(&dir).unwrap()).len();
            self.devices[number] = Some(self.start_device(number));
            let mut now = Vec::new();
            wait_for("device boots", LIMIT, || {
                now = boots(read_log(&dir).unwrap());
                now.len() > before
            });
            assert_eq!(now.last(), Some(&("1.1.0".to_owned(), "Confirmed".to_owned())), "device {number}");
        }
    }
}

fn assert_each_device_confirmed_once(jobs: &[JobHistory]) {
    let devices: BTreeSet<_> = jobs.iter().map(|job| &job.job.device).collect();
    assert_eq!((jobs.len(), devices.len()), (DEVICES, DEVICES), "one job for each device");
    for JobHistory { job, events } in jobs {
        assert_eq!((job.state.as_str(), job.installed_before), ("confirmed", false), "{job:?}");
        // Nothing here asks for a second attempt: no campaign stops, no job fails, and nobody is silent for minutes.
        assert!(job.attempt == 1 && events.iter().all(|event| event.attempt == 1), "{events:?}");
        let confirmed = events.iter().filter(|event| event.what == "confirmed");
        assert_eq!(confirmed.filter(|event| event.seq.is_some()).count(), 1, "{events:?}");
        assert_eq!(events.iter().filter(|event| event.what == "offered").count(), 1, "{events:?}");
    }
}

/// Builds server and device as this test was built, and returns the folder they are in.
fn build_programs() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let programs = this.parent().and_then(Path::parent).unwrap(); // of TARGET/PROFILE/deps/this
    let profile = programs.file_name().and_then(|name| name.to_str()).unwrap();
    let profile = if profile == "debug" { "dev" } else { profile };
    let mut command = Command::new(env!("CARGO"));
    command.args([
        "build",
        "--quiet",
        "-p",
        "linux-server",
        "-p",
        "device-sim",
        "--bins",
        "--profile",
        profile,
    ]);
    // What cargo tells this test of itself is no affair of the programs', and build scripts that look at it would run anew.
    let of_this_test = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    std::env::vars().filter(|(name, _)| of_this_test(name)).for_each(|(name, _)| {
        command.env_remove(name);
    });
    command.arg("--target-dir").arg(programs.parent().unwrap()).current_dir(env!("CARGO_MANIFEST_DIR"));
    assert!(command.status().unwrap().success());
    programs.to_owned()
}

/// A port that is free and stays so while the server is away: not one of those that the system gives to clients, of which
/// there are many here.
fn free_port() -> u16 {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let mut ports = first..32_000;
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}

fn start_server(programs: &Path, dir: &Path, port: u16) -> KilledOnDrop {
    let out = |name| File::options().create(true).append(true).open(dir.join(name)).unwrap();
    let mut command = Command::new(programs.join("ota-server"));
    command.args(["--listen", &format!("127.0.0.1:{port}"), "--poll-interval-ms", "0", "--tick-ms", "50"]);
    command.arg("--data").arg(dir.join("server")).stdin(Stdio::null());
    KilledOnDrop(command.stdout(out("server.out")).stderr(out("server.err")).spawn().unwrap())
}
