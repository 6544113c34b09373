//! A key of each algorithm, and its signature over one piece of content.

use std::path::Path;

use anyhow::{Result, ensure};
use ed25519_dalek::Signer as _;
use ota_manifest::{Alg, Kind, Role};
use ota_verify::{PublicKey, Sha256, Tbs, VerifyKey};

/// Content that is signed, bytes.
const SIGNED: usize = 4096;

pub(crate) fn write_all(folder: &Path) -> Result<()> {
    let key = ed25519_dalek::SigningKey::from_bytes(&[0x45; 32]);
    let public = PublicKey::ed25519(key.verifying_key().to_bytes());
    write(folder, "ed25519", &public, &key.sign(tbs(Alg::Ed25519).as_bytes()).to_bytes())?;

    let key = p256::ecdsa::SigningKey::from_slice(&[0x50; 32])?;
    let public = PublicKey::p256(key.verifying_key().to_sec1_point(false).as_bytes().try_into()?);
    let signature: p256::ecdsa::Signature = key.sign(tbs(Alg::P256).as_bytes());
    write(folder, "p256", &public, &signature.to_bytes())
}

fn tbs(alg: Alg) -> Tbs {
    Tbs::new(Kind::Manifest, alg, Role::Release, &Sha256::of(&[&crate::content(SIGNED)]))
}

fn write(folder: &Path, program: &str, key: &PublicKey, signature: &[u8]) -> Result<()> {
    ensure!(key.verify(&tbs(key.alg()), signature).is_ok(), "{program}: this machine refuses the signature");
    crate::write(folder, program, &[key.as_bytes(), signature, &crate::content(SIGNED)])
}
