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
//!     14    1 rollback reason         15 1 reset cause         16 1 strategy
//!     17    1 number of the move      18 2 units to move
//! ```
//! Little endian. Every record is complete: nothing has to be put together from several.

#![expect(
    clippy::indexing_slicing,
    reason = "constant offsets below the record's length, and a slot number that is 0 or 1"
)]

use ota_manifest::{ManifestId, Order, ResetCause, RollbackReason, SecurityVersion};

use crate::log::{COPY, Cell, Kind};
use crate::{SlotId, Strategy};

/// Length of a record, bytes.
pub const RECORD: usize = 128;
/// Bytes the application may keep in each record.
pub const OPAQUE: usize = 32;
/// Rejected manifests that are remembered.
pub const REJECTED: usize = 4;
/// Resets by the power supply that a trial survives without losing an attempt.
pub const BROWN_OUT_BUDGET: u8 = 16;

const EVENT_FLAG: u8 = 2;

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
    /// Proven, and being swapped with the image that runs.
    Swapping = 8,
    /// Proven, and being copied over the image that runs.
    Installing = 9,
    /// Being overwritten by the image that ran before.
    Reverting = 10,
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
            8 => Self::Swapping,
            9 => Self::Installing,
            10 => Self::Reverting,
            _ => return None,
        })
    }
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

/// Everything the device must not forget: the bytes of a record, with a name for each.
///
/// There is no second form that could disagree with what is in flash.
///
/// ```
/// use ota_slots::{SlotId, SlotState, Snapshot};
///
/// let mut snapshot = Snapshot::blank();
/// snapshot.set_state(SlotId::B, SlotState::Staging);
/// let record = snapshot.encode(7, false);
/// let (sequence, is_copy, read) = Snapshot::decode(&record).unwrap();
/// assert_eq!((sequence, is_copy), (7, false));
/// assert_eq!(read.state(SlotId::B), SlotState::Staging);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Snapshot {
    /// As in flash. Sequence and checksum say nothing; the mark of a copy is zero.
    cell: Cell,
}

impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        let flags = self.cell[at::FLAGS] == other.cell[at::FLAGS];
        flags && self.cell[at::RUNNING..RECORD - 4] == other.cell[at::RUNNING..RECORD - 4]
    }
}

impl Eq for Snapshot {}

/// Offsets of the fields.
mod at {
    pub(super) const FLAGS: usize = 3;
    pub(super) const RUNNING: usize = 8;
    pub(super) const STATES: usize = 9;
    pub(super) const ATTEMPTS: usize = 11;
    pub(super) const BROWN_OUTS: usize = 12;
    pub(super) const BOOTS: usize = 13;
    pub(super) const REASON: usize = 14;
    pub(super) const CAUSE: usize = 15;
    pub(super) const STRATEGY: usize = 16;
    pub(super) const MOVE_ID: usize = 17;
    pub(super) const MOVE_UNITS: usize = 18;
    pub(super) const FLOOR: usize = 20;
    pub(super) const EVENT_ID: usize = 24;
    pub(super) const TRIAL_SECURITY: usize = 28;
    pub(super) const ORDERS: usize = 32;
    pub(super) const MANIFESTS: usize = 44;
    pub(super) const REJECTED: usize = 60;
    pub(super) const OPAQUE: usize = 92;
}

impl Snapshot {
    /// A device that has never run anything.
    #[must_use]
    pub const fn blank() -> Self {
        Self { cell: Kind::Journal.cell(0, &[]) }
    }

    /// Slot that runs, or ran last.
    #[must_use]
    pub const fn running(&self) -> SlotId {
        if self.cell[at::RUNNING] == SlotId::A as u8 { SlotId::A } else { SlotId::B }
    }

    /// State of a slot.
    #[must_use]
    pub const fn state(&self, slot: SlotId) -> SlotState {
        match SlotState::from_number(self.cell[at::STATES + slot as usize]) {
            Some(state) => state,
            None => SlotState::Empty,
        }
    }

    /// Whether a slot is in this state.
    pub(crate) const fn is(&self, slot: SlotId, state: SlotState) -> bool {
        self.cell[at::STATES + slot as usize] == state as u8
    }

    /// Hand-overs the image on trial still gets.
    #[must_use]
    pub const fn attempts(&self) -> u8 {
        self.cell[at::ATTEMPTS]
    }

    /// Power failures the image on trial still survives for free.
    #[must_use]
    pub const fn brown_outs(&self) -> u8 {
        self.cell[at::BROWN_OUTS]
    }

