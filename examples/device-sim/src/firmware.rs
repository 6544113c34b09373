//! Simulated firmware: any bytes, and a trailer that decides how they behave when they run.
//!
//! ```text
//! last 32 bytes of an image, little endian
//! offset size field
//!      0    4 magic "SIMF"
//!      4    4 link address
//!      8    6 version: major, minor, patch u16
//!     14    2 behaviour
//!     16   12 zero
//!     28    4 CRC-32 (ISO-HDLC) over everything before it, firmware included
//! ```

use ota_manifest::{ChunkSize, Version};
use ota_verify::leaf_hash;
use thiserror::Error;

/// Length of the trailer, bytes.
pub const TRAILER: usize = 32;
const MAGIC: [u8; 4] = *b"SIMF";
const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// What an image does when it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Behaviour {
    /// Passes its self-test.
    Healthy = 0,
    /// Fails its self-test and says so.
    FailsSelfTest = 1,
    /// Hangs before it confirms; the watchdog bites.
    Hangs = 2,
}

/// What an image says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// Address it is linked for.
    pub link_address: u32,
    /// Its version.
    pub version: Version,
    /// What it does.
    pub behaviour: Behaviour,
}

/// Why an image crashes as soon as it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// Not an image of this simulator.
    #[error("not a simulated image")]
    NotFirmware,
    /// Bytes were changed.
    #[error("image checksum differs")]
    Checksum,
    /// Linked for another address: the first jump goes astray.
    #[error("image is linked for {found:#x} and runs at {expected:#x}")]
    WrongAddress {
        /// Where it runs.
        expected: u32,
        /// What it is linked for.
        found: u32,
    },
}

/// Appends a trailer to firmware bytes.
#[must_use]
pub fn build(firmware: &[u8], link_address: u32, version: Version, behaviour: Behaviour) -> Vec<u8> {
    let mut image = firmware.to_vec();
    image.extend_from_slice(&MAGIC);
    image.extend_from_slice(&link_address.to_le_bytes());
    for part in [version.major, version.minor, version.patch, behaviour as u16] {
        image.extend_from_slice(&part.to_le_bytes());
    }
    image.extend_from_slice(&[0; 12]);
    let crc = CRC.checksum(&image);
    image.extend_from_slice(&crc.to_le_bytes());
    image
}

/// The leaf list of an image: 32 bytes for each chunk.
#[must_use]
pub fn leaves(image: &[u8], chunk: ChunkSize) -> Vec<u8> {
    let chunks = image.chunks(chunk.bytes() as usize);
    (0u32..).zip(chunks).flat_map(|(index, bytes)| *leaf_hash(index, bytes).as_bytes()).collect()
}

/// What the processor finds when it starts `image` at `address`.
///
/// # Errors
/// [`Fault`]: the firmware crashes.
pub fn start(image: &[u8], address: u32) -> Result<Trailer, Fault> {
    let (content, crc) = image.split_last_chunk::<4>().ok_or(Fault::NotFirmware)?;
    let trailer = content.last_chunk::<28>().ok_or(Fault::NotFirmware)?;
    let [m0, m1, m2, m3, a0, a1, a2, a3, rest @ ..] = *trailer;
    if [m0, m1, m2, m3] != MAGIC {
        return Err(Fault::NotFirmware);
    }
    if CRC.checksum(content) != u32::from_le_bytes(*crc) {
        return Err(Fault::Checksum);
    }
    let found = u32::from_le_bytes([a0, a1, a2, a3]);
    if found != address {
        return Err(Fault::WrongAddress { expected: address, found });
    }
    let half = |at: usize| u16::from_le_bytes([rest[at], rest[at + 1]]);
    let behaviour = match half(6) {
        0 => Behaviour::Healthy,
        1 => Behaviour::FailsSelfTest,
        _ => Behaviour::Hangs,
    };
    Ok(Trailer { link_address: found, version: Version::new(half(0), half(2), half(4)), behaviour })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_runs_where_it_is_linked_for_and_crashes_elsewhere() {
        let image = build(b"firmware", 0x1000, Version::new(1, 2, 3), Behaviour::FailsSelfTest);
        let trailer = start(&image, 0x1000).unwrap();
        assert_eq!((trailer.version, trailer.behaviour), (Version::new(1, 2, 3), Behaviour::FailsSelfTest));
        assert_eq!(start(&image, 0x2000), Err(Fault::WrongAddress { expected: 0x2000, found: 0x1000 }));
        let mut damaged = image;
        damaged[0] ^= 1;
        assert_eq!(start(&damaged, 0x1000), Err(Fault::Checksum));
        assert_eq!(start(b"short", 0x1000), Err(Fault::NotFirmware));
    }
}
