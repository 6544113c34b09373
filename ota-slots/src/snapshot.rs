//! The state of the device in 128 bytes: one record of the journal.
//!
//! ```text
//! offset size field                              offset size field
//!      0    2 "OJ"                                   20    4 security floor
//!      2    1 format, 1                              24    4 event id
//!      3    1 flags: bit 0 repeats the one before    28    4 security version of the image on trial
//!             bit 1 event not acknowledged           32   12 order of slot A, slot B: epoch u16, sequence u32
//!      4    4 sequence                               44   16 manifest id of slot A, slot B
//!      8    1 running slot                           60   32 manifest ids that were rejected, newest first
//!      9    2 state of slot A, slot B                92   32 opaque: the application's
//!     11    1 hand-overs left                       124    4 CRC-32 (ISO-HDLC) over bytes 0 to 123
//!     12    1 power failures left
//!     13    1 hand-overs so far
//!     14    1 rollback reason         15 1 reset cause         16 1 strategy         17 3 zero
//! ```
//! Little endian. Every record is complete: nothing has to be put together from several.

use ota_manifest::{ManifestId, Order, ResetCause, RollbackReason, SecurityVersion};

use crate::SlotId;

/// Length of a record, bytes.
pub const RECORD: usize = 128;
/// Bytes the application may keep in each record.
pub const OPAQUE: usize = 32;
/// Rejected manifests that are remembered.
pub const REJECTED: usize = 4;
/// Format of the journal. A shipped bootloader's format never changes.
pub const JOURNAL_FORMAT: u8 = 1;
/// Resets by the power supply that a trial survives without losing an attempt.
pub const BROWN_OUT_BUDGET: u8 = 16;

const MAGIC: [u8; 2] = *b"OJ";
const COPY_FLAG: u8 = 1;
const EVENT_FLAG: u8 = 2;
const CRC: crc::Crc<u32, crc::NoTable> = crc::Crc::<u32, crc::NoTable>::new(&crc::CRC_32_ISO_HDLC);

/// What a slot holds, as far as the journal knows. Numbers are frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SlotState {
    /// Nothing worth keeping.
    Empty = 0,
    /// Being filled; resumable.
    Staging = 1,
    /// Filled and proven.
    Staged = 2,
    /// To be started at the next boot.
    Pending = 3,
    /// Started and not yet confirmed.
    Trial = 4,
    /// Started and found itself unfit.
    Failed = 5,
    /// Proved itself in operation.
    Confirmed = 6,
    /// Not confirmed, but there was nothing to go back to.
    Stranded = 7,
}

impl SlotState {
    const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Empty,
            1 => Self::Staging,
            2 => Self::Staged,
            3 => Self::Pending,
            4 => Self::Trial,
            5 => Self::Failed,
            6 => Self::Confirmed,
            7 => Self::Stranded,
            _ => return None,
        })
    }
}

/// How a staged image becomes the running one. Numbers are frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Strategy {
    /// One image per slot address; nothing is ever copied.
    DirectXip = 0,
}

/// Something the operator must hear of: the device is not where it was told to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Rises with every event.
    pub id: u32,
    /// Why.
    pub reason: RollbackReason,
    /// What reset the device last.
    pub cause: ResetCause,
    /// Hand-overs the image got.
    pub boots: u8,
}

/// Everything the device must not forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// Slot that runs, or ran last.
    pub running: SlotId,
    /// State of slot A and slot B.
    pub slots: [SlotState; 2],
    /// Hand-overs the image on trial still gets.
    pub attempts: u8,
    /// Power failures the image on trial still survives for free.
    pub brown_outs: u8,
    /// Hand-overs the image on trial got.
    pub boots: u8,
    /// Reason of the last event or of a declared failure.
    pub reason: RollbackReason,
    /// Reset cause of the last event.
    pub cause: ResetCause,
    /// How images are activated.
    pub strategy: Strategy,
    /// Anti-rollback floor.
    pub floor: SecurityVersion,
    /// Number of the last event; 0 for none yet.
    pub event_id: u32,
    /// Whether the last event still has to be reported.
    pub event_open: bool,
    /// Security version of the image on trial: the floor once it is confirmed.
    pub trial_security: SecurityVersion,
    /// Order of the manifests in slot A and slot B.
    pub orders: [Order; 2],
    /// Name of the manifests in slot A and slot B.
    pub manifests: [ManifestId; 2],
    /// Manifests that were rolled back, newest first.
    pub rejected: [ManifestId; REJECTED],
    /// The application's own.
    pub opaque: [u8; OPAQUE],
}