    /// Hand-overs the image on trial got.
    #[must_use]
    pub const fn boots(&self) -> u8 {
        self.cell[at::BOOTS]
    }

    /// Reason of the last event or of a declared failure.
    #[must_use]
    pub const fn reason(&self) -> RollbackReason {
        match RollbackReason::from_number(self.cell[at::REASON]) {
            Some(reason) => reason,
            None => RollbackReason::AttemptsExhausted,
        }
    }

    pub(crate) const fn reason_number(&self) -> u8 {
        self.cell[at::REASON]
    }

    /// Reset cause of the last event.
    #[must_use]
    pub const fn cause(&self) -> ResetCause {
        ResetCause::from_number(self.cell[at::CAUSE])
    }

    /// How images are activated.
    #[must_use]
    pub const fn strategy(&self) -> Strategy {
        match Strategy::from_number(self.cell[at::STRATEGY]) {
            Some(strategy) => strategy,
            None => Strategy::DirectXip,
        }
    }

    /// Number of the last move, counted modulo 32.
    #[must_use]
    pub const fn move_id(&self) -> u8 {
        self.cell[at::MOVE_ID]
    }

    /// What it moves, in units of [`Layout::unit`](crate::Layout::unit).
    #[must_use]
    pub const fn move_units(&self) -> u16 {
        u16::from_le_bytes([self.cell[at::MOVE_UNITS], self.cell[at::MOVE_UNITS + 1]])
    }

    /// Anti-rollback floor.
    #[must_use]
    pub const fn floor(&self) -> SecurityVersion {
        SecurityVersion(self.word(at::FLOOR))
    }

    /// Number of the last event; 0 for none yet.
    #[must_use]
    pub const fn event_id(&self) -> u32 {
        self.word(at::EVENT_ID)
    }

    /// Whether the last event still has to be reported.
    #[must_use]
    pub const fn is_event_open(&self) -> bool {
        self.cell[at::FLAGS] & EVENT_FLAG != 0
    }

    /// Security version of the image on trial: the floor once it is confirmed.
    #[must_use]
    pub const fn trial_security(&self) -> SecurityVersion {
        SecurityVersion(self.word(at::TRIAL_SECURITY))
    }

    /// Order of the manifest in a slot.
    #[must_use]
    pub const fn order(&self, slot: SlotId) -> Order {
        let at = at::ORDERS + 6 * slot as usize;
        Order { epoch: u16::from_le_bytes([self.cell[at], self.cell[at + 1]]), sequence: self.word(at + 2) }
    }

    /// Name of the manifest in a slot.
    #[must_use]
    pub const fn manifest(&self, slot: SlotId) -> ManifestId {
        self.id(at::MANIFESTS + 8 * slot as usize)
    }

    /// Manifests that were rolled back, newest first; [`ManifestId::NONE`] where there are fewer.
    #[must_use]
    pub const fn rejected(&self) -> [ManifestId; REJECTED] {
        [
            self.id(at::REJECTED),
            self.id(at::REJECTED + 8),
            self.id(at::REJECTED + 16),
            self.id(at::REJECTED + 24),
        ]
    }

    /// The application's own.
    #[must_use]
    pub fn opaque(&self) -> &[u8; OPAQUE] {
        self.cell.get(at::OPAQUE..).and_then(|rest| rest.first_chunk()).unwrap_or(&[0; OPAQUE])
    }

    /// The event that still has to be reported.
    #[must_use]
    pub const fn event(&self) -> Option<Event> {
        if !self.is_event_open() {
            return None;
        }
        Some(Event { id: self.event_id(), reason: self.reason(), cause: self.cause(), boots: self.boots() })
    }

    const fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes([self.cell[at], self.cell[at + 1], self.cell[at + 2], self.cell[at + 3]])
    }

    const fn id(&self, at: usize) -> ManifestId {
        let mut id = [0; 8];
        let mut index = 0;
        while index < 8 {
            id[index] = self.cell[at + index];
            index += 1;
        }
        ManifestId::new(id)
    }
}

/// Changes; what they mean is up to the boot decision and the application.
impl Snapshot {
    /// Sets the slot that runs.
    pub const fn set_running(&mut self, slot: SlotId) {
        self.cell[at::RUNNING] = slot as u8;
    }

    /// Sets the state of a slot.
    pub const fn set_state(&mut self, slot: SlotId, state: SlotState) {
        self.cell[at::STATES + slot as usize] = state as u8;
    }

