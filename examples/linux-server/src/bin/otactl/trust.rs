//! `otactl trust`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use ota_server_core::http::api::{AddedTrust, TrustChain, TrustInfo};

use crate::ceremony;
use crate::connection::Connection;
use crate::output::{Output, moment, or_dash, pairs, table};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Make a document and sign it, where the root keys are; the server takes no part.
    Make(ceremony::Make),
    /// Add the signature of another root key; the server takes no part.
    Cosign(ceremony::Cosign),
    /// Upload a signed trust document; devices get it from the server from then on.
    Add {
        /// The signed envelope.
        file: PathBuf,
    },
    /// Show the trust documents, their keys, and how many devices are at which version.
    List,
    /// Write the signed envelope of a document into a file, as devices get it.
    Envelope {
        /// Version of the document.
        version: u32,
        /// Where to write it.
        out: PathBuf,
    },
}

pub(crate) fn run(verb: Verb, connection: &Connection, output: &Output) -> anyhow::Result<()> {
    match verb {
        Verb::Make(make) => make.run(output),
        Verb::Cosign(cosign) => cosign.run(output),
        Verb::Add { file } => {
            let envelope = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            output.print(&connection.client()?.add_trust(&envelope)?, added)
        }
        Verb::List => output.print(&connection.client()?.trust()?, listing),
        Verb::Envelope { version, out } => {
            let envelope = connection.client()?.trust_envelope(version)?;
            std::fs::write(&out, &envelope).with_context(|| format!("cannot write {}", out.display()))?;
            output.print(&serde_json::json!({ "version": version, "size": envelope.len() }), |_| {
                format!("{} bytes in {}", envelope.len(), out.display())
            })
        }
    }
}

fn added(added: &AddedTrust) -> String {
    let document = &added.document;
    let mut text = pairs([
        ("version", document.version.to_string()),
        ("sha256", document.sha256.clone()),
        ("", if added.is_new { "added" } else { "was there already" }.into()),
    ]);
    if !added.is_fresh {
        text += "Devices that adopt it do not believe this server's freshness replies: it does not list the freshness key.\n";
    }
    text
}

/// A row for each version that there is a document of, or a device at; then the keys.
fn listing(chain: &TrustChain) -> String {
    let pinned = chain.pinned.as_ref().map(|pinned| pinned.version);
    let documented = chain.documents.iter().map(|document| document.version);
    let versions: BTreeSet<u32> = documented.chain(chain.devices.keys().copied()).chain(pinned).collect();
    let rows = versions.into_iter().map(|version| {
        let document = chain.documents.iter().find(|document| document.version == version);
        let none = if pinned == Some(version) { "pinned" } else { "-" };
        [
            version.to_string(),
            document.map_or(none.into(), |document| document.sha256.clone()),
            or_dash(document.map(orders)),
            chain.devices.get(&version).copied().unwrap_or_default().to_string(),
            or_dash(document.map(|document| &document.author)),
            or_dash(document.map(|document| moment(document.added_ms))),
        ]
    });
    let mut text = table(["VERSION", "SHA-256", "ORDERS", "DEVICES", "AUTHOR", "ADDED"], rows);
    if chain.unknown > 0 {
        text += &format!("devices that have not said: {}\n", chain.unknown);
    }
    text + "\n" + &keys(chain)
}

/// The orders that a document lets through.
fn orders(document: &TrustInfo) -> String {
    format!("from {}/{}, epochs to {}", document.min_epoch, document.min_sequence, document.epoch)
}

fn keys(chain: &TrustChain) -> String {
    let pinned = chain.pinned.iter().flat_map(|pinned| {
        let need = format!("{} of {}", pinned.root_threshold, pinned.roots.len());
        pinned
            .roots
            .iter()
            .map(move |key| [pinned.version.to_string(), "root".into(), need.clone(), key.clone()])
    });
    let documented = chain.documents.iter().flat_map(|document| {
        document.roles.iter().flat_map(move |(role, keys)| {
            let both = if keys.hybrid { ", of both families" } else { "" };
            let need = format!("{} of {}{both}", keys.threshold, keys.keys.len());
            keys.keys
                .iter()
                .map(move |key| [document.version.to_string(), role.clone(), need.clone(), key.clone()])
        })
    });
    table(["VERSION", "ROLE", "NEEDED", "KEY"], pinned.chain(documented))
}
