//! Frozen bytes. A failure here means that devices in the field would no longer understand us: do not change the vectors,
//! bump a format or protocol number instead.

use ota_manifest::wire::{
    Down, FailedProbes, FailedStage, Fetch, Object, Poll, Question, Refusal, Report, ResetCause,
    RollbackReason, Stage, Up, decode, encode,
};
use ota_manifest::{
    Alg, ClassId, Digest, ExtensionDraft, Freshness, FreshnessDraft, ImageDraft, JobId, KeyDraft, Manifest,
    ManifestDraft, ManifestId, Nonce, Order, Role, SecurityVersion, Thresholds, TrustDocument, TrustDraft,
    VendorId, Version,
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn vector(name: &str) -> String {
    let path = format!("{}/tests/vectors/{name}.hex", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}")).split_whitespace().collect()
}

#[test]
fn manifest_bytes_are_frozen() {
    let mut draft =
        ManifestDraft::new(VendorId::new([0x11; 16]), ClassId::new([0x22; 16]), Version::new(1, 2, 3));
    draft.order = Order { epoch: 1, sequence: 300 };
    draft.security_version = SecurityVersion(5);
    draft.issued = 1_790_000_000;
    draft
        .images
        .push(ImageDraft::raw(0x8000, 262_144, Digest::new([0x33; 32]), Digest::new([0x44; 32])))
        .unwrap();
    let mut buffer = [0; 512];
    let bytes = draft.encode(&mut buffer).unwrap();
    assert_eq!(hex(bytes), vector("manifest"));
    assert!(Manifest::decode_unauthenticated(bytes).is_ok());
}

#[test]
fn trust_document_bytes_are_frozen() {
    let mut point = [0x66; 65];
    point[0] = 0x04;
    let mut draft = TrustDraft::new(2);
    draft.epoch = 2;
    draft.min_order = Order { epoch: 1, sequence: 300 };
    draft.thresholds = Thresholds { root: 1, release: 2, approval: 0, freshness: 0 };
    draft.keys.push(KeyDraft::new(Role::Release, Alg::P256, &point)).unwrap();
    draft.keys.push(KeyDraft::new(Role::Release, Alg::Ed25519, &[0x55; 32])).unwrap();
    draft.keys.push(KeyDraft::new(Role::Root, Alg::Ed25519, &[0x77; 32])).unwrap();
    let bytes = [0xEE; 2].into_iter().collect();
    draft.extensions.push(ExtensionDraft { id: 300, critical: false, bytes }).unwrap();
    let mut buffer = [0; 256];
    let bytes = draft.encode(&mut buffer).unwrap();
    assert_eq!(hex(bytes), vector("trust"));
    assert!(TrustDocument::decode_unauthenticated(bytes).is_ok());
}

#[test]
fn freshness_reply_bytes_are_frozen() {
    let latest = Order { epoch: 1, sequence: 300 };
    let nonce = Nonce::new([0x99; 16]);
    let draft = FreshnessDraft { nonce, time: 1_790_000_000, latest, trust_version: 2 };
    let mut buffer = [0; FreshnessDraft::MAX];
    let bytes = draft.encode(&mut buffer).unwrap();
    assert_eq!(hex(bytes), vector("freshness"));
    let reply = Freshness { nonce, time: 1_790_000_000, latest, trust_version: 2 };
    assert_eq!(Freshness::decode_unauthenticated(bytes), Ok(reply));
}

const JOB: JobId = JobId::new([0xAB; 16]);

fn ups() -> Vec<Up> {
    let report = |seq, stage| Up::Report(Report { job: JOB, attempt: 1, seq, stage });
    let refused = |refusal| report(9, Stage::Rejected { refusal });
    let back =
        |reason, cause| report(10, Stage::RolledBack { reason, cause, boots: 3, failed: FailedProbes::NONE });
    let failed = |at| report(11, Stage::Failed { at, code: 0x0203 });
    vec![
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
        report(1, Stage::Accepted),
        report(2, Stage::Downloading { done: 4096, total: 262_144 }),
        report(3, Stage::Downloaded),
        report(4, Stage::Verified),
        report(5, Stage::PendingBoot),
        report(6, Stage::Testing),
        report(7, Stage::Confirmed),
        report(8, Stage::Cancelled),
        refused(Refusal::Malformed),
        refused(Refusal::Unauthentic),
        refused(Refusal::NotForThisDevice),
        refused(Refusal::NotNewer),
        refused(Refusal::BelowFloor),
        refused(Refusal::NoFittingImage),
        refused(Refusal::Unsupported),
        refused(Refusal::RejectedBefore),
        refused(Refusal::Busy),
        refused(Refusal::Gone),
        refused(Refusal::Expired),
        refused(Refusal::NotYet),
        back(RollbackReason::AttemptsExhausted, ResetCause::Unknown),
        back(RollbackReason::SelfTest, ResetCause::PowerOn),
        back(RollbackReason::Unproven, ResetCause::BrownOut),
        back(RollbackReason::WindowExpired, ResetCause::Pin),
        back(RollbackReason::ConfirmedLost, ResetCause::Watchdog),
        back(RollbackReason::JournalLost, ResetCause::Software),
        back(RollbackReason::JournalLost, ResetCause::Lockup),
        report(
            10,
            Stage::RolledBack {
                reason: RollbackReason::SelfTest,
                cause: ResetCause::Software,
                boots: 1,
                failed: FailedProbes { probes: 0x8000_0005, code: 0x0B04 },
            },
        ),
        failed(FailedStage::Preparing),
        failed(FailedStage::Downloading),
        failed(FailedStage::Verifying),
        failed(FailedStage::Pending),
        Up::Ask(Question { nonce: Nonce::new([0x99; 16]), trust: 300 }),
        Up::Trust { version: 301 },
    ]
}

fn downs() -> Vec<Down<'static>> {
    vec![
        Down::Idle { retry_after_ms: 300_000 },
        Down::Offer { job: JOB, attempt: 1, envelope: b"envelope" },
        Down::Ack { seq: 7 },
        Down::Chunk { job: JOB, object: Object::Payload, first: 3, bytes: b"data" },
        Down::Cancel { job: JOB },
        Down::Refused { refusal: Refusal::Gone, retry_after_ms: 1000 },
        Down::Fresh { envelope: b"fresh" },
        Down::Trust { envelope: b"trust" },
    ]
}

#[test]
fn wire_bytes_are_frozen() {
    let mut lines = String::new();
    let mut buffer = [0; 256];
    for up in ups() {
        let bytes = encode(&up, &mut buffer).unwrap();
        assert!(bytes.len() <= ota_manifest::wire::MAX_REPORT);
        assert_eq!(decode::<Up>(bytes), Ok(up));
        lines += &hex(bytes);
    }
    for down in downs() {
        let bytes = encode(&down, &mut buffer).unwrap();
        assert_eq!(decode::<Down<'_>>(bytes), Ok(down));
        lines += &hex(bytes);
    }
    assert_eq!(lines, vector("wire"));
}

#[test]
fn message_in_a_longer_than_shortest_form_is_refused() {
    let mut buffer = [0; 64];
    let bytes = encode(&Down::Ack { seq: 5 }, &mut buffer).unwrap();
    assert_eq!(bytes, [2, 5]);
    assert!(decode::<Down<'_>>(&[2, 0x85, 0x00]).is_err());
    assert!(decode::<Down<'_>>(&[2, 5, 0]).is_err());
}