impl Snapshot {
    /// A device that has never run anything.
    #[must_use]
    pub const fn blank() -> Self {
        Self {
            running: SlotId::A,
            slots: [SlotState::Empty; 2],
            attempts: 0,
            brown_outs: 0,
            boots: 0,
            reason: RollbackReason::AttemptsExhausted,
            cause: ResetCause::Unknown,
            strategy: Strategy::DirectXip,
            floor: SecurityVersion(0),
            event_id: 0,
            event_open: false,
            trial_security: SecurityVersion(0),
            orders: [Order { epoch: 0, sequence: 0 }; 2],
            manifests: [ManifestId::NONE; 2],
            rejected: [ManifestId::NONE; REJECTED],
            opaque: [0; OPAQUE],
        }
    }

    /// State of a slot.
    #[must_use]
    pub const fn state(&self, slot: SlotId) -> SlotState {
        let [a, b] = self.slots;
        match slot {
            SlotId::A => a,
            SlotId::B => b,
        }
    }

    /// Order of the manifest in a slot.
    #[must_use]
    pub const fn order(&self, slot: SlotId) -> Order {
        let [a, b] = self.orders;
        match slot {
            SlotId::A => a,
            SlotId::B => b,
        }
    }

    /// Name of the manifest in a slot.
    #[must_use]
    pub const fn manifest(&self, slot: SlotId) -> ManifestId {
        let [a, b] = self.manifests;
        match slot {
            SlotId::A => a,
            SlotId::B => b,
        }
    }

    /// The event that still has to be reported.
    #[must_use]
    pub const fn event(&self) -> Option<Event> {
        if !self.event_open {
            return None;
        }
        Some(Event { id: self.event_id, reason: self.reason, cause: self.cause, boots: self.boots })
    }

    pub(crate) const fn set_state(&mut self, slot: SlotId, state: SlotState) {
        let [a, b] = &mut self.slots;
        match slot {
            SlotId::A => *a = state,
            SlotId::B => *b = state,
        }
    }

    pub(crate) const fn set_manifest(&mut self, slot: SlotId, manifest: ManifestId, order: Order) {
        let [manifest_a, manifest_b] = &mut self.manifests;
        let [order_a, order_b] = &mut self.orders;
        match slot {
            SlotId::A => (*manifest_a, *order_a) = (manifest, order),
            SlotId::B => (*manifest_b, *order_b) = (manifest, order),
        }
    }

    /// Remembers a manifest that was rolled back; the oldest of four is forgotten.
    pub(crate) fn reject(&mut self, manifest: ManifestId) {
        if !self.rejected.contains(&manifest) {
            let [first, second, third, _] = self.rejected;
            self.rejected = [manifest, first, second, third];
        }
    }

    pub(crate) const fn raise_event(&mut self, reason: RollbackReason, cause: ResetCause) {
        self.event_id = self.event_id.saturating_add(1);
        self.event_open = true;
        self.reason = reason;
        self.cause = cause;
    }

    /// Writes the record with its place in the journal.
    #[must_use]
    pub fn encode(&self, sequence: u32, copy: bool) -> [u8; RECORD] {
        let mut out = Writer { bytes: [0; RECORD], at: 0 };
        let [state_a, state_b] = self.slots;
        let flags = if copy { COPY_FLAG } else { 0 } | if self.event_open { EVENT_FLAG } else { 0 };
        out.put(&MAGIC);
        out.put(&[JOURNAL_FORMAT, flags]);
        out.put(&sequence.to_le_bytes());
        out.put(&[
            self.running as u8,
            state_a as u8,
            state_b as u8,
            self.attempts,
            self.brown_outs,
            self.boots,
        ]);
        out.put(&[self.reason as u8, self.cause as u8, self.strategy as u8, 0, 0, 0]);
        out.put(&self.floor.0.to_le_bytes());
        out.put(&self.event_id.to_le_bytes());
        out.put(&self.trial_security.0.to_le_bytes());
        for order in self.orders {
            out.put(&order.epoch.to_le_bytes());
            out.put(&order.sequence.to_le_bytes());
        }
        self.manifests.iter().chain(&self.rejected).for_each(|id| out.put(id.as_bytes()));
        out.put(&self.opaque);
        let crc = CRC.checksum(out.written());
        out.put(&crc.to_le_bytes());
        out.bytes
    }

