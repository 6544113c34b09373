//! `otactl release`.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context;
use clap::{Args, Subcommand};
use linux_server::OperatorClient;
use ota_manifest::{ClassId, Digest, VendorId, Version};
use ota_server_core::http::api::{NewImage, NewRelease, ReleaseInfo};

use crate::image;
use crate::output::{Output, moment, pairs, table};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Sign a release and publish it.
    Publish(Publish),
    /// Show all releases.
    List,
    /// Write the signed envelope of a release into a file, as devices get it.
    Envelope {
        /// Number of the release.
        no: u32,
        /// Where to write it.
        out: PathBuf,
    },
}

#[derive(Args)]
pub(crate) struct Publish {
    /// Its name for people: 1.2.0 or 1.2.0+7.
    #[arg(long)]
    version: Version,
    /// Second half of the order; rises with each release.
    #[arg(long)]
    sequence: u32,
    /// First half of the order; changed only to recover from a key compromise.
    #[arg(long, default_value_t = 0)]
    epoch: u16,
    /// Anti-rollback counter; raise it only when older firmware must never run again.
    #[arg(long, default_value_t = 0)]
    security_version: u32,
    /// Maker of the devices: a UUID, with or without dashes.
    #[arg(long, value_name = "UUID", value_parser = uuid::<VendorId>)]
    vendor: VendorId,
    /// Kind of device: a UUID, with or without dashes.
    #[arg(long, value_name = "UUID", value_parser = uuid::<ClassId>)]
    class: ClassId,
    /// Lowest hardware revision.
    #[arg(long, default_value_t = 0)]
    hardware_min: u16,
    /// Highest hardware revision.
    #[arg(long, default_value_t = u16::MAX)]
    hardware_max: u16,
    /// Lowest bootloader version.
    #[arg(long, default_value_t = 0)]
    min_bootloader: u16,
    /// Seconds from boot to confirm.
    #[arg(long, default_value_t = 900)]
    confirm_window_s: u16,
    /// Boots to confirm in, at least 2.
    #[arg(long, default_value_t = 3)]
    trial_attempts: u8,
    /// An image and the address it is linked for (0x8000 or 32768): SHA-256 of an upload, or a file, which is uploaded
    /// first (once for each slot address).
    #[arg(long, required = true, value_name = "SHA256|FILE@ADDRESS")]
    image: Vec<ImageArg>,
}

pub(crate) fn run(verb: Verb, client: &OperatorClient, output: &Output) -> anyhow::Result<()> {
    match verb {
        Verb::Publish(options) => publish(options, client, output),
        Verb::List => output.print(&client.releases()?, |releases| listing(releases)),
        Verb::Envelope { no, out } => {
            let envelope = client.envelope(no)?;
            std::fs::write(&out, &envelope).with_context(|| format!("cannot write {}", out.display()))?;
            output.print(&serde_json::json!({ "release": no, "size": envelope.len() }), |_| {
                format!("{} bytes in {}", envelope.len(), out.display())
            })
        }
    }
}

fn publish(options: Publish, client: &OperatorClient, output: &Output) -> anyhow::Result<()> {
    let mut images = Vec::new();
    for ImageArg { bytes, link_address } in options.image {
        let sha256 = match bytes {
            ImageBytes::Uploaded(digest) => digest.to_string(),
            ImageBytes::File(file) => image::upload(client, &file)?.sha256,
        };
        images.push(NewImage { sha256, link_address });
    }
    let release = client.publish(&NewRelease {
        version: options.version.to_string(),
        epoch: options.epoch,
        sequence: options.sequence,
        security_version: options.security_version,
        vendor: options.vendor.to_string(),
        class: options.class.to_string(),
        hardware_min: options.hardware_min,
        hardware_max: options.hardware_max,
        min_bootloader: options.min_bootloader,
        confirm_window_s: options.confirm_window_s,
        trial_attempts: options.trial_attempts,
        images,
    })?;
    output.print(&release, |release| {
        pairs([
            ("release", release.release.to_string()),
            ("version", release.version.clone()),
            ("manifest", release.manifest.clone()),
        ])
    })
}

fn listing(releases: &[ReleaseInfo]) -> String {
    let rows = releases.iter().map(|release| {
        [
            release.release.to_string(),
            release.version.clone(),
            format!("{}/{}", release.epoch, release.sequence),
            release.security_version.to_string(),
            release.manifest.clone(),
            release.images.len().to_string(),
            release.author.clone(),
            moment(release.published_ms),
        ]
    });
    table(["NO", "VERSION", "ORDER", "SECURITY", "MANIFEST", "IMAGES", "AUTHOR", "PUBLISHED"], rows)
}

/// An image of a release, on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ImageArg {
    bytes: ImageBytes,
    link_address: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum ImageBytes {
    Uploaded(Digest),
    File(PathBuf),
}

impl FromStr for ImageArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (bytes, address) = text.rsplit_once('@').ok_or("expected SHA256@ADDRESS or FILE@ADDRESS")?;
        let parsed = match address.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => address.parse(),
        };
        let link_address = parsed.map_err(|_| format!("{address} is no address below 0x100000000"))?;
        let bytes = match bytes.parse() {
            Ok(digest) => ImageBytes::Uploaded(digest),
            Err(_) if bytes.is_empty() => return Err("there is no image before the @".into()),
            Err(_) => ImageBytes::File(bytes.into()),
        };
        Ok(Self { bytes, link_address })
    }
}

fn uuid<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.replace('-', "").parse().map_err(|error: T::Err| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_a_digest_or_a_file_with_an_address() {
        let digest = "ab".repeat(32);
        let image: ImageArg = format!("{digest}@0x8000").parse().unwrap();
        let bytes = ImageBytes::Uploaded(digest.parse().unwrap());
        assert_eq!(image, ImageArg { bytes, link_address: 0x8000 });
        let image: ImageArg = "me@home/a.bin@32768".parse().unwrap();
        assert_eq!(image, ImageArg { bytes: ImageBytes::File("me@home/a.bin".into()), link_address: 0x8000 });
        for bad in ["a.bin", "@1", "a.bin@", "a.bin@0x", "a.bin@0x100000000", "a.bin@-1", "a.bin@x"] {
            assert!(bad.parse::<ImageArg>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_uuid_may_have_dashes() {
        let bare: VendorId = uuid("00112233445566778899aabbccddeeff").unwrap();
        assert_eq!(uuid::<VendorId>("00112233-4455-6677-8899-AABBCCDDEEFF").unwrap(), bare);
        assert!(uuid::<VendorId>("0011").is_err());
    }
}
