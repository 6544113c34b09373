//! What a device does, written down from the transition table alone: plain values, no flash, no proofs, no records to tear.
//!
//! An image is a row of pages, each tagged with its release and its place in it. Nothing else of its bytes matters.

use ota_manifest::{ResetCause, RollbackReason};
use ota_slots::{BROWN_OUT_BUDGET, SlotId, SlotState, Snapshot, Strategy};

use super::rig::{Booted, RELEASES, Reply};

/// Release and number of the page; release 0 is anything else.
type Tag = (u32, usize);
const JUNK: Tag = (0, 0);
/// Pages looked at: the largest image, and one that a swap shifts by.
const PAGES: usize = 4;
/// Attempts of an image that runs because all else is lost.
const RESCUE: u8 = 2;

fn pages_of(release: u32) -> usize {
    RELEASES[release as usize - 1].0.div_ceil(1024)
}

fn security_of(release: u32) -> u32 {
    RELEASES[release as usize - 1].1
}

/// Where an image may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    A,
    B,
    Displaced,
}

const fn slot(index: usize) -> Place {
    if index == 0 { Place::A } else { Place::B }
}

/// What is in the slots.
#[derive(Debug, Clone, PartialEq)]
struct Slots {
    pages: [[Tag; PAGES]; 2],
    envelopes: [u32; 3],
    leaves: [u32; 2],
}

/// What the journal remembers.
#[derive(Debug, Clone, PartialEq)]
struct Record {
    running: usize,
    states: [SlotState; 2],
    /// The release whose manifest a slot is said to hold; 0 for none.
    names: [u32; 2],
    attempts: u8,
    brown_outs: u8,
    boots: u8,
    reason: RollbackReason,
    event: Option<RollbackReason>,
    event_id: u32,
    /// Newest first, four at most.
    rejected: Vec<u32>,
    floor: u32,
    /// The floor once the image on trial is confirmed.
    trial_security: u32,
    opaque: u8,
}

impl Record {
    const BLANK: Self = Self {
        running: 0,
        states: [SlotState::Empty; 2],
        names: [0; 2],
        attempts: 0,
        brown_outs: 0,
        boots: 0,
        reason: RollbackReason::AttemptsExhausted,
        event: None,
        event_id: 0,
        rejected: Vec::new(),
        floor: 0,
        trial_security: 0,
        opaque: 0,
    };

    fn raise(&mut self, reason: RollbackReason) {
        (self.event, self.reason) = (Some(reason), reason);
        self.event_id += 1;
    }

    fn reject(&mut self, release: u32) {
        if !self.rejected.contains(&release) {
            self.rejected.insert(0, release);
            self.rejected.truncate(4);
        }
    }
}

/// What can be seen of the journal from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    running: u32,
    states: [SlotState; 2],
    /// Attempts and power failures left, where they mean something.
    trial: Option<(u8, u8)>,
    requested: Option<u8>,
    event: Option<(u32, RollbackReason)>,
    rejected: usize,
    floor: u32,
    opaque: u8,
}

impl View {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        Self {
            running: snapshot.order(snapshot.running()).sequence,
            states: SlotId::BOTH.map(|slot| snapshot.state(slot)),
            trial: (snapshot.state(snapshot.running()) == SlotState::Trial)
                .then(|| (snapshot.attempts(), snapshot.brown_outs())),
            requested: (snapshot.state(snapshot.running().other()) == SlotState::Pending)
                .then(|| snapshot.attempts()),
            event: snapshot.event().map(|event| (event.id, event.reason)),
            rejected: snapshot.rejected().iter().filter(|id| **id != ota_manifest::ManifestId::NONE).count(),
            floor: snapshot.floor().0,
            opaque: snapshot.opaque()[0],
        }
    }
}

/// What an application does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Begin(u32),
    /// The whole image, or its first half.
    Fill(bool),
    Finish,
    Request(u8),
    Confirm,
    Fail,
    Acknowledge,
    Save(u8),
}

