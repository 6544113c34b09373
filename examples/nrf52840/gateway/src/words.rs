//! Messages in words.

use ota_manifest::wire::{Down, Object, Refusal, Stage, Up};

use crate::download::offered_version;

pub(crate) fn asked(up: &Up) -> String {
    match up {
        Up::Poll(poll) => format!("runs {} and asks for work", poll.version),
        Up::Report(report) => format!("reports: {}", stage(&report.stage)),
        Up::Fetch(fetch) => {
            let what = match fetch.object {
                Object::Leaves => "hashes",
                Object::Payload => "chunks",
            };
            let last = fetch.first.saturating_add(fetch.count.into()).saturating_sub(1);
            format!("wants {what} {} to {last}", fetch.first)
        }
        Up::Ask(_) => "asks what time it is".into(),
        Up::Trust { version } => format!("wants trust document {version}"),
    }
}

pub(crate) fn answered(down: &Down<'_>) -> String {
    match down {
        Down::Idle { retry_after_ms: 0 } => "nothing to do".into(),
        Down::Idle { retry_after_ms } => {
            format!("nothing to do, ask again in {} s", seconds(*retry_after_ms))
        }
        Down::Offer { job, attempt, envelope } => match offered_version(envelope) {
            Some(version) => format!("offer of {version}, job {job}, attempt {attempt}"),
            None => format!("offer that cannot be read, job {job}, attempt {attempt}"),
        },
        Down::Ack { .. } => "stored".into(),
        Down::Chunk { bytes, .. } => format!("{} bytes of it", bytes.len()),
        Down::Cancel { job } => format!("give job {job} up"),
        Down::Refused { refusal, retry_after_ms: 0 } => refused(*refusal),
        Down::Refused { refusal, retry_after_ms } => {
            format!("{}, ask again in {} s", refused(*refusal), seconds(*retry_after_ms))
        }
        Down::Fresh { .. } => "the time, signed".into(),
        Down::Trust { .. } => "the document".into(),
        Down::Ring => "ask for work".into(),
    }
}

/// Whole seconds, not fewer than it says.
fn seconds(ms: u32) -> u32 {
    ms.div_ceil(1000)
}

fn refused(refusal: Refusal) -> String {
    format!("refused: {refusal:?}")
}

fn stage(stage: &Stage) -> String {
    match stage {
        Stage::Accepted => "accepted".into(),
        Stage::Downloading { done, total } => format!("downloading, {done} of {total} bytes in flash"),
        Stage::Downloaded => "downloaded".into(),
        Stage::Verified => "verified".into(),
        Stage::PendingBoot => "restarts into it".into(),
        Stage::Testing => "runs it on trial".into(),
        Stage::Confirmed => "confirmed".into(),
        Stage::RolledBack { reason, cause, boots, .. } => {
            format!("rolled back after {boots} boots: {reason:?}, last reset {cause:?}")
        }
        Stage::Rejected { refusal } => format!("rejected: {refusal:?}"),
        Stage::Failed { at, code } => format!("failed: {at:?}, code {code:#06x}"),
        Stage::Cancelled => "cancelled".into(),
    }
}
