//! An envelope signed with a key of each algorithm, by code that shares nothing with what verifies it on the device.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use ota_manifest::{Frame, Kind, Role, frame_header};
use ota_verify::{PublicKey, Tbs, VerifyKey, frame_digest};
use ring::signature::{ECDSA_P256_SHA256_FIXED, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

/// Writes the inputs of each algorithm's program: public key, envelope around `payload`.
pub(crate) fn write_all(folder: &Path, payload: &[u8]) -> Result<()> {
    write(folder, "ed25519", &ed25519(payload)?)?;
    write(folder, "p256", &p256(payload)?)?;
    write(folder, "lms", &lms(payload)?)
}

/// Signed by *ring*.
fn ed25519(payload: &[u8]) -> Result<Signed> {
    let key = Ed25519KeyPair::from_seed_unchecked(&[0x45; 32]).map_err(|_| anyhow!("no key of this seed"))?;
    let public = PublicKey::ed25519(key.public_key().as_ref().try_into()?);
    Signed::new(public, payload, |tbs| Ok(key.sign(tbs).as_ref().to_vec()))
}

/// Signed by the library that also verifies on the device, for *ring* takes a new random number each time and figures would
/// differ from run to run; *ring* has to accept the signature.
fn p256(payload: &[u8]) -> Result<Signed> {
    use p256::ecdsa::signature::Signer as _;

    let key = p256::ecdsa::SigningKey::from_slice(&[0x50; 32])?;
    let public = key.verifying_key().to_sec1_point(false);
    let public = public.as_bytes();
    Signed::new(PublicKey::p256(public.try_into()?), payload, |tbs| {
        let signature: p256::ecdsa::Signature = key.sign(tbs);
        let signature = signature.to_bytes();
        let second = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public);
        second.verify(tbs, &signature).map_err(|_| anyhow!("ring refuses the signature"))?;
        Ok(signature.to_vec())
    })
}

/// Signed by hbs-lms: one level, height 10, W4, with the first of its signatures.
fn lms(payload: &[u8]) -> Result<Signed> {
    use hbs_lms::signature::SignerMut as _;
    use hbs_lms::{HssParameter, LmotsAlgorithm, LmsAlgorithm, Seed, Sha256_256};

    let parameters = [HssParameter::<Sha256_256>::new(LmotsAlgorithm::LmotsW4, LmsAlgorithm::LmsH10)];
    let keys = hbs_lms::keygen(&parameters, &Seed::from([0x4C; 32]), None);
    let (mut key, public) = keys.map_err(|_| anyhow!("no key of this seed"))?;
    let public = PublicKey::lms(public.as_slice().try_into()?);
    Signed::new(public, payload, |tbs| {
        let signature = key.try_sign(tbs).map_err(|_| anyhow!("hbs-lms does not sign"))?;
        Ok(signature.as_ref().to_vec())
    })
}

/// An envelope with one signature, and who made it.
struct Signed {
    key: PublicKey,
    envelope: Vec<u8>,
}

impl Signed {
    fn new(key: PublicKey, payload: &[u8], sign: impl FnOnce(&[u8]) -> Result<Vec<u8>>) -> Result<Self> {
        let signed = [&frame_header(Kind::Manifest, payload.len().try_into()?), payload].concat();
        let tbs = Tbs::new(Kind::Manifest, key.alg(), Role::Release, &ota_verify::Sha256::of(&[&signed]));
        let signature = sign(tbs.as_bytes())?;
        let len = u16::try_from(signature.len())?.to_le_bytes();
        let head = [1, key.alg() as u8];
        let id = key.key_id();
        let envelope = [&signed, head.as_slice(), id.as_bytes(), &len, &signature].concat();
        Ok(Self { key, envelope })
    }

    /// Whether this machine accepts it.
    fn is_good(&self) -> Result<bool> {
        let frame = Frame::parse(&self.envelope)?;
        let tbs = Tbs::new(frame.kind(), self.key.alg(), Role::Release, &frame_digest(&frame));
        let signature = frame.signatures().next().context("an envelope without a signature")?;
        Ok(self.key.verify(&tbs, signature.bytes).is_ok())
    }
}

fn write(folder: &Path, program: &str, signed: &Signed) -> Result<()> {
    ensure!(signed.is_good()?, "{program}: this machine refuses the signature");
    crate::write(folder, program, &[signed.key.as_bytes(), &signed.envelope])
}
