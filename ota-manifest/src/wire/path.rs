//! Where the conversation lives over HTTP.
//!
//! ```text
//!   POST /device/v1/poll                                      Up::Poll    -> Down
//!   POST /device/v1/report                                    Up::Report  -> Down::Ack, Cancel or Refused
//!   POST /device/v1/ask                                       Up::Ask     -> Down::Fresh or Refused
//!   GET  /device/v1/trust/{version}                           an envelope, whole
//!   GET  /device/v1/jobs/{job}/images/{image}/leaves          Range: bytes=a-b -> 206
//!   GET  /device/v1/jobs/{job}/images/{image}/payload         Range: bytes=a-b -> 206
//! ```
//! Every request carries `Authorization: Bearer <token>`; the token says which device it is.

use core::fmt;

use super::Object;
use crate::JobId;

/// Where a device asks for work.
pub const POLL: &str = "/device/v1/poll";
/// Where a device reports.
pub const REPORT: &str = "/device/v1/report";
/// Where a device asks for freshness.
pub const ASK: &str = "/device/v1/ask";
/// Where trust documents are, with their version behind it in decimal.
pub const TRUST: &str = "/device/v1/trust/";
/// Route pattern of one of them.
pub const TRUST_ROUTE: &str = "/device/v1/trust/{version}";
/// Route pattern of what [`ObjectPath`] prints.
pub const OBJECT_ROUTE: &str = "/device/v1/jobs/{job}/images/{image}/{object}";
/// Media type of the bodies of all posts.
pub const MEDIA_TYPE: &str = "application/vnd.ota.v1+postcard";

/// Path of one object of a job; prints itself.
///
/// ```
/// use ota_manifest::{JobId, wire::{Object, path::ObjectPath}};
/// let path = ObjectPath { job: JobId::new([0xab; 16]), image: 1, object: Object::Leaves };
/// assert_eq!(path.to_string(), format!("/device/v1/jobs/{}/images/1/leaves", "ab".repeat(16)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectPath {
    /// Which job.
    pub job: JobId,
    /// Which image of its manifest.
    pub image: u8,
    /// Which object of that image.
    pub object: Object,
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = match self.object {
            Object::Leaves => "leaves",
            Object::Payload => "payload",
        };
        write!(f, "/device/v1/jobs/{}/images/{}/{object}", self.job, self.image)
    }
}
