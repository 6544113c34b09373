//! A device that speaks the protocol and pretends the rest.
#![allow(
    unreachable_pub,
    dead_code,
    reason = "shared by several test binaries, none of which uses all of it"
)]

use linux_server::{Config, OperatorClient, Running, start};
use ota_manifest::wire::path::{MEDIA_TYPE, ObjectPath, POLL, REPORT};
use ota_manifest::wire::{Down, Object, PROTOCOL, Poll, Refusal, Report, Stage, Up, decode, encode};
use ota_manifest::{Frame, JobId, ManifestId, Order, SecurityVersion, Version};
use ota_manifest::{Role, TrustDraft};
use ota_server_core::http::api::{NewDevice, NewImage, NewRelease};
use ota_server_core::signing::SoftwareSigner;
use ota_server_core::{HaltRule, Outcome, Plan, Wave};
use ota_verify::sign::{Signer, seal_trust};
use ota_verify::{PublicKey, manifest_id};
use ureq::http::{Method, Request, Response};

/// A server and both its operators.
pub struct Rig {
    pub server: Running,
    pub author: OperatorClient,
    pub approver: OperatorClient,
}

impl Rig {
    pub async fn start(folder: &std::path::Path) -> Self {
        Self::start_with(Config::local(folder)).await
    }

    pub async fn start_with(config: Config) -> Self {
        let server = start(config).await.unwrap();
        let author = OperatorClient::new(&server.url(), &server.tokens().author);
        let approver = OperatorClient::new(&server.url(), &server.tokens().approver);
        Self { server, author, approver }
    }
}

/// Runs blocking client code beside the server.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

pub struct Device {
    base: String,
    pub token: String,
    pub poll: Poll,
    pub job: Option<(JobId, u8)>,
    offered: Option<(ManifestId, Order)>,
    seq: u32,
    agent: ureq::Agent,
}

/// What the server said.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    Idle,
    Offer,
    Ack(u32),
    Cancel,
    Refused(Refusal),
}

impl Device {
    pub fn enrol(author: &OperatorClient, base: &str, name: &str) -> Self {
        let enrolled = author.enrol(&NewDevice { device: None, name: name.into() }).unwrap();
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let poll = Poll {
            protocol: PROTOCOL,
            version: Version::new(1, 0, 0),
            order: Order { epoch: 0, sequence: 1 },
            floor: SecurityVersion(0),
            running: ManifestId::new([1; 8]),
            bootloader: 1,
            hardware: 1,
        };
        let agent = config.into();
        Self { base: base.into(), token: enrolled.token, poll, job: None, offered: None, seq: 0, agent }
    }

    /// The server has another address now.
    pub fn move_to(&mut self, base: &str) {
        self.base = base.into();
    }

    pub fn ask(&mut self) -> Said {
        let (_, bytes) = self.post(POLL, &Up::Poll(self.poll));
        self.take(&bytes)
    }

    pub fn report(&mut self, stage: Stage) -> Said {
        self.seq += 1;
        self.repeat(stage)
    }

    /// Sends a report under the last sequence number.
    pub fn repeat(&mut self, stage: Stage) -> Said {
        let (job, attempt) = self.job.unwrap();
        let (_, bytes) = self.post(REPORT, &Up::Report(Report { job, attempt, seq: self.seq, stage }));
        self.take(&bytes)
    }

    /// Everything from accepted to confirmed, with the image really fetched in ranges.
    pub fn install(&mut self, image: &[u8]) {
        assert_eq!(self.report(Stage::Accepted), Said::Ack(self.seq));
        let total = u32::try_from(image.len()).unwrap();
        let mut got = Vec::new();
        while got.len() < image.len() {
            let (status, bytes) =
                self.fetch(Object::Payload, Some(format!("bytes={}-{}", got.len(), got.len() + 4095)));
            assert_eq!(status, 206);
            got.extend(bytes);
            let done = u32::try_from(got.len()).unwrap();
            assert_eq!(self.report(Stage::Downloading { done, total }), Said::Ack(self.seq));
        }
        assert_eq!(got, image);
        for stage in [Stage::Downloaded, Stage::Verified, Stage::PendingBoot, Stage::Testing] {
            assert_eq!(self.report(stage), Said::Ack(self.seq));
        }
    }