/// The device.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Model {
    strategy: Strategy,
    slots: Slots,
    /// `None` while the journal is lost.
    record: Option<Record>,
    /// Records that are still in flash, oldest first, and whether the newest is there twice.
    history: Vec<Record>,
    /// The decision is in the journal, but the image has not been handed over yet.
    decided: bool,
    guard_floor: u32,
    /// Power failed while the other slot was being written: its last pages may read either way until they are written again.
    doubt: bool,
    app: Option<SlotState>,
    /// Release, and whether whatever is in the slot is of no use.
    staging: Option<(u32, bool)>,
    staged: Option<u32>,
}

impl Model {
    /// Release 1 in slot A, as the factory left it.
    pub(crate) fn provisioned(strategy: Strategy) -> Self {
        let mut slots = Slots { pages: [[JUNK; PAGES]; 2], envelopes: [1, 0, 0], leaves: [1, 0] };
        (0..pages_of(1)).for_each(|page| slots.pages[0][page] = (1, page));
        let record = Record {
            states: [SlotState::Confirmed, SlotState::Empty],
            names: [1, 0],
            floor: security_of(1),
            ..Record::BLANK
        };
        Self {
            strategy,
            slots,
            history: vec![record.clone()],
            record: Some(record),
            decided: false,
            guard_floor: 0,
            doubt: false,
            app: None,
            staging: None,
            staged: None,
        }
    }

    pub(crate) fn view(&self) -> Option<View> {
        let record = self.record.as_ref()?;
        Some(View {
            running: record.names[record.running],
            states: record.states,
            trial: (record.states[record.running] == SlotState::Trial)
                .then_some((record.attempts, record.brown_outs)),
            requested: (record.states[1 - record.running] == SlotState::Pending).then_some(record.attempts),
            event: record.event.map(|reason| (record.event_id, reason)),
            rejected: record.rejected.len(),
            floor: record.floor,
            opaque: record.opaque,
        })
    }

    /// Whether the agent has to fill the slot again before it may be proven.
    pub(crate) const fn is_in_doubt(&self) -> bool {
        self.doubt
    }

    /// The first page of a place, as (slot, page).
    fn start(&self, place: Place) -> (usize, usize) {
        match place {
            Place::A => (0, 0),
            Place::B => (1, usize::from(self.strategy == Strategy::SwapOffset)),
            Place::Displaced => (1, 0),
        }
    }

    /// The release that proves itself at a place.
    fn proven(&self, place: Place, floor: u32) -> Option<u32> {
        let release = self.slots.envelopes[place as usize];
        let (slot, start) = self.start(place);
        let is_whole = || {
            (0..pages_of(release))
                .all(|page| self.slots.pages[slot].get(start + page) == Some(&(release, page)))
        };
        (release > 0 && is_whole() && security_of(release) >= floor).then_some(release)
    }

    fn write(&mut self, record: Record) {
        // The bootloader repeats what is there once, and no more.
        if !self.history.iter().rev().take(2).eq([&record, &record]) {
            self.history.push(record.clone());
        }
        self.record = Some(record);
    }
}

/// Harm that comes from outside.
impl Model {
    /// The first page of an image is spoilt.
    pub(crate) fn damage(&mut self, place: Place) {
        let (slot, page) = self.start(place);
        self.slots.pages[slot][page] = JUNK;
    }

    pub(crate) fn lose_journal(&mut self) {
        self.record = None;
        self.history.clear();
        self.decided = false;
    }

    /// What the device may take for the newest record when that cannot be read any more: it itself, if it is there twice;
    /// one of those before it; or that a decision has been made but not been carried out.
    pub(crate) fn without_newest_cell(&self) -> Vec<Self> {
        let mut left = self.clone();
        left.history.pop();
        let mut possible = vec![left.clone(), Self { decided: self.record.is_some(), ..left.clone() }];
        for record in left.history.iter().rev().take(4) {
            possible.push(Self { record: Some(record.clone()), ..left.clone() });
        }
        possible
    }
}

