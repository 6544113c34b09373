//! Trust documents: in from operators, out to devices.

use alloc::string::ToString;
use alloc::vec::Vec;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::api::{AddedTrust, PinnedInfo, TrustChain, TrustInfo};
use super::device::{Asker, Refused};
use super::operator::Caller;
use super::problem::ApiError;
use crate::fleet::Fleet;

/// `GET /device/v1/trust/{version}`.
pub(super) async fn deliver(
    State(fleet): State<Fleet>,
    Asker(_): Asker,
    path: Result<Path<u32>, PathRejection>,
) -> Result<Response, Refused> {
    let Path(version) = path.map_err(|_| Refused::malformed())?;
    let found = fleet.look(|engine| engine.trust(version).map(|row| row.envelope.clone()));
    let envelope = found.ok_or(Refused::gone())?;
    let media = HeaderValue::from_static("application/octet-stream");
    Ok(([(header::CONTENT_TYPE, media)], envelope).into_response())
}

/// `POST /operator/v1/trust`.
pub(super) async fn add(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<AddedTrust>), ApiError> {
    let added = fleet.add_trust(&actor, body?.into()).await?;
    let found = fleet.look(|engine| engine.trust(added.version).and_then(TrustInfo::of));
    let document = found.ok_or_else(|| ApiError::not_found("trust document"))?;
    let status = if added.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(AddedTrust { document, is_new: added.is_new, is_fresh: added.is_fresh })))
}

/// `GET /operator/v1/trust`.
pub(super) async fn list(State(fleet): State<Fleet>, _: Caller) -> Result<Json<TrustChain>, ApiError> {
    let (documents, census) = fleet
        .look(|engine| (engine.trust_chain().filter_map(TrustInfo::of).collect(), engine.trust_census()));
    let pinned = fleet.pinned_trust();
    let pinned = (!pinned.roots.is_empty()).then(|| PinnedInfo {
        version: pinned.terms.version,
        roots: pinned.roots.iter().map(ToString::to_string).collect::<Vec<_>>(),
        root_threshold: pinned.terms.thresholds.root.max(1),
    });
    let unknown = census.get(&None).copied().unwrap_or_default();
    let devices = census.into_iter().filter_map(|(version, count)| Some((version?, count))).collect();
    Ok(Json(TrustChain { pinned, documents, devices, unknown }))
}

/// `GET /operator/v1/trust/{version}/envelope`: the signed bytes, as devices get them.
pub(super) async fn envelope(
    State(fleet): State<Fleet>,
    _: Caller,
    path: Result<Path<u32>, PathRejection>,
) -> Result<Vec<u8>, ApiError> {
    let version = path?.0;
    let found = fleet.look(|engine| engine.trust(version).map(|row| row.envelope.clone()));
    found.ok_or_else(|| ApiError::not_found("trust document"))
}
