//! Polls, reports and questions: postcard in, postcard out.

use alloc::vec::Vec;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ota_manifest::DeviceId;
use ota_manifest::wire::path::MEDIA_TYPE;
use ota_manifest::wire::{Down, Refusal, Up, decode};

use super::bearer;
use super::problem::turn_away;
use crate::auth::Credential;
use crate::engine::Answer;
use crate::fleet::{Fleet, FleetError, Reply, STORAGE_PAUSE_MS, down_bytes};

/// `POST /device/v1/poll`.
pub(super) async fn poll(
    State(fleet): State<Fleet>,
    Asker(device): Asker,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    match decode(&body.map_err(|_| Refused::malformed())?) {
        Ok(Up::Poll(poll)) => Ok(answer(&fleet.poll(device, &poll).await?)),
        _ => Err(Refused::malformed()),
    }
}

/// `POST /device/v1/report`.
pub(super) async fn report(
    State(fleet): State<Fleet>,
    Asker(device): Asker,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    match decode(&body.map_err(|_| Refused::malformed())?) {
        Ok(Up::Report(report)) => Ok(answer(&fleet.report(device, &report).await?)),
        _ => Err(Refused::malformed()),
    }
}

/// `POST /device/v1/ask`.
pub(super) async fn ask(
    State(fleet): State<Fleet>,
    Asker(device): Asker,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    match decode(&body.map_err(|_| Refused::malformed())?) {
        Ok(Up::Ask(question)) => Ok(answer(&fleet.ask(device, &question).await?)),
        _ => Err(Refused::malformed()),
    }
}

/// Which device is asking. Stands before the body in a handler, so that a stranger's body is not even read.
pub(super) struct Asker(pub(super) DeviceId);

impl FromRequestParts<Fleet> for Asker {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, fleet: &Fleet) -> Result<Self, Refused> {
        let token = bearer(&parts.headers).ok_or(Refused::unknown())?;
        fleet.device(Credential::Bearer(token)).map(Self).ok_or(Refused::unknown())
    }
}

fn answer(reply: &Reply) -> Response {
    let status = match reply.answer() {
        Answer::Refused(Refusal::Gone) => StatusCode::GONE,
        Answer::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Answer::Busy { .. } => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::OK,
    };
    message(status, reply.bytes())
}

fn message(status: StatusCode, bytes: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))], bytes).into_response()
}

/// A device's request that was not served. The body is a `Down::Refused`.
pub(super) struct Refused {
    status: StatusCode,
    refusal: Refusal,
    retry_after_ms: u32,
}

impl Refused {
    /// Not a message of this protocol. The device's fault.
    pub(super) const fn malformed() -> Self {
        Self { status: StatusCode::BAD_REQUEST, refusal: Refusal::Malformed, retry_after_ms: 0 }
    }

    /// No device is known by this credential.
    pub(super) const fn unknown() -> Self {
        Self { status: StatusCode::UNAUTHORIZED, refusal: Refusal::Unauthentic, retry_after_ms: 0 }
    }

    /// The job is not this device's, or not in flight, or has no such object.
    pub(super) const fn gone() -> Self {
        Self { status: StatusCode::GONE, refusal: Refusal::Gone, retry_after_ms: 0 }
    }
}

impl From<FleetError> for Refused {
    /// Whatever failed here, it was not the device's fault, and it may try again.
    fn from(error: FleetError) -> Self {
        tracing::error!(%error, "a device was told to try again");
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self { status, refusal: Refusal::Busy, retry_after_ms: STORAGE_PAUSE_MS }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let down = Down::Refused { refusal: self.refusal, retry_after_ms: self.retry_after_ms };
        let mut response = message(self.status, down_bytes(&down));
        if self.status == StatusCode::UNAUTHORIZED {
            turn_away(response.headers_mut());
        }
        response
    }
}