/// The bootloader.
impl Model {
    /// What may come of a reset; several, where it depends on bits in doubt.
    pub(crate) fn boot(&self, cause: ResetCause) -> Vec<(Self, Booted)> {
        let mut starts = vec![self.clone()];
        if self.doubt {
            let place = slot(1 - self.record.as_ref().map_or(0, |record| record.running));
            let mut spoilt = self.clone();
            spoilt.damage(place);
            starts.push(spoilt);
        }
        starts.into_iter().map(|start| start.boot_for_certain(cause)).collect()
    }

    fn boot_for_certain(mut self, cause: ResetCause) -> (Self, Booted) {
        (self.app, self.staging, self.staged) = (None, None, None);
        let before = self.clone();
        let decided = std::mem::replace(&mut self.decided, false);
        let record = match self.record.clone() {
            None => self.boot_without_journal(),
            Some(record) if decided => Some(record),
            Some(mut record) => {
                record.floor = record.floor.max(self.guard_floor);
                self.boot_with(record, cause)
            }
        };
        // A device in recovery writes nothing.
        let Some(record) = record else {
            return (before, Booted::Recovery(ota_slots::Recovery::NothingProven));
        };
        let (running, state) = (record.running, record.states[record.running]);
        if state == SlotState::Confirmed {
            self.guard_floor = self.guard_floor.max(record.floor);
        }
        let release = self.slots.envelopes[running];
        self.app = Some(state);
        self.write(record);
        (self, Booted::Ran { slot: SlotId::BOTH[running], release, state })
    }

    fn boot_with(&mut self, mut record: Record, cause: ResetCause) -> Option<Record> {
        let (running, other) = (record.running, 1 - record.running);
        if record.states[other] == SlotState::Pending {
            return self.boot_pending(record);
        }
        match record.states[running] {
            SlotState::Trial => {
                if cause.is_power() && record.brown_outs > 0 {
                    record.brown_outs -= 1;
                } else if record.attempts > 0 {
                    record.attempts -= 1;
                } else {
                    return self.fall_back(record, RollbackReason::AttemptsExhausted, true);
                }
                record.boots += 1;
                match self.proven(slot(running), record.floor) {
                    Some(_) => Some(record),
                    None if self.strategy == Strategy::Overwrite => self.copy_again(record),
                    None => self.fall_back(record, RollbackReason::Unproven, false),
                }
            }
            SlotState::Failed => {
                let reason = record.reason;
                self.fall_back(record, reason, true)
            }
            _ => self.boot_confirmed(record),
        }
    }

    fn boot_pending(&mut self, mut record: Record) -> Option<Record> {
        let (running, other) = (record.running, 1 - record.running);
        let wanted = record.names[other];
        let found = self.proven(slot(other), record.floor);
        if found != Some(wanted) || wanted <= record.names[running] {
            record.states[other] = SlotState::Empty;
            record.raise(RollbackReason::Unproven);
            return self.boot_confirmed(record);
        }
        let attempts = record.attempts - 1;
        match self.strategy {
            Strategy::DirectXip => Some(Self::trial(record, other, wanted, attempts)),
            Strategy::SwapOffset => {
                self.swap(wanted, record.floor);
                (record.states[1], record.names[1]) = (record.states[0], record.names[0]);
                Some(Self::trial(record, 0, wanted, attempts))
            }
            Strategy::Overwrite => {
                self.copy(Place::B, wanted);
                record.states[1] = SlotState::Empty;
                Some(Self::trial(record, 0, wanted, attempts))
            }
        }
    }

    fn trial(record: Record, running: usize, release: u32, attempts: u8) -> Record {
        let mut record = Record {
            running,
            attempts,
            brown_outs: BROWN_OUT_BUDGET,
            boots: 1,
            trial_security: security_of(release),
            ..record
        };
        (record.states[running], record.names[running]) = (SlotState::Trial, release);
        record
    }