    pub fn confirm(&mut self) {
        assert_eq!(self.report(Stage::Confirmed), Said::Ack(self.seq));
        let (manifest, order) = self.offered.unwrap();
        (self.poll.running, self.poll.order) = (manifest, order);
    }

    pub fn fetch(&self, object: Object, range: Option<String>) -> (u16, Vec<u8>) {
        let path = ObjectPath { job: self.job.unwrap().0, image: 0, object };
        let mut request = Request::builder().method(Method::GET).uri(format!("{}{path}", self.base));
        if let Some(range) = range {
            request = request.header("range", range);
        }
        let request = request.header("authorization", format!("Bearer {}", self.token));
        read(self.agent.run(request.body(Vec::new()).unwrap()).unwrap())
    }

    pub fn get(&self, path: &str) -> (u16, Vec<u8>) {
        let request = Request::builder().method(Method::GET).uri(format!("{}{path}", self.base));
        let request = request.header("authorization", format!("Bearer {}", self.token));
        read(self.agent.run(request.body(Vec::new()).unwrap()).unwrap())
    }

    pub fn post(&self, path: &str, up: &Up) -> (u16, Vec<u8>) {
        self.post_bytes(path, encode(up, &mut [0; 256]).unwrap())
    }

    pub fn post_bytes(&self, path: &str, bytes: &[u8]) -> (u16, Vec<u8>) {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", MEDIA_TYPE);
        read(self.agent.run(request.body(bytes.to_vec()).unwrap()).unwrap())
    }

    pub fn take(&mut self, bytes: &[u8]) -> Said {
        match decode::<Down<'_>>(bytes).unwrap() {
            Down::Idle { .. } => Said::Idle,
            Down::Offer { job, attempt, envelope } => {
                let frame = Frame::parse(envelope).unwrap();
                let manifest =
                    ota_manifest::Manifest::decode_unauthenticated(frame.payload_unauthenticated()).unwrap();
                self.offered = Some((manifest_id(&frame), manifest.order));
                self.job = Some((job, attempt));
                Said::Offer
            }
            Down::Ack { seq } => Said::Ack(seq),
            Down::Cancel { .. } => Said::Cancel,
            Down::Refused { refusal, .. } => Said::Refused(refusal),
            other => panic!("not an answer to what was posted: {other:?}"),
        }
    }
}

/// The root that the servers of these tests know.
pub fn root() -> SoftwareSigner {
    SoftwareSigner::from_secret(&[1; 32])
}

/// A trust document signed by the root, for a server with these keys.
pub fn document(version: u32, release: PublicKey, freshness: PublicKey) -> Vec<u8> {
    let mut draft = TrustDraft::new(version);
    draft.thresholds.freshness = 1;
    for (role, key) in
        [(Role::Root, root().public_key()), (Role::Release, release), (Role::Freshness, freshness)]
    {
        draft.keys.push(key.draft(role)).unwrap();
    }
    seal_trust(&draft, &[&root()]).unwrap()
}

fn read(mut response: Response<ureq::Body>) -> (u16, Vec<u8>) {
    let bytes = response.body_mut().read_to_vec().unwrap();
    (response.status().as_u16(), bytes)
}

pub fn image(version: u8) -> Vec<u8> {
    (0u32..20_000).map(|index| u8::try_from(index * 31 % 251).unwrap() ^ version).collect()
}

pub fn release(version: &str, sequence: u32, sha256: &str) -> NewRelease {
    NewRelease {
        version: version.into(),
        epoch: 0,
        sequence,
        security_version: 0,
        vendor: "01".repeat(16),
        class: "02".repeat(16),
        hardware_min: 0,
        hardware_max: u16::MAX,
        min_bootloader: 0,
        confirm_window_s: 900,
        trial_attempts: 3,
        images: vec![NewImage { sha256: sha256.into(), link_address: 0x8000 }],
    }
}

/// One canary, then everybody; one rollback stops it.
pub fn plan() -> Plan {
    Plan {
        waves: vec![Wave::Count(1), Wave::Percent(100)],
        soak_ms: 0,
        halt: vec![HaltRule { outcome: Outcome::RolledBack, permille: 0, min_sample: 1 }],
        ..Plan::default()
    }
}
