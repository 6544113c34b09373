//! A signed envelope with one bit changed, cut short or made longer is one that nobody signed, in each algorithm.

use ed25519_dalek::ed25519::signature::Signer as _;
use ml_dsa::SignatureEncoding as _;
use ota_manifest::{Alg, ChunkSize, ClassId, Frame, ManifestDraft, Role, VendorId, Version};
use ota_verify::sign::{Signature, Signer, SignerError, describe_image, seal_manifest};
use ota_verify::{
    Ed25519Key, MlDsa44Key, P256Key, PublicKey, Sha256, Tbs, Trust, TrustedKey, VerifyKey, frame_digest,
};
use p256::ecdsa::signature::hazmat::PrehashSigner as _;

fn ed25519() -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[7; 32])
}

struct Ed25519Signer;

impl Signer for Ed25519Signer {
    fn public_key(&self) -> PublicKey {
        PublicKey::ed25519(ed25519().verifying_key().to_bytes())
    }

    fn sign(&self, tbs: &Tbs) -> Result<Signature, SignerError> {
        Signature::new(&ed25519().sign(tbs.as_bytes()).to_bytes())
    }
}

fn p256() -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap()
}

fn p256_point() -> [u8; 65] {
    p256().verifying_key().to_sec1_point(false).as_bytes().try_into().unwrap()
}

struct P256Signer;

impl Signer for P256Signer {
    fn public_key(&self) -> PublicKey {
        PublicKey::p256(p256_point())
    }

    fn sign(&self, tbs: &Tbs) -> Result<Signature, SignerError> {
        let digest = Sha256::of(&[tbs.as_bytes()]);
        let signature: p256::ecdsa::Signature = p256().sign_prehash(digest.as_bytes()).unwrap();
        Signature::new(&signature.normalize_s().to_bytes())
    }
}

/// The smallest manifest there is: one image.
fn sealed(signer: &dyn Signer) -> Vec<u8> {
    let mut draft = ManifestDraft::new(VendorId::new([1; 16]), ClassId::new([2; 16]), Version::new(1, 0, 0));
    draft.images.push(describe_image(&[0x55; 100], 0x8000, ChunkSize::KIB4).unwrap().image).unwrap();
    seal_manifest(&draft, &[(signer, Role::Release)]).unwrap()
}

fn ml_dsa() -> ml_dsa::SigningKey<ml_dsa::MlDsa44> {
    ml_dsa::SigningKey::from_seed(&[7; 32].into())
}

fn ml_dsa_public() -> MlDsa44Key {
    let encoded = ml_dsa::Keypair::verifying_key(&ml_dsa()).encode();
    MlDsa44Key::new(encoded.as_slice().try_into().unwrap())
}

/// The same manifest with a signature of ML-DSA-44 in the place of the other. Our signing side makes none.
fn signed_with_ml_dsa() -> Vec<u8> {
    let envelope = sealed(&Ed25519Signer);
    let frame = Frame::parse(&envelope).unwrap();
    let tbs = Tbs::new(frame.kind(), Alg::MlDsa44, Role::Release, &frame_digest(&frame));
    let signature = ml_dsa::Signer::sign(&ml_dsa(), tbs.as_bytes()).to_bytes();
    let len = u16::try_from(signature.len()).unwrap().to_le_bytes();
    let key_id = ml_dsa_public().key_id();
    [frame.signed_bytes(), &[1, Alg::MlDsa44 as u8], key_id.as_bytes(), &len, &signature].concat()
}

fn is_authentic(bytes: &[u8], key: &dyn VerifyKey) -> bool {
    let keys = [TrustedKey::new(Role::Release, key)];
    Frame::parse(bytes).is_ok_and(|frame| Trust::pinned(&keys).authenticate(frame, Role::Release).is_ok())
}

/// Fails unless the envelope is accepted, and refused with any of `bits` changed, cut anywhere, or with a byte more.
fn refuses_every_change(envelope: &[u8], key: &dyn VerifyKey, bits: impl Iterator<Item = usize>) {
    assert!(is_authentic(envelope, key), "the control");
    let mut bytes = envelope.to_vec();
    let mut flips = 0;
    for bit in bits {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(!is_authentic(&bytes, key), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
        flips += 1;
    }
    assert!(flips > 0);
    for len in 0..envelope.len() {
        assert!(!is_authentic(&envelope[..len], key), "length {len}");
    }
    for byte in 0..=u8::MAX {
        assert!(!is_authentic(&[envelope, &[byte]].concat(), key), "byte {byte} more");
    }
}

#[test]
fn every_bit_flip_every_truncation_and_every_byte_more_is_refused_with_ed25519() {
    let envelope = sealed(&Ed25519Signer);
    let key = Ed25519Key::new(ed25519().verifying_key().to_bytes());
    refuses_every_change(&envelope, &key, 0..8 * envelope.len());
}

#[test]
fn every_bit_flip_every_truncation_and_every_byte_more_is_refused_with_p256() {
    let envelope = sealed(&P256Signer);
    refuses_every_change(&envelope, &P256Key::new(p256_point()), 0..8 * envelope.len());
}

/// A sample of the bits, each place in a byte among them: all of them pass too, and take half a minute.
#[test]
fn every_29th_bit_flip_every_truncation_and_every_byte_more_is_refused_with_ml_dsa() {
    let envelope = signed_with_ml_dsa();
    refuses_every_change(&envelope, &ml_dsa_public(), (0..8 * envelope.len()).step_by(29));
}