    fn swap(&mut self, release: u32, floor: u32) {
        let outgoing = self.proven(Place::A, floor).map_or(0, pages_of);
        for page in 0..outgoing.max(pages_of(release)) {
            self.slots.pages[1][page] = self.slots.pages[0][page];
            self.slots.pages[0][page] = self.slots.pages[1].get(page + 1).copied().unwrap_or(JUNK);
        }
        let [a, b, displaced] = &mut self.slots.envelopes;
        (*displaced, *a) = (*a, *b);
    }

    /// Copies an image to slot A; it stays where it was, too.
    fn copy(&mut self, from: Place, release: u32) {
        let (slot, start) = self.start(from);
        for page in 0..pages_of(release) {
            self.slots.pages[0][page] = self.slots.pages[slot][start + page];
        }
        self.slots.envelopes[0] = self.slots.envelopes[from as usize];
    }

    fn way_back(&self, running: usize) -> Place {
        if self.strategy == Strategy::SwapOffset { Place::Displaced } else { slot(1 - running) }
    }

    fn fall_back(&mut self, mut record: Record, reason: RollbackReason, rejects: bool) -> Option<Record> {
        let failed = record.running;
        let way_back = self.way_back(failed);
        // A copy of the image that failed is no way back from it.
        let is_another = |release: &u32| !rejects || *release != record.names[failed];
        let found = self.proven(way_back, record.floor).filter(is_another);
        if let Some(release) = found.filter(|_| self.strategy != Strategy::Overwrite) {
            if rejects {
                record.reject(record.names[failed]);
            }
            record.raise(reason);
            return Some(self.go_back(record, release));
        }
        self.proven(slot(failed), record.floor)?;
        record.raise(reason);
        record.states[failed] = SlotState::Stranded;
        Some(record)
    }

    /// The image on trial is spoilt where it runs, and perhaps whole where it was staged.
    fn copy_again(&mut self, record: Record) -> Option<Record> {
        let attempts = record.attempts;
        self.install_what_is_staged(record).map(|record| Record { attempts, ..record })
    }

    /// The image that ran before runs again.
    fn go_back(&mut self, mut record: Record, release: u32) -> Record {
        if self.strategy == Strategy::DirectXip {
            record.states[record.running] = SlotState::Empty;
            record.running = 1 - record.running;
            record.names[record.running] = release;
            if record.states[record.running] != SlotState::Confirmed {
                record.states[record.running] = SlotState::Stranded;
            }
            record.trial_security = security_of(release);
            return record;
        }
        self.restore(record, release)
    }

    fn restore(&mut self, mut record: Record, release: u32) -> Record {
        self.copy(Place::Displaced, release);
        record.attempts = RESCUE;
        let state = std::mem::replace(&mut record.states[1], SlotState::Empty);
        let is_known = record.names[1] == release;
        if state == SlotState::Staged || !is_known {
            return Self::trial(record, 0, release, RESCUE);
        }
        let state = if state == SlotState::Confirmed { state } else { SlotState::Stranded };
        (record.states[0], record.names[0], record.trial_security) = (state, release, security_of(release));
        record
    }

    fn install_what_is_staged(&mut self, mut record: Record) -> Option<Record> {
        let release = self.proven(Place::B, record.floor).filter(|_| self.strategy.moves())?;
        self.copy(Place::B, release);
        record.states[1] = SlotState::Empty;
        record.names[1] = release;
        Some(Self::trial(record, 0, release, RESCUE))
    }

    fn boot_confirmed(&mut self, mut record: Record) -> Option<Record> {
        let running = record.running;
        if self.proven(slot(running), record.floor).is_some() {
            return Some(record);
        }
        record.raise(RollbackReason::ConfirmedLost);
        self.rescue(record)
    }

