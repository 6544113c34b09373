//! Every message there is, and what reader and writer of messages are held against: postcard.

use ota_manifest::wire::{
    Down, FailedProbes, FailedStage, Fetch, Message, Object, Poll, Question, Refusal, Report, ResetCause,
    RollbackReason, Stage, Up, decode, encode,
};
use ota_manifest::{JobId, ManifestId, Nonce, Order, SecurityVersion, Version};
use serde::{Deserialize, Serialize};

use super::{canonical, written};

/// Panics unless reader and postcard say the same about `bytes`, as either direction, and what is read is written back.
pub(crate) fn check(bytes: &[u8]) -> bool {
    check_as::<Up>(bytes) | check_as::<Down<'_>>(bytes)
}

fn check_as<'a, T: Message<'a> + Deserialize<'a> + Serialize + PartialEq + std::fmt::Debug>(
    bytes: &'a [u8],
) -> bool {
    let found = decode::<T>(bytes).ok();
    assert_eq!(found, canonical(bytes), "{bytes:02x?}");
    if let Some(message) = &found {
        assert_eq!(encode(message, &mut vec![0; bytes.len()]), Ok(bytes));
        assert!(encode(message, &mut vec![0; bytes.len() - 1]).is_err(), "{bytes:02x?}");
    }
    found.is_some()
}

/// Every message of [`ups`] and [`downs`] as postcard writes it.
pub(crate) fn all_written() -> Vec<Vec<u8>> {
    ups().iter().map(written).chain(downs().iter().map(written)).collect()
}

const JOB: JobId = JobId::new([0xAB; 16]);

/// Every message of a device, with every number that can stand in one.
pub(crate) fn ups() -> Vec<Up> {
    let mut ups = vec![
        Up::Poll(Poll {
            protocol: 1,
            version: Version { build: 4, ..Version::new(1, 2, 3) },
            order: Order { epoch: 1, sequence: 300 },
            floor: SecurityVersion(5),
            running: ManifestId::new([0xCD; 8]),
            bootloader: 2,
            hardware: 3,
        }),
        Up::Fetch(Fetch { job: JOB, image: 1, object: Object::Leaves, first: 0, count: 1 }),
        Up::Fetch(Fetch { job: JOB, image: 1, object: Object::Payload, first: 128, count: 4 }),
    ];
    let reports = stages_on_the_way().into_iter().chain(rejections()).chain(rollbacks()).chain(failures());
    ups.extend(reports.map(|(seq, stage)| Up::Report(Report { job: JOB, attempt: 1, seq, stage })));
    ups.push(Up::Ask(Question { nonce: Nonce::new([0x99; 16]), trust: 300 }));
    ups.push(Up::Trust { version: 301 });
    ups
}

fn stages_on_the_way() -> [(u32, Stage); 8] {
    [
        (1, Stage::Accepted),
        (2, Stage::Downloading { done: 4096, total: 262_144 }),
        (3, Stage::Downloaded),
        (4, Stage::Verified),
        (5, Stage::PendingBoot),
        (6, Stage::Testing),
        (7, Stage::Confirmed),
        (8, Stage::Cancelled),
    ]
}

fn rejections() -> [(u32, Stage); 12] {
    [
        Refusal::Malformed,
        Refusal::Unauthentic,
        Refusal::NotForThisDevice,
        Refusal::NotNewer,
        Refusal::BelowFloor,
        Refusal::NoFittingImage,
        Refusal::Unsupported,
        Refusal::RejectedBefore,
        Refusal::Busy,
        Refusal::Gone,
        Refusal::Expired,
        Refusal::NotYet,
    ]
    .map(|refusal| (9, Stage::Rejected { refusal }))
}

fn rollbacks() -> [(u32, Stage); 8] {
    let found = FailedProbes { probes: 0x8000_0005, code: 0x0B04 };
    [
        (RollbackReason::AttemptsExhausted, ResetCause::Unknown, 3, FailedProbes::NONE),
        (RollbackReason::SelfTest, ResetCause::PowerOn, 3, FailedProbes::NONE),
        (RollbackReason::Unproven, ResetCause::BrownOut, 3, FailedProbes::NONE),
        (RollbackReason::WindowExpired, ResetCause::Pin, 3, FailedProbes::NONE),
        (RollbackReason::ConfirmedLost, ResetCause::Watchdog, 3, FailedProbes::NONE),
        (RollbackReason::JournalLost, ResetCause::Software, 3, FailedProbes::NONE),
        (RollbackReason::JournalLost, ResetCause::Lockup, 3, FailedProbes::NONE),
        (RollbackReason::SelfTest, ResetCause::Software, 1, found),
    ]
    .map(|(reason, cause, boots, failed)| (10, Stage::RolledBack { reason, cause, boots, failed }))
}

fn failures() -> [(u32, Stage); 4] {
    [FailedStage::Preparing, FailedStage::Downloading, FailedStage::Verifying, FailedStage::Pending]
        .map(|at| (11, Stage::Failed { at, code: 0x0203 }))
}

/// Every message of a server.
pub(crate) fn downs() -> Vec<Down<'static>> {
    vec![
        Down::Idle { retry_after_ms: 300_000 },
        Down::Offer { job: JOB, attempt: 1, envelope: b"envelope" },
        Down::Ack { seq: 7 },
        Down::Chunk { job: JOB, object: Object::Payload, first: 3, bytes: b"data" },
        Down::Cancel { job: JOB },
        Down::Refused { refusal: Refusal::Gone, retry_after_ms: 1000 },
        Down::Fresh { envelope: b"fresh" },
        Down::Trust { envelope: b"trust" },
        Down::Ring,
    ]
}
