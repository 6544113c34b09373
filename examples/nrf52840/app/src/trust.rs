//! Whose firmware may run here: the keys in force, who this device is, and which bootloader it has.

use layout::{ALGORITHMS, KEYS, LAYOUT};
use ota_manifest::Frame;
use ota_slots::{BootDescriptor, Guard, Policy};
use ota_verify::{AuthenticTrust, Trust};

use crate::board::serial_number;
use crate::workbench::{Buffer, Workbench};

/// The trust document that the bootloader has adopted; `None` while the keys are those that it was made with.
///
/// Not in the task itself: as a part of that, it takes a tenth more flash.
#[inline(never)]
pub(crate) fn adopted<'m>(
    bench: &mut Workbench,
    buffer: &mut Buffer,
    memory: &'m mut [u8],
) -> Option<AuthenticTrust<'m>> {
    let guard = bench.run(Guard::peek(&LAYOUT), buffer);
    let len = bench.run(guard.read_trust(memory, &LAYOUT).ok()?, buffer)?;
    let envelope = Frame::parse(memory.get(..len)?).ok()?;
    AuthenticTrust::from_guard_unchained(envelope, &Trust::pinned(&KEYS), ALGORITHMS).ok()
}

/// What images are held against.
pub(crate) fn policy<'k>(
    adopted: Option<&'k AuthenticTrust<'k>>,
    descriptor: &'k BootDescriptor,
) -> Policy<'k> {
    let trust = adopted.map_or(Trust::pinned(&KEYS), Trust::documented);
    Policy { trust, identity: layout::identity(serial_number()), descriptor }
}
