//! The operator's API from the other side. Blocking; call it from a thread that may wait.

use std::time::Duration;

use ota_server_core::http::api::{
    AddedTrust, AuditInfo, CampaignInfo, DeviceInfo, EnrolledDevice, JobHistory, JobInfo, NewCampaign,
    NewDevice, NewImage, NewRelease, Problem, ReleaseInfo, TrustChain, UploadedImage,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use ureq::http::{Method, Request};

/// Longest answer that is read, bytes.
const MAX_ANSWER: u64 = 64 << 20;

/// How many rows a list is fetched in at a time.
const PAGE: usize = 1000;

/// An operator of a server.
#[derive(Debug, Clone)]
pub struct OperatorClient {
    base: String,
    authorization: String,
    agent: ureq::Agent,
}

/// What can be done to a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Fix its devices and ask for approval.
    Submit,
    /// Consent to it.
    Approve,
    /// Hold it.
    Pause,
    /// Let it go on.
    Resume,
    /// End it.
    Abort,
}

impl Verb {
    const fn name(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Approve => "approve",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Abort => "abort",
        }
    }
}

/// Why the server did not do it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server said no.
    #[error("{} ({}, fault: {})", .0.detail, .0.status, .0.fault)]
    Refused(Problem),
    /// The server could not be reached, or did not speak this language.
    #[error("no answer from the server: {0}")]
    Transport(String),
}

impl OperatorClient {
    /// An operator with this token of the server at `base`, such as `http://127.0.0.1:8080`.
    #[must_use]
    pub fn new(base: &str, token: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        Self {
            base: base.trim_end_matches('/').into(),
            authorization: format!("Bearer {token}"),
            agent: config.into(),
        }
    }

    /// Uploads an image.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn upload(&self, image: &[u8]) -> Result<UploadedImage, ClientError> {
        self.call(Method::PUT, "/images", image.to_vec())
    }

    /// Signs and publishes a release.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn publish(&self, release: &NewRelease) -> Result<ReleaseInfo, ClientError> {
        self.call(Method::POST, "/releases", json(release)?)
    }

    /// Uploads `images`, each linked for an address, and publishes `release` with them in place of its own.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn release<'i>(
        &self,
        images: impl IntoIterator<Item = (&'i [u8], u32)>,
        release: NewRelease,
    ) -> Result<ReleaseInfo, ClientError> {
        let kept = images.into_iter().map(|(bytes, link_address)| {
            self.upload(bytes).map(|kept| NewImage { sha256: kept.sha256, link_address })
        });
        self.publish(&NewRelease { images: kept.collect::<Result<_, _>>()?, ..release })
    }

    /// All releases, the oldest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn releases(&self) -> Result<Vec<ReleaseInfo>, ClientError> {
        self.call(Method::GET, "/releases", Vec::new())
    }

    /// The signed envelope of a release, as devices get it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn envelope(&self, release: u32) -> Result<Vec<u8>, ClientError> {
        self.send(Method::GET, &format!("/releases/{release}/envelope"), Vec::new())
    }

    /// Drafts a campaign.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn create_campaign(&self, campaign: &NewCampaign) -> Result<CampaignInfo, ClientError> {
        self.call(Method::POST, "/campaigns", json(campaign)?)
    }

    /// Does something to a campaign.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn command(&self, campaign: u32, verb: Verb) -> Result<CampaignInfo, ClientError> {
        self.call(Method::POST, &format!("/campaigns/{campaign}/{}", verb.name()), Vec::new())
    }

    /// A campaign and its counters.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn campaign(&self, campaign: u32) -> Result<CampaignInfo, ClientError> {
        self.call(Method::GET, &format!("/campaigns/{campaign}"), Vec::new())
    }

    /// All campaigns, the oldest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn campaigns(&self) -> Result<Vec<CampaignInfo>, ClientError> {
        self.call(Method::GET, "/campaigns", Vec::new())
    }

    /// All jobs of a campaign, in the order of their ranks.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn jobs(&self, campaign: u32) -> Result<Vec<JobInfo>, ClientError> {
        self.pages(&format!("/campaigns/{campaign}/jobs"))
    }

    /// A job and everything that happened to it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn job(&self, job: &str) -> Result<JobHistory, ClientError> {
        self.call(Method::GET, &format!("/jobs/{job}"), Vec::new())
    }

    /// Enrols a device.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn enrol(&self, device: &NewDevice) -> Result<EnrolledDevice, ClientError> {
        self.call(Method::POST, "/devices", json(device)?)
    }

    /// All devices, in the order of their enrolment.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn devices(&self) -> Result<Vec<DeviceInfo>, ClientError> {
        self.pages("/devices")
    }

    /// Takes a device out.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn remove(&self, device: &str) -> Result<(), ClientError> {
        self.send(Method::DELETE, &format!("/devices/{device}"), Vec::new()).map(|_| ())
    }

    /// Tells a device to ask now.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn ring(&self, device: &str) -> Result<(), ClientError> {
        self.send(Method::POST, &format!("/devices/{device}/ring"), Vec::new()).map(|_| ())
    }

    /// Takes a signed trust document into the chain.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn add_trust(&self, envelope: &[u8]) -> Result<AddedTrust, ClientError> {
        self.call(Method::POST, "/trust", envelope.to_vec())
    }

    /// The trust documents, and how many devices are at which version.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn trust(&self) -> Result<TrustChain, ClientError> {
        self.call(Method::GET, "/trust", Vec::new())
    }

    /// The signed envelope of a trust document, as devices get it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn trust_envelope(&self, version: u32) -> Result<Vec<u8>, ClientError> {
        self.send(Method::GET, &format!("/trust/{version}/envelope"), Vec::new())
    }

    /// Audit rows after number `after`, at most a thousand.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn audit(&self, after: u64) -> Result<Vec<AuditInfo>, ClientError> {
        self.call(Method::GET, &format!("/audit?after={after}"), Vec::new())
    }

    fn pages<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, ClientError> {
        let mut rows = Vec::new();
        loop {
            let path = format!("{path}?first={}&limit={PAGE}", rows.len());
            let page: Vec<T> = self.call(Method::GET, &path, Vec::new())?;
            let full = page.len() == PAGE;
            rows.extend(page);
            if !full {
                return Ok(rows);
            }
        }
    }

    fn call<T: DeserializeOwned>(&self, method: Method, path: &str, body: Vec<u8>) -> Result<T, ClientError> {
        let bytes = self.send(method, path, body)?;
        serde_json::from_slice(&bytes).map_err(transport)
    }

    fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Vec<u8>, ClientError> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/operator/v1{path}", self.base))
            .header("authorization", &self.authorization)
            .header("content-type", "application/json")
            .body(body)
            .map_err(transport)?;
        let mut response = self.agent.run(request).map_err(transport)?;
        let bytes = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().map_err(transport)?;
        if response.status().is_success() {
            return Ok(bytes);
        }
        let problem = serde_json::from_slice(&bytes);
        Err(problem
            .map_or_else(|_| ClientError::Transport(response.status().to_string()), ClientError::Refused))
    }
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, ClientError> {
    serde_json::to_vec(value).map_err(transport)
}

fn transport(error: impl std::fmt::Display) -> ClientError {
    ClientError::Transport(error.to_string())
}
