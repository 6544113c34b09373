//! Errors as answers: whose fault it is decides the status.

use alloc::format;
use alloc::string::{String, ToString};

use axum::Json;
use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::api::Problem;
use crate::error::CommandError;
use crate::fleet::{FleetError, PublishError, TrustRefused};

/// An operator's request that was not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    fault: &'static str,
    detail: String,
}

impl ApiError {
    /// The request cannot be understood.
    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, fault: "operator", detail: detail.into() }
    }

    /// There is no such thing.
    pub(super) fn not_found(what: &str) -> Self {
        Self { status: StatusCode::NOT_FOUND, fault: "operator", detail: format!("there is no such {what}") }
    }

    /// No token, or an unknown one.
    pub(super) fn unauthorized() -> Self {
        let detail = "send `Authorization: Bearer` with an operator's token".into();
        Self { status: StatusCode::UNAUTHORIZED, fault: "operator", detail }
    }

    fn rejected(status: StatusCode, detail: String) -> Self {
        Self { status, fault: "operator", detail }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = Problem {
            r#type: "about:blank".into(),
            title: self.status.canonical_reason().unwrap_or("error").into(),
            status: self.status.as_u16(),
            detail: self.detail,
            fault: self.fault.into(),
        };
        let mut response = (self.status, Json(problem)).into_response();
        let media = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, media);
        if self.status == StatusCode::UNAUTHORIZED {
            turn_away(response.headers_mut());
        }
        response
    }
}

/// Headers of an answer to a stranger. His body was not read, so the connection ends, and is told to: a client that took it for
/// its next request would find it closed.
pub(super) fn turn_away(headers: &mut HeaderMap) {
    headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
}

impl From<FleetError> for ApiError {
    fn from(error: FleetError) -> Self {
        let (status, fault) = match &error {
            FleetError::Command(error) => (command_status(error), "operator"),
            FleetError::Publish(PublishError::Damaged(_)) => (StatusCode::CONFLICT, "storage"),
            FleetError::Publish(error) if error.is_signers_fault() => (StatusCode::BAD_GATEWAY, "signer"),
            FleetError::Publish(_) => (StatusCode::UNPROCESSABLE_ENTITY, "operator"),
            FleetError::Trust(TrustRefused::Contradicts(_)) => (StatusCode::CONFLICT, "operator"),
            FleetError::Trust(_) => (StatusCode::UNPROCESSABLE_ENTITY, "operator"),
            FleetError::Freshness(_) => (StatusCode::BAD_GATEWAY, "signer"),
            FleetError::Store(_) | FleetError::Artifact(_) => (StatusCode::SERVICE_UNAVAILABLE, "storage"),
            FleetError::Notify(_) => (StatusCode::SERVICE_UNAVAILABLE, "bell"),
            FleetError::Random(_) | FleetError::Keys(_) | FleetError::ShuttingDown => {
                (StatusCode::SERVICE_UNAVAILABLE, "server")
            }
        };
        if status.is_server_error() {
            tracing::error!(%error, fault, "an operator's request failed");
        }
        Self { status, fault, detail: error.to_string() }
    }
}

fn command_status(error: &CommandError) -> StatusCode {
    match error {
        CommandError::NeedsRole(_) | CommandError::OwnCampaign => StatusCode::FORBIDDEN,
        CommandError::NoCampaign(_) | CommandError::NoDevice => StatusCode::NOT_FOUND,
        CommandError::WrongState { .. }
        | CommandError::EnrolledAlready
        | CommandError::ApprovedAlready
        | CommandError::OrderNotRising(_)
        | CommandError::TrustNotNext(_) => StatusCode::CONFLICT,
        CommandError::NoRelease(_)
        | CommandError::Plan(_)
        | CommandError::NobodyTargeted
        | CommandError::BadName => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

impl From<JsonRejection> for ApiError {
    fn from(error: JsonRejection) -> Self {
        Self::rejected(error.status(), error.body_text())
    }
}

impl From<BytesRejection> for ApiError {
    fn from(error: BytesRejection) -> Self {
        Self::rejected(error.status(), error.body_text())
    }
}

impl From<PathRejection> for ApiError {
    fn from(error: PathRejection) -> Self {
        Self::rejected(error.status(), error.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(error: QueryRejection) -> Self {
        Self::rejected(error.status(), error.body_text())
    }
}
