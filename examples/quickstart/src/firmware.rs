//! The firmware that is rolled out: a file or made-up bytes, once for each slot.

use std::fs;
use std::path::Path;

use device_sim::LAYOUT;
use device_sim::firmware::{Behaviour, TRAILER, build};
use ota_manifest::{ChunkSize, Version};
use ota_slots::SlotId;
use ota_verify::Sha256;

use crate::{Options, PlayError};

/// Made-up firmware has this length, and shorter files are filled up to it: 256 KiB with the trailer.
const LEAST: usize = 256 * 1024 - TRAILER;

/// One image for each slot, trailer included.
#[derive(Debug, Clone)]
pub(crate) struct Images(pub(crate) [Vec<u8>; 2]);

/// Firmware bytes, without trailer, for all releases of a run.
#[derive(Debug)]
pub(crate) struct Source {
    bytes: Vec<u8>,
}

impl Source {
    pub(crate) fn load(options: &Options) -> Result<Self, PlayError> {
        let mut bytes = match &options.image {
            Some(path) => read(path)?,
            None => made_up(options.seed, LEAST),
        };
        // A short image would be over before its power fails in the middle; real flash tools pad with erased bytes too.
        bytes.resize(bytes.len().max(LEAST), 0xFF);
        Ok(Self { bytes })
    }

    /// SHA-256 of the bytes, in hexadecimal.
    pub(crate) fn digest(&self) -> String {
        Sha256::of(&[&self.bytes]).to_string()
    }

    /// The images of a release. Versions differ in their trailer and in their first bytes.
    pub(crate) fn images(&self, version: Version, behaviour: Behaviour) -> Images {
        let mut firmware = self.bytes.clone();
        let mark = [version.major, version.minor, version.patch];
        for (byte, mark) in firmware.iter_mut().zip(mark.into_iter().flat_map(u16::to_le_bytes)) {
            *byte ^= mark;
        }
        Images(SlotId::BOTH.map(|slot| build(&firmware, LAYOUT.slot(slot).link_address, version, behaviour)))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, PlayError> {
    let usage = |text: String| PlayError::Usage(format!("--image {}: {text}", path.display()));
    let bytes = fs::read(path).map_err(|error| usage(format!("cannot be read: {error}")))?;
    if bytes.is_empty() {
        return Err(usage("the file is empty".to_owned()));
    }
    let most = largest_image() - TRAILER;
    if bytes.len() > most {
        return Err(usage(format!("{} bytes do not fit a slot, which takes {most}", bytes.len())));
    }
    Ok(bytes)
}

/// The largest image that fits a slot with its leaf list.
fn largest_image() -> usize {
    let target = LAYOUT.target(SlotId::A);
    let page = target.erase_page as usize;
    let pages = target.usable as usize / page;
    let leaves_per_page = page / 32;
    let chunk_pages = ChunkSize::KIB4.bytes() as usize / page;
    (1..pages).rev().find(|image| image + image.div_ceil(chunk_pages * leaves_per_page) <= pages).unwrap_or(0)
        * page
}

/// Bytes that do not compress into a pattern; the same for the same seed.
fn made_up(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed ^ 0x9E37_79B9_7F4A_7C15 | 1;
    std::iter::repeat_with(|| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_be_bytes()[0]
    })
    .take(len)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn largest_image_leaves_room_for_its_leaf_list_and_not_a_page_more() {
        // 256 pages of 4 KiB, one for the envelope, two for up to 256 leaves.
        assert_eq!(largest_image(), 253 * 4096);
    }

    #[test]
    fn versions_differ_although_the_firmware_is_the_same() {
        let source = Source { bytes: made_up(1, 100) };
        let one = source.images(Version::new(1, 0, 0), Behaviour::Healthy);
        let two = source.images(Version::new(1, 1, 0), Behaviour::Healthy);
        assert_ne!(one.0[0], two.0[0]);
        assert_ne!(one.0[0], one.0[1], "each slot has its own link address");
    }
}
