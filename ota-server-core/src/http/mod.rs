//! Delivery to devices and the operator's API, over HTTP.
//!
//! Device routes are those of [`ota_manifest::wire::path`]. Operator routes, all with `Authorization: Bearer`:
//!
//! | method and path under `/operator/v1` | body | answer |
//! |---|---|---|
//! | `PUT /images` | the image's bytes | [`api::UploadedImage`] |
//! | `POST /releases` | [`api::NewRelease`] | [`api::ReleaseInfo`] |
//! | `GET /releases` | | list of [`api::ReleaseInfo`] |
//! | `GET /releases/{no}/envelope` | | the signed envelope's bytes |
//! | `POST /campaigns` | [`api::NewCampaign`] | [`api::CampaignInfo`] |
//! | `GET /campaigns`, `GET /campaigns/{no}` | | (list of) [`api::CampaignInfo`] |
//! | `POST /campaigns/{no}/{verb}`: `submit approve pause resume abort` | | [`api::CampaignInfo`] |
//! | `GET /campaigns/{no}/jobs?first=&limit=` | | list of [`api::JobInfo`] |
//! | `GET /jobs/{job}` | | [`api::JobHistory`] |
//! | `POST /devices` | [`api::NewDevice`] | [`api::EnrolledDevice`] |
//! | `GET /devices?first=&limit=` | | list of [`api::DeviceInfo`] |
//! | `DELETE /devices/{device}` | | 204 |
//! | `POST /devices/{device}/ring`: have it ask now | | 202; without a bell 503 |
//! | `POST /trust` | a signed trust document | [`api::AddedTrust`]: 201, or 200 if it was there already |
//! | `GET /trust` | | [`api::TrustChain`] |
//! | `GET /trust/{version}/envelope` | | the signed envelope's bytes |
//! | `GET /audit?after=&limit=` | | list of [`api::AuditInfo`] |
//!
//! What goes wrong is answered with [`api::Problem`] (RFC 9457), which says whose fault it is.

pub mod api;
mod device;
mod info;
mod objects;
mod operator;
mod problem;
mod release;
mod trust;

pub use problem::ApiError;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, header};
use axum::routing::{delete, get, post, put};
use ota_manifest::MAX_TRUST_ENVELOPE_POST_QUANTUM;
use ota_manifest::wire::{MAX_REPORT, path};

use crate::fleet::Fleet;

/// Longest JSON body of an operator, bytes: a campaign may name a hundred thousand devices.
const MAX_JSON: usize = 4 << 20;

/// All routes.
pub fn router(fleet: Fleet) -> Router {
    device_routes(fleet.clone()).merge(operator_routes(fleet))
}

/// What devices use.
pub fn device_routes(fleet: Fleet) -> Router {
    Router::new()
        .route(path::POLL, post(device::poll))
        .route(path::REPORT, post(device::report))
        .route(path::ASK, post(device::ask))
        .layer(DefaultBodyLimit::max(MAX_REPORT))
        .route(path::TRUST_ROUTE, get(trust::deliver))
        .route(path::OBJECT_ROUTE, get(objects::object))
        .with_state(fleet)
}

/// What operators use.
pub fn operator_routes(fleet: Fleet) -> Router {
    let max_image = usize::try_from(fleet.config().max_image).unwrap_or(usize::MAX);
    let api = Router::new()
        .route("/releases", post(release::publish).get(release::list))
        .route("/releases/{no}/envelope", get(release::envelope))
        .route("/campaigns", post(operator::create).get(operator::campaigns))
        .route("/campaigns/{no}", get(operator::campaign))
        .route("/campaigns/{no}/jobs", get(operator::jobs))
        .route("/campaigns/{no}/{verb}", post(operator::command))
        .route("/jobs/{job}", get(operator::job))
        .route("/devices", post(operator::enrol).get(operator::devices))
        .route("/devices/{device}", delete(operator::remove))
        .route("/devices/{device}/ring", post(operator::ring))
        .route("/audit", get(operator::audit))
        .route("/trust/{version}/envelope", get(trust::envelope))
        .layer(DefaultBodyLimit::max(MAX_JSON))
        .route(
            "/trust",
            post(trust::add).get(trust::list).layer(DefaultBodyLimit::max(MAX_TRUST_ENVELOPE_POST_QUANTUM)),
        )
        .route("/images", put(operator::upload).layer(DefaultBodyLimit::max(max_image)))
        .with_state(fleet);
    Router::new().nest("/operator/v1", api)
}

/// The bearer token of a request.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
