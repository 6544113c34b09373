//! Keys for tests, a device to hold releases against, and its verdict.
#![allow(dead_code, reason = "each test file uses what it needs")]

use ed25519_dalek::ed25519::signature::Signer as _;
use ota_manifest::{
    ChunkSize, ClassId, DeviceId, Frame, ManifestDraft, Order, Role, SecurityVersion, VendorId, Version,
};
use ota_verify::sign::{Signature, Signer, SignerError, describe_image};
use ota_verify::{
    AdmitError, AlgSet, AuthError, Bootloader, DeviceState, Identity, PublicKey, Sha256, TargetSlot, Tbs,
    Trust,
};
use p256::ecdsa::signature::hazmat::PrehashSigner as _;

/// A signing key in memory.
pub(crate) enum Key {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    P256(Box<p256::ecdsa::SigningKey>),
}

/// The Ed25519 key of this seed.
pub(crate) fn ed25519(seed: u8) -> Key {
    Key::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&[seed; 32])))
}

/// The P-256 key of this seed.
pub(crate) fn p256(seed: u8) -> Key {
    Key::P256(Box::new(p256::ecdsa::SigningKey::from_slice(&[seed; 32]).unwrap()))
}

impl Signer for Key {
    fn public_key(&self) -> PublicKey {
        match self {
            Self::Ed25519(key) => PublicKey::ed25519(key.verifying_key().to_bytes()),
            Self::P256(key) => {
                PublicKey::p256(key.verifying_key().to_sec1_point(false).as_bytes().try_into().unwrap())
            }
        }
    }

    fn sign(&self, tbs: &Tbs) -> Result<Signature, SignerError> {
        match self {
            Self::Ed25519(key) => Signature::new(&key.sign(tbs.as_bytes()).to_bytes()),
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature =
                    key.sign_prehash(Sha256::of(&[tbs.as_bytes()]).as_bytes()).unwrap();
                Signature::new(&signature.normalize_s().to_bytes())
            }
        }
    }
}

/// Firmware of every release here.
pub(crate) const FIRMWARE: [u8; 5_000] = [0xAA; 5_000];

/// A release for [`state`].
pub(crate) fn draft(order: Order) -> ManifestDraft {
    let mut draft = ManifestDraft::new(VendorId::new([1; 16]), ClassId::new([2; 16]), Version::new(1, 1, 0));
    draft.order = order;
    draft.images.push(describe_image(&FIRMWARE, 0x8000, ChunkSize::KIB4).unwrap().image).unwrap();
    draft
}

/// A device at boot that knows Ed25519 and P-256.
pub(crate) fn state() -> DeviceState<'static> {
    DeviceState {
        identity: Identity {
            vendor: VendorId::new([1; 16]),
            class: ClassId::new([2; 16]),
            hardware: 1,
            device: DeviceId::new([3; 16]),
        },
        running: None,
        now: None,
        floor: SecurityVersion(0),
        rejected: &[],
        target: TargetSlot {
            link_address: 0x8000,
            usable: 0x10000,
            largest_image: 0x10000,
            erase_page: 4096,
        },
        bootloader: Bootloader { version: 1, algorithms: AlgSet::ED25519.with(ota_manifest::Alg::P256) },
    }
}

/// Why a release does not apply.
#[derive(Debug, PartialEq)]
pub(crate) enum Refused {
    Auth(AuthError),
    Admit(AdmitError),
}

/// What a device in this state and with this trust says to a release: the algorithms of the signatures that counted.
pub(crate) fn verdict(
    trust: &Trust<'_>,
    state: &DeviceState<'_>,
    envelope: &[u8],
) -> Result<AlgSet, Refused> {
    let frame = Frame::parse(envelope).unwrap();
    let authentic = trust.authenticate(frame, Role::Release).map_err(Refused::Auth)?;
    let algorithms = authentic.algorithms();
    authentic.admit(state).map_err(Refused::Admit)?;
    Ok(algorithms)
}
