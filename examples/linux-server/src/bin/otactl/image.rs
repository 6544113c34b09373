//! `otactl image`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use linux_server::OperatorClient;
use ota_server_core::http::api::UploadedImage;

use crate::output::{Output, pairs};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Upload an image; a release then names it by its SHA-256.
    Upload {
        /// The image as it goes into a slot.
        file: PathBuf,
    },
}

pub(crate) fn run(verb: &Verb, client: &OperatorClient, output: &Output) -> anyhow::Result<()> {
    let Verb::Upload { file } = verb;
    output.print(&upload(client, file)?, |image| {
        pairs([("sha256", image.sha256.clone()), ("bytes", image.size.to_string())])
    })
}

/// Uploads the image in `file`.
pub(crate) fn upload(client: &OperatorClient, file: &Path) -> anyhow::Result<UploadedImage> {
    let image = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(client.upload(&image)?)
}