    /// Sets the hand-overs that are left.
    pub const fn set_attempts(&mut self, attempts: u8) {
        self.cell[at::ATTEMPTS] = attempts;
    }

    /// Sets the power failures that are left.
    pub const fn set_brown_outs(&mut self, budget: u8) {
        self.cell[at::BROWN_OUTS] = budget;
    }

    /// Sets the hand-overs so far.
    pub const fn set_boots(&mut self, boots: u8) {
        self.cell[at::BOOTS] = boots;
    }

    /// Sets why the running image is unfit.
    pub const fn set_reason(&mut self, reason: RollbackReason) {
        self.cell[at::REASON] = reason as u8;
    }

    /// Sets how images are activated.
    pub const fn set_strategy(&mut self, strategy: Strategy) {
        self.cell[at::STRATEGY] = strategy as u8;
    }

    /// Sets what is moved.
    pub const fn set_move(&mut self, id: u8, units: u16) {
        let [low, high] = units.to_le_bytes();
        self.cell[at::MOVE_ID] = id;
        self.cell[at::MOVE_UNITS] = low;
        self.cell[at::MOVE_UNITS + 1] = high;
    }

    /// Sets the anti-rollback floor.
    pub fn set_floor(&mut self, floor: SecurityVersion) {
        self.put(at::FLOOR, &floor.0.to_le_bytes());
    }

    /// Sets the security version of the image on trial.
    pub fn set_trial_security(&mut self, security: SecurityVersion) {
        self.put(at::TRIAL_SECURITY, &security.0.to_le_bytes());
    }

    /// Sets what a slot holds.
    pub fn set_manifest(&mut self, slot: SlotId, manifest: ManifestId, order: Order) {
        self.put(at::MANIFESTS + 8 * slot as usize, manifest.as_bytes());
        let at = at::ORDERS + 6 * slot as usize;
        self.put(at, &order.epoch.to_le_bytes());
        self.put(at + 2, &order.sequence.to_le_bytes());
    }

    /// Remembers a manifest that was rolled back; the oldest of four is forgotten. None comes twice: what is remembered is
    /// not staged again.
    pub fn reject(&mut self, manifest: ManifestId) {
        let ring = &mut self.cell[at::REJECTED..at::OPAQUE];
        // Through a copy: moving within the ring takes a routine that nothing else in a bootloader needs.
        let mut newest = [0; 8 * (REJECTED - 1)];
        newest.iter_mut().zip(&*ring).for_each(|(to, from)| *to = *from);
        ring.iter_mut().skip(8).zip(newest).for_each(|(to, from)| *to = from);
        self.put(at::REJECTED, manifest.as_bytes());
    }

    /// Sets the application's own bytes.
    pub fn set_opaque(&mut self, bytes: &[u8; OPAQUE]) {
        self.put(at::OPAQUE, bytes);
    }

    /// Opens an event.
    pub fn raise_event(&mut self, reason: RollbackReason, cause: ResetCause) {
        self.raise_event_of(reason as u8, cause);
    }

    pub(crate) fn raise_event_of(&mut self, reason: u8, cause: ResetCause) {
        let id = self.event_id().saturating_add(1);
        self.put(at::EVENT_ID, &id.to_le_bytes());
        self.cell[at::FLAGS] = EVENT_FLAG;
        self.cell[at::REASON] = reason;
        self.cell[at::CAUSE] = cause as u8;
    }

    /// Closes the open event.
    pub const fn close_event(&mut self) {
        self.cell[at::FLAGS] = 0;
    }

    fn put(&mut self, at: usize, field: &[u8]) {
        self.cell.iter_mut().skip(at).zip(field).for_each(|(to, from)| *to = *from);
    }
}

/// To flash and back.
impl Snapshot {
    /// The record, its place in the journal still missing. `copy` marks one by which the bootloader repeats the newest.
    pub(crate) const fn cell(&self, copy: bool) -> Cell {
        let mut cell = self.cell;
        if copy {
            cell[at::FLAGS] |= COPY;
        }
        cell
    }

    /// Writes the record with its place in the journal.
    #[must_use]
    pub fn encode(&self, sequence: u32, copy: bool) -> [u8; RECORD] {
        let mut cell = self.cell(copy);
        Kind::Journal.seal(&mut cell, sequence);
        cell
    }

    /// Reads a record: its sequence, whether it is a bootloader's copy, and the state. `None` for anything but a whole
    /// record.
    #[must_use]
    pub fn decode(bytes: &[u8; RECORD]) -> Option<(u32, bool, Self)> {
        let sequence = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        Kind::Journal.is_whole(bytes).then(|| (sequence, Self::is_copy(bytes), Self::of(bytes)))
    }

