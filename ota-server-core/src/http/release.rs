//! Publishing and listing releases.

use alloc::format;
use alloc::vec::Vec;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use ota_manifest::{HardwareRange, ManifestDraft, Order, SecurityVersion};

use super::api::{NewRelease, ReleaseInfo};
use super::operator::{Caller, parsed};
use super::problem::ApiError;
use crate::clock::UnixMs;
use crate::fleet::{Fleet, ImageDraftRef, ReleaseDraft};
use crate::release::ReleaseNo;

/// `POST /operator/v1/releases`.
pub(super) async fn publish(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    body: Result<Json<NewRelease>, JsonRejection>,
) -> Result<(StatusCode, Json<ReleaseInfo>), ApiError> {
    let draft = draft(&body?.0, fleet.time())?;
    let no = fleet.publish(&actor, draft).await?;
    Ok((StatusCode::CREATED, Json(info(&fleet, no)?)))
}

/// `GET /operator/v1/releases`.
pub(super) async fn list(State(fleet): State<Fleet>, _: Caller) -> Result<Json<Vec<ReleaseInfo>>, ApiError> {
    Ok(Json(fleet.look(|engine| engine.releases().map(ReleaseInfo::from).collect())))
}

/// `GET /operator/v1/releases/{no}/envelope`: the signed bytes, for the factory and for whoever wants to check them.
pub(super) async fn envelope(
    State(fleet): State<Fleet>,
    _: Caller,
    path: Result<Path<u32>, PathRejection>,
) -> Result<Vec<u8>, ApiError> {
    let no = ReleaseNo(path?.0);
    let found = fleet.look(|engine| engine.release(no).map(|release| release.envelope.clone()));
    found.ok_or_else(|| ApiError::not_found("release"))
}

fn info(fleet: &Fleet, no: ReleaseNo) -> Result<ReleaseInfo, ApiError> {
    let found = fleet.look(|engine| engine.release(no).map(ReleaseInfo::from));
    found.ok_or_else(|| ApiError::not_found("release"))
}

fn draft(new: &NewRelease, now: UnixMs) -> Result<ReleaseDraft, ApiError> {
    let (vendor, class) = (parsed(&new.vendor, "vendor")?, parsed(&new.class, "class")?);
    let mut manifest = ManifestDraft::new(vendor, class, parsed(&new.version, "version")?);
    manifest.order = Order { epoch: new.epoch, sequence: new.sequence };
    manifest.security_version = SecurityVersion(new.security_version);
    manifest.hardware = HardwareRange::new(new.hardware_min, new.hardware_max)
        .map_err(|error| ApiError::bad_request(format!("hardware: {error}")))?;
    manifest.min_bootloader = new.min_bootloader;
    manifest.confirm_window_s = new.confirm_window_s;
    manifest.trial_attempts = new.trial_attempts;
    manifest.issued = now.0 / 1000;
    let images = new.images.iter().map(|image| {
        Ok(ImageDraftRef { digest: parsed(&image.sha256, "sha256")?, link_address: image.link_address })
    });
    Ok(ReleaseDraft { manifest, images: images.collect::<Result<_, ApiError>>()? })
}
