//! Writes the keys that the firmware trusts: `keys/development` where `cargo build` builds for development; where it builds
//! a release, the folder that `OTA_KEYS` names, or else `keys/release`.
//!
//! No feature and no variable makes a release trust the development keys, and nothing turns the check of signatures off.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use ota_manifest::{Alg, Role};
use ota_verify::{Ed25519Key, LmsKey, PublicKey, Trust, TrustedKey, VerifyKey};

/// File, its role, and whether firmware can do without.
const FILES: [(&str, Role, bool); 3] = [
    ("root.pub", Role::Root, false),
    ("release.pub", Role::Release, true),
    ("freshness.pub", Role::Freshness, false),
];

fn main() {
    println!("cargo:rerun-if-env-changed=OTA_KEYS");
    let folder = folder();
    println!("cargo:rerun-if-changed={}", folder.display());
    let keys: Vec<_> = FILES
        .iter()
        .flat_map(|(file, role, needed)| {
            read(&folder.join(file), *needed).into_iter().map(|key| (*role, key))
        })
        .collect();
    refuse_development_keys(&keys);
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("keys.rs"), source(&keys)).expect("cargo's own folder can be written");
}

fn keys_here() -> PathBuf {
    PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("keys")
}

/// Everybody has their private halves.
fn refuse_development_keys(keys: &[(Role, PublicKey)]) {
    if env::var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    let development = keys_here().join("development");
    for (file, _, _) in FILES {
        for key in fs::read_to_string(development.join(file)).unwrap_or_default().lines() {
            assert!(
                !keys.iter().any(|(_, pinned)| pinned.to_string() == key.trim()),
                "a release must not trust the development key {key}: everybody has its private half"
            );
        }
    }
}

fn folder() -> PathBuf {
    let here = keys_here();
    match (env::var("PROFILE").as_deref(), env::var_os("OTA_KEYS")) {
        (Ok("release"), Some(folder)) => folder.into(),
        (Ok("release"), None) => here.join("release"),
        _ => here.join("development"),
    }
}

/// The keys of a file, one in each line.
fn read(file: &Path, needed: bool) -> Vec<PublicKey> {
    println!("cargo:rerun-if-changed={}", file.display());
    match fs::read_to_string(file) {
        Ok(text) => text.lines().map(|line| parse(file, line)).collect(),
        Err(error) if needed => panic!(
            "{} cannot be read: {error}. OTA_KEYS names a folder with the keys that devices are to trust, by an absolute \
             path, such as the data folder of the server: release.pub, and freshness.pub and root.pub if there are any",
            file.display()
        ),
        Err(_) => Vec::new(),
    }
}

fn parse(file: &Path, line: &str) -> PublicKey {
    let key: PublicKey = line.trim().parse().unwrap_or_else(|error| {
        panic!("{} is not a file of public keys in hexadecimal: {error}", file.display())
    });
    let feature = match key.alg() {
        Alg::Ed25519 => "CARGO_FEATURE_ED25519",
        Alg::Lms => "CARGO_FEATURE_LMS",
        other => panic!("{}: this firmware checks no signatures of {other:?}", file.display()),
    };
    assert!(
        env::var_os(feature).is_some(),
        "{} has a key of {:?}, whose signatures this firmware does not check: its feature is off",
        file.display(),
        key.alg()
    );
    key
}

/// The keys as constants, so that nothing is computed at boot.
fn source(keys: &[(Role, PublicKey)]) -> String {
    let mut text = String::new();
    let mut list = String::new();
    for (number, (role, key)) in keys.iter().enumerate() {
        let kind = if key.alg() == Alg::Lms { "ota_verify::LmsKey" } else { "ota_verify::Ed25519Key" };
        let bytes = key.as_bytes();
        writeln!(text, "static KEY_{number}: {kind} = {kind}::new({bytes:?});").expect("a string grows");
        writeln!(list, "    TrustedKey::new(Role::{role:?}, &KEY_{number}),").expect("a string grows");
    }
    let trusted: Vec<_> = keys.iter().map(|(role, key)| TrustedKey::new(*role, key)).collect();
    let digest = Trust::pinned(&trusted).digest();
    let count = keys.len();
    text + &format!(
        "/// What devices are made with.\npub static KEYS: [TrustedKey<'static>; {count}] = [\n{list}];\n\
         /// [`Trust::digest`] of them.\npub const KEYS_DIGEST: Digest = Digest::new({:?});\n",
        digest.as_bytes()
    )
}

/// The two kinds of keys that [`source`] names.
const _: fn([u8; 32], [u8; 60]) -> (Ed25519Key, LmsKey) =
    |one, other| (Ed25519Key::new(one), LmsKey::new(other));
const _: fn(&Ed25519Key) -> Alg = VerifyKey::alg;