    fn rescue(&mut self, mut record: Record) -> Option<Record> {
        let (lost, other) = (record.running, 1 - record.running);
        let found = self.proven(self.way_back(lost), record.floor);
        match (self.strategy, found) {
            (Strategy::SwapOffset, Some(release)) => Some(self.restore(record, release)),
            (Strategy::SwapOffset | Strategy::Overwrite, _) => self.install_what_is_staged(record),
            (Strategy::DirectXip, None) => None,
            (Strategy::DirectXip, Some(release)) => {
                record.states[lost] = SlotState::Empty;
                if record.states[other] == SlotState::Confirmed {
                    record.running = other;
                    return Some(record);
                }
                Some(Self::trial(record, other, release, RESCUE))
            }
        }
    }

    fn boot_without_journal(&mut self) -> Option<Record> {
        let mut record = Record { floor: self.guard_floor, ..Record::BLANK };
        record.raise(RollbackReason::JournalLost);
        self.history.clear();
        let in_place = [Place::A, Place::B].map(|place| self.proven(place, record.floor));
        match (self.strategy, in_place) {
            (Strategy::DirectXip, [a, b]) if b > a => b.map(|b| Self::trial(record, 1, b, RESCUE)),
            (_, [Some(a), _]) => Some(Self::trial(record, 0, a, RESCUE)),
            (Strategy::DirectXip, _) => None,
            (_, [None, _]) => {
                record.states[1] = SlotState::Staged;
                self.rescue(record)
            }
        }
    }
}

/// The application.
impl Model {
    fn may_begin(&self) -> bool {
        matches!(self.app, Some(SlotState::Confirmed | SlotState::Stranded))
    }

    pub(crate) fn act(&mut self, act: Act) -> Reply {
        let Some(record) = self.record.clone().filter(|_| self.app.is_some()) else { return Reply::Refused };
        let next = match act {
            Act::Begin(release) => self.begin(record, release),
            Act::Fill(whole) => return self.fill(whole),
            Act::Finish => self.finish(record),
            Act::Request(attempts) => self.request(record, attempts),
            Act::Confirm => self.confirm(record),
            Act::Fail => self.fail(record),
            Act::Acknowledge => Some(Record { event: None, ..record }),
            Act::Save(opaque) => Some(Record { opaque, ..record }),
        };
        let Some(next) = next else { return Reply::Refused };
        self.write(next);
        Reply::Done
    }

    fn begin(&mut self, mut record: Record, release: u32) -> Option<Record> {
        let (running, target) = (record.running, 1 - record.running);
        let refused = !self.may_begin()
            || record.event.is_some()
            || record.states[target] == SlotState::Pending
            || record.rejected.contains(&release)
            || release <= record.names[running]
            || security_of(release) < record.floor;
        if refused {
            return None;
        }
        let resumes = record.names[target] == release
            && matches!(record.states[target], SlotState::Staging | SlotState::Staged);
        (record.states[target], record.names[target]) = (SlotState::Staging, release);
        self.slots.envelopes[target] = release;
        (self.staging, self.staged) = (Some((release, !resumes)), None);
        Some(record)
    }

    fn fill(&mut self, whole: bool) -> Reply {
        match self.filling(whole).pop() {
            Some(filled) => {
                *self = filled;
                self.doubt &= !whole;
                Reply::Done
            }
            None => Reply::Refused,
        }
    }

