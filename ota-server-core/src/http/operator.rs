//! The operator's handlers.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;
use core::str::FromStr;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use ota_manifest::JobId;
use serde::Deserialize;

use super::api::{
    AuditInfo, CampaignInfo, DeviceInfo, EnrolledDevice, JobHistory, JobInfo, NewCampaign, NewDevice,
    UploadedImage,
};
use super::bearer;
use super::problem::ApiError;
use crate::campaign::{CampaignNo, Target};
use crate::fleet::Fleet;
use crate::operator::{Actor, Command};
use crate::release::ReleaseNo;
use crate::store::MAX_PAGE;

type Answer<T> = Result<Json<T>, ApiError>;
type Made<T> = Result<(StatusCode, Json<T>), ApiError>;

/// Which part of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Page {
    first: u32,
    after: u64,
    limit: Option<u32>,
}

impl Page {
    fn limit(&self) -> u32 {
        self.limit.unwrap_or(MAX_PAGE).min(MAX_PAGE)
    }
}

/// Who is asking. Stands before the body in a handler, so that a stranger's body is not even read.
pub(super) struct Caller(pub(super) Actor);

impl FromRequestParts<Fleet> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, fleet: &Fleet) -> Result<Self, ApiError> {
        let actor = bearer(&parts.headers).and_then(|token| fleet.operator(token));
        actor.map(Self).ok_or_else(ApiError::unauthorized)
    }
}

/// A field of a request as a value.
pub(super) fn parsed<T: FromStr<Err: Display>>(text: &str, field: &str) -> Result<T, ApiError> {
    text.parse().map_err(|error| ApiError::bad_request(format!("{field}: {error}")))
}

pub(super) async fn upload(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    body: Result<Bytes, BytesRejection>,
) -> Made<UploadedImage> {
    let blob = fleet.upload(&actor, body?.into()).await?;
    Ok((StatusCode::CREATED, Json(UploadedImage { sha256: blob.digest.to_string(), size: blob.size })))
}

pub(super) async fn create(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    body: Result<Json<NewCampaign>, JsonRejection>,
) -> Made<CampaignInfo> {
    let new = body?.0;
    let target = match new.devices {
        None => Target::All,
        Some(ids) => {
            Target::Devices(ids.iter().map(|id| parsed(id, "devices")).collect::<Result<_, ApiError>>()?)
        }
    };
    let no = fleet.create_campaign(&actor, new.name, ReleaseNo(new.release), new.plan, target).await?;
    Ok((StatusCode::CREATED, Json(campaign_info(&fleet, no)?)))
}

pub(super) async fn campaigns(State(fleet): State<Fleet>, _: Caller) -> Answer<Vec<CampaignInfo>> {
    let views =
        fleet.look(|engine| engine.campaigns().filter_map(|no| engine.campaign(no)).collect::<Vec<_>>());
    Ok(Json(views.into_iter().map(CampaignInfo::from).collect()))
}

pub(super) async fn campaign(
    State(fleet): State<Fleet>,
    _: Caller,
    path: Result<Path<u32>, PathRejection>,
) -> Answer<CampaignInfo> {
    Ok(Json(campaign_info(&fleet, CampaignNo(path?.0))?))
}

fn campaign_info(fleet: &Fleet, no: CampaignNo) -> Result<CampaignInfo, ApiError> {
    let view = fleet.look(|engine| engine.campaign(no));
    view.map(CampaignInfo::from).ok_or_else(|| ApiError::not_found("campaign"))
}

pub(super) async fn command(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    path: Result<Path<(u32, String)>, PathRejection>,
) -> Answer<CampaignInfo> {
    let Path((no, verb)) = path?;
    let no = CampaignNo(no);
    let command = match verb.as_str() {
        "submit" => Command::Submit(no),
        "approve" => Command::Approve(no),
        "pause" => Command::Pause(no),
        "resume" => Command::Resume(no),
        "abort" => Command::Abort(no),
        _ => return Err(ApiError::not_found("verb; there are submit, approve, pause, resume and abort")),
    };
    fleet.command(&actor, command).await?;
    Ok(Json(campaign_info(&fleet, no)?))
}

pub(super) async fn jobs(
    State(fleet): State<Fleet>,
    _: Caller,
    path: Result<Path<u32>, PathRejection>,
    page: Result<Query<Page>, QueryRejection>,
) -> Answer<Vec<JobInfo>> {
    let (no, page) = (CampaignNo(path?.0), page?.0);
    campaign_info(&fleet, no)?;
    let rows = fleet.look(|engine| engine.jobs(no, page.first, page.limit()));
    Ok(Json(rows.into_iter().map(JobInfo::from).collect()))
}

pub(super) async fn job(
    State(fleet): State<Fleet>,
    _: Caller,
    path: Result<Path<String>, PathRejection>,
) -> Answer<JobHistory> {
    let id: JobId = parsed(&path?.0, "job")?;
    let row = fleet.look(|engine| engine.job(id)).ok_or_else(|| ApiError::not_found("job"))?;
    let events = fleet.timeline(id).await?;
    Ok(Json(JobHistory { job: row.into(), events: events.into_iter().map(Into::into).collect() }))
}

pub(super) async fn enrol(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    body: Result<Json<NewDevice>, JsonRejection>,
) -> Made<EnrolledDevice> {
    let new = body?.0;
    let device = new.device.as_deref().map(|id| parsed(id, "device")).transpose()?;
    let (device, token) = fleet.enrol(&actor, device, new.name).await?;
    let enrolled = EnrolledDevice { device: device.to_string(), token: token.expose().into() };
    Ok((StatusCode::CREATED, Json(enrolled)))
}

pub(super) async fn devices(
    State(fleet): State<Fleet>,
    _: Caller,
    page: Result<Query<Page>, QueryRejection>,
) -> Answer<Vec<DeviceInfo>> {
    let page = page?.0;
    let (first, limit) = (page.first as usize, page.limit() as usize);
    Ok(Json(fleet.look(|engine| engine.devices().skip(first).take(limit).map(DeviceInfo::from).collect())))
}

pub(super) async fn remove(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    path: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    fleet.command(&actor, Command::Remove(parsed(&path?.0, "device")?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn ring(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    path: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    fleet.ring_for(&actor, parsed(&path?.0, "device")?).await?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn audit(
    State(fleet): State<Fleet>,
    _: Caller,
    page: Result<Query<Page>, QueryRejection>,
) -> Answer<Vec<AuditInfo>> {
    let page = page?.0;
    let rows = fleet.audit(page.after, page.limit()).await?;
    Ok(Json(rows.into_iter().map(AuditInfo::from).collect()))
}