    /// Reads a record: its sequence, whether it is a bootloader's copy, and the state. `None` for anything but a whole
    /// and meaningful record.
    #[must_use]
    pub fn decode(bytes: &[u8; RECORD]) -> Option<(u32, bool, Self)> {
        let (content, crc) = bytes.split_last_chunk::<4>()?;
        if CRC.checksum(content) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut input = Reader(content);
        if input.take::<2>()? != MAGIC || input.byte()? != JOURNAL_FORMAT {
            return None;
        }
        let flags = input.byte()?;
        let sequence = input.word()?;
        let snapshot = Self {
            running: slot_from_number(input.byte()?)?,
            slots: [SlotState::from_number(input.byte()?)?, SlotState::from_number(input.byte()?)?],
            attempts: input.byte()?,
            brown_outs: input.byte()?,
            boots: input.byte()?,
            reason: RollbackReason::from_number(input.byte()?)?,
            cause: ResetCause::from_number(input.byte()?),
            strategy: strategy_from_number(input.byte()?, input.take::<3>()?)?,
            floor: SecurityVersion(input.word()?),
            event_id: input.word()?,
            event_open: flags & EVENT_FLAG != 0,
            trial_security: SecurityVersion(input.word()?),
            orders: [input.order()?, input.order()?],
            manifests: [input.id()?, input.id()?],
            rejected: [input.id()?, input.id()?, input.id()?, input.id()?],
            opaque: input.take()?,
        };
        Some((sequence, flags & COPY_FLAG != 0, snapshot))
    }
}

const fn slot_from_number(number: u8) -> Option<SlotId> {
    match number {
        0 => Some(SlotId::A),
        1 => Some(SlotId::B),
        _ => None,
    }
}

const fn strategy_from_number(number: u8, zero: [u8; 3]) -> Option<Strategy> {
    match (number, zero) {
        (0, [0, 0, 0]) => Some(Strategy::DirectXip),
        _ => None,
    }
}

struct Writer {
    bytes: [u8; RECORD],
    at: usize,
}

impl Writer {
    fn put(&mut self, field: &[u8]) {
        self.bytes.iter_mut().skip(self.at).zip(field).for_each(|(to, from)| *to = *from);
        self.at += field.len();
    }

    fn written(&self) -> &[u8] {
        self.bytes.get(..self.at).unwrap_or(&self.bytes)
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    fn word(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn order(&mut self) -> Option<Order> {
        Some(Order { epoch: self.take().map(u16::from_le_bytes)?, sequence: self.word()? })
    }

    fn id(&mut self) -> Option<ManifestId> {
        self.take().map(ManifestId::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy() -> Snapshot {
        Snapshot {
            running: SlotId::B,
            slots: [SlotState::Confirmed, SlotState::Trial],
            attempts: 2,
            brown_outs: 16,
            boots: 1,
            reason: RollbackReason::SelfTest,
            cause: ResetCause::Watchdog,
            strategy: Strategy::DirectXip,
            floor: SecurityVersion(0x0403_0201),
            event_id: 9,
            event_open: true,
            trial_security: SecurityVersion(5),
            orders: [Order { epoch: 1, sequence: 2 }, Order { epoch: 3, sequence: 4 }],
            manifests: [ManifestId::new([0xA1; 8]), ManifestId::new([0xB2; 8])],
            rejected: [1, 2, 3, 4].map(|n| ManifestId::new([n; 8])),
            opaque: [0xEE; OPAQUE],
        }
    }

    #[test]
    fn record_round_trips_and_every_bit_flip_is_noticed() {
        let bytes = busy().encode(77, true);
        assert_eq!(Snapshot::decode(&bytes), Some((77, true, busy())));
        for bit in 0..8 * RECORD {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Snapshot::decode(&flipped), None, "bit {bit}");
        }
    }

    #[test]
    fn record_bytes_are_frozen() {
        let bytes = busy().encode(0x0102_0304, false);
        assert_eq!(
            bytes[..20],
            *b"OJ\x01\x02\x04\x03\x02\x01\x01\x06\x04\x02\x10\x01\x01\x04\x00\x00\x00\x00"
        );
        assert_eq!(bytes[20..32], [1, 2, 3, 4, 9, 0, 0, 0, 5, 0, 0, 0]);
        assert_eq!(bytes[32..44], [1, 0, 2, 0, 0, 0, 3, 0, 4, 0, 0, 0]);
        assert_eq!((bytes[44], bytes[52], bytes[60], bytes[92]), (0xA1, 0xB2, 1, 0xEE));
        // CRC-32/ISO-HDLC over bytes 0..124, computed independently.
        assert_eq!(
            u32::from_le_bytes([bytes[124], bytes[125], bytes[126], bytes[127]]),
            reference_crc(&bytes[..124])
        );
    }

    fn reference_crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc: u32, byte| {
            (0..8).fold(
                crc ^ u32::from(*byte),
                |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 },
            )
        })
    }

    #[test]
    fn ring_of_rejected_manifests_keeps_the_newest_four_without_repeats() {
        let mut snapshot = Snapshot::blank();
        for n in [1, 2, 3, 3, 4, 5] {
            snapshot.reject(ManifestId::new([n; 8]));
        }
        assert_eq!(snapshot.rejected, [5, 4, 3, 2].map(|n| ManifestId::new([n; 8])));
    }
}