    /// Whether a record repeats the one before it.
    pub(crate) const fn is_copy(record: &Cell) -> bool {
        record[at::FLAGS] & COPY != 0
    }

    /// The state in a record.
    fn of(record: &Cell) -> Self {
        let mut snapshot = Self::blank();
        snapshot.take(record);
        snapshot
    }

    /// Takes over the state in a record.
    pub(crate) fn take(&mut self, record: &Cell) {
        self.cell = *record;
        self.cell[at::FLAGS] &= EVENT_FLAG;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy() -> Snapshot {
        let mut busy = Snapshot::blank();
        busy.set_running(SlotId::B);
        busy.set_state(SlotId::A, SlotState::Confirmed);
        busy.set_state(SlotId::B, SlotState::Trial);
        busy.set_attempts(2);
        busy.set_brown_outs(16);
        busy.set_boots(1);
        busy.set_strategy(Strategy::SwapOffset);
        busy.set_move(0x31, 0x0302);
        busy.set_floor(SecurityVersion(0x0403_0201));
        busy.set_trial_security(SecurityVersion(5));
        busy.set_manifest(SlotId::A, ManifestId::new([0xA1; 8]), Order { epoch: 1, sequence: 2 });
        busy.set_manifest(SlotId::B, ManifestId::new([0xB2; 8]), Order { epoch: 3, sequence: 4 });
        for n in [4, 3, 2, 1] {
            busy.reject(ManifestId::new([n; 8]));
        }
        busy.set_opaque(&[0xEE; OPAQUE]);
        for _ in 0..9 {
            busy.raise_event(RollbackReason::SelfTest, ResetCause::Watchdog);
        }
        busy
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
    fn every_field_reads_as_it_was_set() {
        let busy = busy();
        assert_eq!((busy.running(), busy.attempts(), busy.brown_outs(), busy.boots()), (SlotId::B, 2, 16, 1));
        assert_eq!(SlotId::BOTH.map(|slot| busy.state(slot)), [SlotState::Confirmed, SlotState::Trial]);
        assert_eq!(
            (busy.strategy(), busy.move_id(), busy.move_units()),
            (Strategy::SwapOffset, 0x31, 0x0302)
        );
        assert_eq!((busy.floor().0, busy.trial_security().0, busy.event_id()), (0x0403_0201, 5, 9));
        assert_eq!(busy.order(SlotId::A), Order { epoch: 1, sequence: 2 });
        assert_eq!(busy.order(SlotId::B), Order { epoch: 3, sequence: 4 });
        assert_eq!(
            SlotId::BOTH.map(|slot| busy.manifest(slot)),
            [0xA1, 0xB2].map(|n| ManifestId::new([n; 8]))
        );
        assert_eq!(busy.rejected(), [1, 2, 3, 4].map(|n| ManifestId::new([n; 8])));
        assert_eq!(busy.opaque(), &[0xEE; OPAQUE]);
        let (reason, cause) = (RollbackReason::SelfTest, ResetCause::Watchdog);
        assert_eq!(busy.event(), Some(Event { id: 9, reason, cause, boots: 1 }));
    }

    #[test]
    fn number_that_nobody_knows_yet_is_kept_and_read_as_the_most_harmless_one() {
        let mut snapshot = busy();
        for at in [at::STATES, at::REASON, at::STRATEGY] {
            snapshot.cell[at] = 200;
        }
        let (_, _, read) = Snapshot::decode(&snapshot.encode(1, false)).unwrap();
        assert_eq!(read, snapshot);
        assert_eq!((read.state(SlotId::A), read.strategy()), (SlotState::Empty, Strategy::DirectXip));
        assert_eq!(read.reason(), RollbackReason::AttemptsExhausted);
    }

    #[test]
    fn record_bytes_are_frozen() {
        let bytes = busy().encode(0x0102_0304, false);
        assert_eq!(
            bytes[..20],
            *b"OJ\x01\x02\x04\x03\x02\x01\x01\x06\x04\x02\x10\x01\x01\x04\x01\x31\x02\x03"
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
    fn ring_of_rejected_manifests_keeps_the_newest_four() {
        let mut snapshot = Snapshot::blank();
        for n in [1, 2, 3, 4, 5] {
            snapshot.reject(ManifestId::new([n; 8]));
        }
        assert_eq!(snapshot.rejected(), [5, 4, 3, 2].map(|n| ManifestId::new([n; 8])));
    }
}
