//! The server, the two operators at it, and what they see there.

use std::path::Path;

use anyhow::{Context, Result};
use linux_server::{Config, OperatorClient, Running, Verb, start};
use ota_server_core::http::api::{
    CampaignInfo, DeviceInfo, JobInfo, NewCampaign, NewDevice, NewRelease, ReleaseInfo,
};
use ota_server_core::{Gate, HaltRule, Outcome, Plan, Wave};
use provision::Image;
use tokio::runtime::Runtime;

use crate::DemoKeys;
use crate::firmware::{link_address, version};

/// A server with its operators.
pub(crate) struct Operators {
    server: Running,
    /// Writes releases and campaigns.
    author: OperatorClient,
    /// Approves them; nobody approves his own.
    approver: OperatorClient,
    /// The campaign that is looked at.
    watched: Option<Watched>,
}

/// A campaign of one device, and what was seen of it last.
#[derive(Default)]
struct Watched {
    campaign: u32,
    state: String,
    job: String,
}

/// A look at a campaign.
pub(crate) struct Look {
    pub(crate) campaign: CampaignInfo,
    /// `None` while it is not running.
    pub(crate) job: Option<JobInfo>,
    /// What has changed since the last one, in words.
    pub(crate) news: Vec<String>,
}

impl Operators {
    /// Starts a server that signs with these keys.
    pub(crate) fn open(runtime: &Runtime, data: &Path, keys: &DemoKeys) -> Result<Self> {
        keys.give(data)?;
        let mut config = Config::local(data);
        config.trust.root_keys = vec![keys.root()];
        let server = runtime.block_on(start(config))?;
        let author = OperatorClient::new(&server.url(), &server.tokens().author);
        let approver = OperatorClient::new(&server.url(), &server.tokens().approver);
        Ok(Self { server, author, approver, watched: None })
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// Has release `number` signed and published.
    pub(crate) fn publish(&self, number: u16, image: &Image) -> Result<ReleaseInfo> {
        let release = NewRelease {
            version: version(number).to_string(),
            epoch: 0,
            sequence: number.into(),
            security_version: 0,
            vendor: layout::VENDOR.to_string(),
            class: layout::CLASS.to_string(),
            hardware_min: layout::HARDWARE,
            hardware_max: layout::HARDWARE,
            min_bootloader: layout::BOOTLOADER_VERSION,
            confirm_window_s: 300,
            trial_attempts: 3,
            images: Vec::new(),
        };
        Ok(self.author.release([(image.bytes.as_slice(), link_address(image))], release)?)
    }

    /// The signed manifest of a release.
    pub(crate) fn envelope(&self, release: u32) -> Result<Vec<u8>> {
        Ok(self.author.envelope(release)?)
    }

    /// Enrols the board; its token.
    pub(crate) fn enrol(&self, device: &str, name: &str) -> Result<String> {
        Ok(self.author.enrol(&NewDevice { device: Some(device.into()), name: name.into() })?.token)
    }

    /// Drafts, submits and approves a campaign, and watches it from now on. Its number.
    pub(crate) fn roll_out(&mut self, release: &ReleaseInfo) -> Result<u32> {
        let plan = Plan {
            waves: vec![Wave::Percent(100)],
            gate: Gate { permille: 1000, min_sample: 1 },
            soak_ms: 0,
            halt: vec![HaltRule { outcome: Outcome::RolledBack, permille: 0, min_sample: 1 }],
            approvals: 1,
            ..Plan::default()
        };
        let name = format!("{} to the desk", release.version);
        let draft = NewCampaign { name, release: release.release, plan, devices: None };
        let campaign = self.author.create_campaign(&draft)?.campaign;
        self.author.command(campaign, Verb::Submit)?;
        self.approver.command(campaign, Verb::Approve)?;
        self.watched = Some(Watched { campaign, ..Watched::default() });
        Ok(campaign)
    }

    /// Looks at the campaign, if there is one.
    pub(crate) fn look(&mut self) -> Result<Option<Look>> {
        let Some(watched) = &mut self.watched else { return Ok(None) };
        let number = watched.campaign;
        // The job first: a campaign that ends in between shows a job that has ended next time.
        let job = self.author.jobs(number)?.into_iter().next();
        let campaign = self.author.campaign(number)?;
        let mut news = Vec::new();
        if let Some(job) = &job {
            let words = described(job);
            if watched.job != words {
                news.push(format!("job: {words}"));
                watched.job = words;
            }
        }
        if watched.state != campaign.state {
            watched.state.clone_from(&campaign.state);
            let why = campaign.halt_reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            news.push(format!("campaign {number} {}{why}", campaign.state));
        }
        Ok(Some(Look { campaign, job, news }))
    }

    /// What the server knows of the board.
    pub(crate) fn device(&self) -> Result<DeviceInfo> {
        self.author.devices()?.into_iter().next().context("the board is not enrolled")
    }

    pub(crate) fn stop(self, runtime: &Runtime) -> Result<()> {
        runtime.block_on(self.server.stop())
    }
}

/// Where a job stands.
fn described(job: &JobInfo) -> String {
    let mut words = job.state.replace('_', " ");
    if let Some(reason) = &job.reason {
        words += &format!(", reason {reason}");
    }
    if let Some(cause) = &job.cause {
        words += &format!(", last reset {cause}");
    }
    if let Some(boots) = job.boots {
        words += &format!(", after {boots} boot(s)");
    }
    words
}