    /// The device after each page that is erased or written while the slot is filled.
    fn filling(&self, whole: bool) -> Vec<Self> {
        let (Some((release, fresh)), Some(record)) = (self.staging, &self.record) else { return Vec::new() };
        let target = 1 - record.running;
        if record.states[target] == SlotState::Pending {
            return Vec::new();
        }
        let (_, start) = self.start(slot(target));
        let good = |page: &usize| self.slots.pages[target][start + page] == (release, *page);
        let held = if fresh || self.slots.leaves[target] != release {
            0
        } else {
            (0..pages_of(release)).take_while(good).count()
        };
        let mut now = self.clone();
        let mut states = vec![now.clone()];
        // The last good page is written again, and nothing behind it may look good meanwhile.
        let first = held.saturating_sub(1);
        let pages = pages_of(release);
        let mut blank = 0;
        if first == 0 {
            now.slots.leaves[target] = 0;
            states.push(now.clone());
            for page in (0..2.min(pages)).rev() {
                now.slots.pages[target][start + page] = JUNK;
                states.push(now.clone());
            }
            blank = 2;
            now.slots.leaves[target] = release;
            states.push(now.clone());
        }
        let end = if whole { pages } else { pages / 2 };
        for page in first..end {
            let behind = if blank > page + 1 { pages } else { page + 1 };
            for erased in [behind, page].into_iter().filter(|erased| *erased < pages) {
                now.slots.pages[target][start + erased] = JUNK;
                states.push(now.clone());
            }
            now.slots.pages[target][start + page] = (release, page);
            states.push(now.clone());
        }
        states
    }

    fn finish(&mut self, mut record: Record) -> Option<Record> {
        let (release, _) = self.staging?;
        let target = 1 - record.running;
        self.staged = self.proven(slot(target), record.floor);
        self.staged?;
        (record.states[target], record.names[target]) = (SlotState::Staged, release);
        Some(record)
    }

    fn request(&mut self, mut record: Record, attempts: u8) -> Option<Record> {
        let (staged, target) = (self.staged?, 1 - record.running);
        let is_staged = record.states[target] == SlotState::Staged && record.names[target] == staged;
        if attempts < 2 || !is_staged {
            return None;
        }
        record.states[target] = SlotState::Pending;
        record.attempts = attempts;
        Some(record)
    }

    fn confirm(&mut self, mut record: Record) -> Option<Record> {
        if !matches!(self.app, Some(SlotState::Trial | SlotState::Stranded)) {
            return None;
        }
        record.states[record.running] = SlotState::Confirmed;
        record.floor = record.floor.max(record.trial_security);
        self.app = Some(SlotState::Confirmed);
        Some(record)
    }

    fn fail(&mut self, mut record: Record) -> Option<Record> {
        if self.app != Some(SlotState::Trial) {
            return None;
        }
        record.states[record.running] = SlotState::Failed;
        record.reason = RollbackReason::SelfTest;
        // There is one place for a reason; before anybody looks at an open event again, the next boot opens another.
        record.event = record.event.map(|_| record.reason);
        self.app = None;
        Some(record)
    }
}

/// Power failures.
impl Model {
    /// What may be in flash when power fails during an act: the state before, the state after, or for what writes images one
    /// in between.
    pub(crate) fn cut_act(&self, act: Act) -> Vec<Self> {
        let mut after = self.clone();
        after.act(act);
        let mut possible = vec![self.clone(), after.clone()];
        if let Act::Begin(_) = act {
            let target = 1 - after.record.as_ref().map_or(0, |record| record.running);
            for envelope in [self.slots.envelopes[target], 0] {
                let mut torn = after.clone();
                torn.slots.envelopes[target] = envelope;
                possible.push(torn);
            }
        }
        if let Act::Fill(whole) = act {
            possible = self.filling(whole);
        }
        let in_doubt = matches!(act, Act::Begin(_) | Act::Fill(_));
        possible.iter_mut().for_each(|model| model.doubt |= in_doubt);
        possible
    }

    /// The same for a boot: nothing decided, decided and to be carried out, or carried out.
    pub(crate) fn cut_boot(&self, cause: ResetCause) -> Vec<Self> {
        let mut possible = vec![self.clone()];
        for (after, booted) in self.boot(cause) {
            if booted.ran().is_some() {
                possible.push(Self { decided: true, ..after.clone() });
                possible.push(after);
            }
        }
        possible
    }
}
