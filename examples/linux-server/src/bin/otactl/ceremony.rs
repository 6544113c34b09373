//! `otactl key`, and the verbs of `otactl trust` that need keys and no server: for the machine that the root keys are on.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use ota_manifest::{Order, Role, TrustDraft};
use ota_server_core::signing::SoftwareSigner;
use ota_verify::PublicKey;
use ota_verify::sign::{Signer, cosign, seal_trust};
use serde_json::json;

use crate::output::Output;

#[derive(Subcommand)]
pub(crate) enum KeyVerb {
    /// Make an Ed25519 key in a file, unless it is there, and show its public half.
    Make {
        /// The file, readable by its owner only.
        file: PathBuf,
    },
}

pub(crate) fn run_key(verb: &KeyVerb, output: &Output) -> anyhow::Result<()> {
    let KeyVerb::Make { file } = verb;
    let key =
        SoftwareSigner::open_or_create(file).with_context(|| format!("cannot use {}", file.display()))?;
    let key = key.public_key().to_string();
    output.print(&json!({ "key": key }), |_| key.clone())
}

#[derive(Args)]
pub(crate) struct Make {
    /// Where to write the signed envelope.
    out: PathBuf,
    /// Its place in the chain: one higher than that of the document before. Devices were made with 1.
    #[arg(long)]
    version: u32,
    /// A key and the one role it serves: root, release, approval or freshness (may be given more than once).
    #[arg(long = "key", required = true, value_name = "ROLE=KEY", value_parser = role_key)]
    keys: Vec<(Role, PublicKey)>,
    /// How many keys of a role must sign [default: 1].
    #[arg(long = "threshold", value_name = "ROLE=N", value_parser = threshold)]
    thresholds: Vec<(Role, u8)>,
    /// Last open epoch: manifests of a higher one are refused.
    #[arg(long, default_value_t = 0)]
    epoch: u16,
    /// Manifests of a lower order are withdrawn.
    #[arg(long, value_name = "EPOCH/SEQUENCE", default_value = "0/0", value_parser = order)]
    min_order: Order,
    /// File of a root key that signs, of the document before or of this one (may be given more than once).
    #[arg(long = "sign", required = true, value_name = "FILE")]
    signers: Vec<PathBuf>,
}

impl Make {
    pub(crate) fn run(&self, output: &Output) -> anyhow::Result<()> {
        let signers: Vec<_> = self.signers.iter().map(|file| signer(file)).collect::<Result<_, _>>()?;
        let signers: Vec<&dyn Signer> = signers.iter().map(|signer| signer as &dyn Signer).collect();
        write(&self.out, &seal_trust(&self.draft()?, &signers)?, output)
    }

    fn draft(&self) -> anyhow::Result<TrustDraft> {
        let mut draft = TrustDraft::new(self.version);
        (draft.epoch, draft.min_order) = (self.epoch, self.min_order);
        for (role, key) in &self.keys {
            let room = draft.keys.push(key.draft(*role)).is_ok();
            ensure!(room, "a document has at most {} keys", ota_manifest::MAX_TRUST_KEYS);
        }
        let has = |role| self.keys.iter().any(|(of, _)| *of == role);
        let said = |role| self.thresholds.iter().rev().find(|(of, _)| *of == role).map(|(_, needed)| *needed);
        let needed = |role| said(role).unwrap_or_else(|| u8::from(has(role)));
        draft.thresholds = ota_manifest::Thresholds {
            root: needed(Role::Root),
            release: needed(Role::Release),
            approval: needed(Role::Approval),
            freshness: needed(Role::Freshness),
        };
        Ok(draft)
    }
}

#[derive(Args)]
pub(crate) struct Cosign {
    /// The signed envelope.
    file: PathBuf,
    /// Where to write it with one more signature.
    out: PathBuf,
    /// File of the root key that signs.
    #[arg(long = "sign", value_name = "FILE")]
    signer: PathBuf,
}

impl Cosign {
    pub(crate) fn run(&self, output: &Output) -> anyhow::Result<()> {
        let envelope =
            std::fs::read(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
        write(&self.out, &cosign(&envelope, &signer(&self.signer)?, Role::Root)?, output)
    }
}

/// A key that is there: a ceremony must not go on with another one because of a wrong name.
fn signer(file: &Path) -> anyhow::Result<SoftwareSigner> {
    ensure!(file.exists(), "{} is not there", file.display());
    SoftwareSigner::open_or_create(file).with_context(|| format!("cannot use {}", file.display()))
}

fn write(out: &Path, envelope: &[u8], output: &Output) -> anyhow::Result<()> {
    std::fs::write(out, envelope).with_context(|| format!("cannot write {}", out.display()))?;
    output.print(&json!({ "size": envelope.len() }), |_| {
        format!("{} bytes in {}", envelope.len(), out.display())
    })
}

fn role(name: &str) -> Result<Role, String> {
    match name {
        "root" => Ok(Role::Root),
        "release" => Ok(Role::Release),
        "approval" => Ok(Role::Approval),
        "freshness" => Ok(Role::Freshness),
        _ => Err("a role is root, release, approval or freshness".into()),
    }
}

fn role_key(text: &str) -> Result<(Role, PublicKey), String> {
    let (name, key) = text.split_once('=').ok_or("expected ROLE=KEY")?;
    Ok((role(name)?, key.parse().map_err(|error: ota_verify::NotAKey| error.to_string())?))
}

fn threshold(text: &str) -> Result<(Role, u8), String> {
    let (name, needed) = text.split_once('=').ok_or("expected ROLE=N")?;
    Ok((role(name)?, needed.parse().map_err(|_| format!("{needed} is no number of keys"))?))
}

fn order(text: &str) -> Result<Order, String> {
    let parsed = text.split_once('/').and_then(|(epoch, sequence)| {
        Some(Order { epoch: epoch.parse().ok()?, sequence: sequence.parse().ok()? })
    });
    parsed.ok_or_else(|| "expected EPOCH/SEQUENCE".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_sense_is_told_from_what_has() {
        let key = "07".repeat(32);
        assert!(matches!(role_key(&format!("root={key}")), Ok((Role::Root, _))));
        assert_eq!(threshold("freshness=2"), Ok((Role::Freshness, 2)));
        assert_eq!(order("1/300"), Ok(Order { epoch: 1, sequence: 300 }));
        for bad in ["root", "root=", "boss=07", "root=0", "=", "root=-1"] {
            assert!(role_key(bad).is_err() && (bad == "root=0" || threshold(bad).is_err()), "{bad}");
        }
        assert!(["", "1", "1/", "/1", "65536/1", "1/4294967296"].iter().all(|bad| order(bad).is_err()));
    }
}
