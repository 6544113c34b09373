//! Images and leaf lists, whole or in one range.

use alloc::format;
use alloc::string::String;
use core::ops::Range;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ota_manifest::JobId;
use ota_manifest::wire::Object;

use super::device::{Asker, Refused};
use crate::fleet::Fleet;

/// `GET /device/v1/jobs/{job}/images/{image}/{object}`, with at most one range.
pub(super) async fn object(
    State(fleet): State<Fleet>,
    Asker(device): Asker,
    headers: HeaderMap,
    path: Result<Path<(String, u8, String)>, PathRejection>,
) -> Result<Response, Refused> {
    let Path((job, image, object)) = path.map_err(|_| Refused::malformed())?;
    let job: JobId = job.parse().map_err(|_| Refused::malformed())?;
    let object = match object.as_str() {
        "leaves" => Object::Leaves,
        "payload" => Object::Payload,
        _ => return Err(Refused::malformed()),
    };
    let blob = fleet.object(device, job, image, object).ok_or(Refused::gone())?.blob;
    let wanted = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let (status, range) = match wanted.map_or(Wanted::Everything, |text| parse_range(text, blob.size)) {
        Wanted::Everything => (StatusCode::OK, 0..blob.size),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Nothing => return Ok(unsatisfiable(blob.size)),
    };
    let bytes = fleet.serve(device, job, blob, range.clone()).await?;
    let mut response = (status, bytes).into_response();
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    fields.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if status == StatusCode::PARTIAL_CONTENT {
        insert_content_range(fields, &format!("bytes {}-{}/{}", range.start, range.end - 1, blob.size));
    }
    Ok(response)
}

fn unsatisfiable(size: u64) -> Response {
    let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
    insert_content_range(response.headers_mut(), &format!("bytes */{size}"));
    response
}

fn insert_content_range(fields: &mut HeaderMap, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        fields.insert(header::CONTENT_RANGE, value);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// No range, or one that RFC 9110 lets a server ignore: another unit, several ranges, nonsense.
    Everything,
    Part(Range<u64>),
    /// A range that starts behind the end.
    Nothing,
}

fn parse_range(text: &str, size: u64) -> Wanted {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Wanted::Everything;
    };
    let (first, last) = (number(first), number(last));
    let range = match (first, last) {
        (Ok(Some(first)), Ok(Some(last))) if first <= last => first..last.saturating_add(1).min(size),
        (Ok(Some(first)), Ok(None)) => first..size,
        (Ok(None), Ok(Some(suffix))) => size.saturating_sub(suffix)..size,
        _ => return Wanted::Everything,
    };
    if range.is_empty() { Wanted::Nothing } else { Wanted::Part(range) }
}

fn number(text: &str) -> Result<Option<u64>, ()> {
    let text = text.trim();
    match text {
        "" => Ok(None),
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().map(Some).map_err(|_| ()),
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_cut_to_the_object_and_nonsense_is_ignored() {
        assert_eq!(parse_range("bytes=0-0", 10), Wanted::Part(0..1));
        assert_eq!(parse_range("bytes=4-99", 10), Wanted::Part(4..10));
        assert_eq!(parse_range("bytes=4-", 10), Wanted::Part(4..10));
        assert_eq!(parse_range("bytes=-3", 10), Wanted::Part(7..10));
        assert_eq!(parse_range("bytes=-30", 10), Wanted::Part(0..10));
        assert_eq!(parse_range("bytes=0-18446744073709551615", 10), Wanted::Part(0..10));
        assert_eq!(parse_range("bytes=10-", 10), Wanted::Nothing);
        assert_eq!(parse_range("bytes=10-12", 10), Wanted::Nothing);
        assert_eq!(parse_range("bytes=-0", 10), Wanted::Nothing);
        for text in [
            "bytes=5-4",
            "bytes=0-1,3-4",
            "bytes=-",
            "bytes=+1-2",
            "lines=1-2",
            "bytes=99999999999999999999-",
        ] {
            assert_eq!(parse_range(text, 10), Wanted::Everything, "{text}");
        }
    }
}
