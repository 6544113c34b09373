//! Which bells ring, and how much of that the broker has been told.
//!
//! The map is the truth, the broker follows. What changes is queued; whoever holds the connection takes one message at a
//! time from the queue and says when the broker has it. Two rules keep this right without looking at the network:
//!
//! - Of one device at most one message is under way. So "ring, heard, ring" cannot overtake itself and ends ringing.
//! - With every new connection the broker is told of every bell again: it may have lost all of them.

use alloc::collections::BTreeMap;
use core::time::Duration;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Instant;

use ota_manifest::{DeviceId, JobId};

/// How long a bell rings that nobody hears. The engine rings again for as long as there is a reason, so this only bounds
/// what is left behind: here for a device that was removed, at the broker by a server that never comes back.
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// What the broker is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    /// Keep a bell for the device.
    Ring {
        /// What the bell is about.
        job: Option<JobId>,
        /// For how long, seconds.
        expires_s: u32,
    },
    /// Keep none.
    Clear,
}

/// All bells.
#[derive(Debug, Default)]
pub(super) struct Bells {
    known: HashMap<DeviceId, Bell>,
    /// Who is next, by ticket: first come, first told.
    due: BTreeMap<u64, DeviceId>,
    ticket: u64,
}

/// One device's. Absent is: does not ring, and the broker holds nothing that we know of.
#[derive(Debug)]
struct Bell {
    rings: Option<Ringing>,
    /// The broker may hold a message for the device.
    placed: bool,
    /// When the broker forgets it.
    until: Instant,
    told: Told,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ringing(Option<JobId>);

/// How far the broker knows what we want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// It knows, or has refused.
    All,
    /// Waits with this ticket.
    Due(u64),
    /// The message is under way.
    UnderWay,
    /// A message is under way that is out of date already.
    Overtaken,
}

impl Bells {
    /// Rings for `device`, or rings again.
    pub(super) fn ring(&mut self, device: DeviceId, job: Option<JobId>, now: Instant) {
        let ring = |placed, told| Bell { rings: Some(Ringing(job)), placed, until: now + LIFE, told };
        match self.known.entry(device) {
            Entry::Vacant(none) => _ = none.insert(ring(false, Told::All)),
            Entry::Occupied(mut known) => *known.get_mut() = ring(known.get().placed, known.get().told),
        }
        self.changed(device);
    }

    /// `device` has asked: nothing rings for it any more. Says whether the broker must be told.
    pub(super) fn silence(&mut self, device: DeviceId) -> bool {
        let Some(bell) = self.known.get_mut(&device) else { return false };
        if bell.rings.take().is_none() {
            return false;
        }
        if let (Told::Due(ticket), false) = (bell.told, bell.placed) {
            self.due.remove(&ticket);
            self.known.remove(&device);
            return false;
        }
        self.changed(device);
        true
    }

    /// The broker holds a bell for `device`; unless this process rang it, an earlier one did. That goes on ringing until the
    /// device asks if what it rang for still waits, and is taken down if not. Says whether the broker must be told.
    pub(super) fn found(&mut self, device: DeviceId, job: Option<JobId>, waits: bool, now: Instant) -> bool {
        let Entry::Vacant(unknown) = self.known.entry(device) else { return false };
        let rings = Some(Ringing(job));
        unknown.insert(Bell { rings, placed: true, until: now + LIFE, told: Told::All });
        !waits && self.silence(device)
    }

    /// A connection was made to a broker that may know nothing.
    pub(super) fn start_over(&mut self, now: Instant) {
        self.sweep(now);
        self.due.clear();
        for (device, bell) in &mut self.known {
            bell.told = enqueue(&mut self.due, &mut self.ticket, *device);
        }
    }

    /// Forgets what the broker has forgotten.
    pub(super) fn sweep(&mut self, now: Instant) {
        let due = &mut self.due;
        self.known.retain(|_, bell| {
            let lives = bell.until > now;
            if let (false, Told::Due(ticket)) = (lives, bell.told) {
                due.remove(&ticket);
            }
            lives
        });
    }

    /// The next message for the broker. It is under way until [`Self::settle`] or [`Self::start_over`].
    pub(super) fn next(&mut self, now: Instant) -> Option<(DeviceId, Message)> {
        loop {
            let (_, device) = self.due.pop_first()?;
            let Some(bell) = self.known.get_mut(&device) else { continue };
            let left = bell.until.saturating_duration_since(now);
            let message = match bell.rings {
                None => Message::Clear,
                Some(Ringing(job)) => {
                    bell.placed = true;
                    // At least 1: an expiry of 0 would mean never.
                    let expires_s = u32::try_from(left.as_secs()).unwrap_or(u32::MAX).max(1);
                    Message::Ring { job, expires_s }
                }
            };
            bell.told = Told::UnderWay;
            return Some((device, message));
        }
    }

    /// The broker has taken the message for `device`, or has refused it. A refused one is not repeated before there is a
    /// new reason: it would be refused again.
    pub(super) fn settle(&mut self, device: DeviceId, taken: bool) {
        let Some(bell) = self.known.get_mut(&device) else { return };
        match bell.told {
            Told::UnderWay if bell.rings.is_none() && taken => _ = self.known.remove(&device),
            Told::UnderWay => bell.told = Told::All,
            Told::Overtaken => bell.told = enqueue(&mut self.due, &mut self.ticket, device),
            Told::All | Told::Due(_) => {}
        }
    }

    /// How many devices are rung for.
    pub(super) fn ringing(&self) -> usize {
        self.known.values().filter(|bell| bell.rings.is_some()).count()
    }

    /// What the broker knows of `device` is out of date.
    fn changed(&mut self, device: DeviceId) {
        let Some(bell) = self.known.get_mut(&device) else { return };
        bell.told = match bell.told {
            Told::All => enqueue(&mut self.due, &mut self.ticket, device),
            Told::UnderWay => Told::Overtaken,
            waits => waits,
        };
    }
}

fn enqueue(due: &mut BTreeMap<u64, DeviceId>, ticket: &mut u64, device: DeviceId) -> Told {
    *ticket += 1;
    due.insert(*ticket, device);
    Told::Due(*ticket)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    const A: DeviceId = DeviceId::new([1; 16]);
    const B: DeviceId = DeviceId::new([2; 16]);
    const JOB: JobId = JobId::new([7; 16]);

    fn told(bells: &mut Bells, now: Instant) -> Vec<(DeviceId, bool)> {
        core::iter::from_fn(|| bells.next(now))
            .map(|(device, message)| (device, message != Message::Clear))
            .collect()
    }

    #[test]
    fn a_device_heard_before_its_bell_went_out_leaves_nothing() {
        let (mut bells, now) = (Bells::default(), Instant::now());
        bells.ring(A, Some(JOB), now);
        assert!(!bells.silence(A));
        assert_eq!(told(&mut bells, now), []);
        assert!(bells.known.is_empty() && bells.due.is_empty());
    }

    #[test]
    fn a_device_nobody_rang_for_is_heard_without_a_word_to_the_broker() {
        let (mut bells, now) = (Bells::default(), Instant::now());
        assert!(!bells.silence(A));
        assert_eq!(told(&mut bells, now), []);
    }

    #[test]
    fn a_bell_of_an_earlier_process_rings_on_and_is_cleared_once_heard() {
        let (mut bells, now) = (Bells::default(), Instant::now());
        assert!(!bells.found(A, None, true, now));
        assert_eq!(told(&mut bells, now), []);
        assert!(bells.silence(A));
        assert_eq!(told(&mut bells, now), [(A, false)]);
        bells.settle(A, true);
        assert!(bells.known.is_empty());
    }

    #[test]
    fn a_bell_of_an_earlier_process_that_rings_for_nothing_is_taken_down_and_ours_is_not() {
        let (mut bells, now) = (Bells::default(), Instant::now());
        assert!(bells.found(A, Some(JOB), false, now));
        assert_eq!(told(&mut bells, now), [(A, false)]);
        bells.ring(B, None, now);
        assert_eq!(told(&mut bells, now), [(B, true)]);
        assert!(!bells.found(B, None, false, now), "this process rang it, so it knows what for");
        assert_eq!(bells.ringing(), 1);
    }

    #[test]
    fn what_is_found_at_the_broker_does_not_overrule_what_we_want() {
        let (mut bells, now) = (Bells::default(), Instant::now());
        bells.ring(A, Some(JOB), now);
        assert_eq!(bells.next(now).unwrap().1, Message::Ring { job: Some(JOB), expires_s: 86_400 });
        assert!(bells.silence(A));
        assert!(!bells.found(A, None, true, now));
        bells.settle(A, true);
        assert_eq!(told(&mut bells, now), [(A, false)]);
    }

    #[test]
    fn ring_heard_ring_ends_ringing_whenever_the_broker_answers() {
        let (mut bells, now) = (Bells::default(), Instant::now());
        bells.ring(A, None, now);
        assert_eq!(told(&mut bells, now), [(A, true)]);
        assert!(bells.silence(A));
        bells.ring(A, None, now);
        assert_eq!(told(&mut bells, now), [], "one message of a device at a time");
        bells.settle(A, true);
        assert_eq!(told(&mut bells, now), [(A, true)]);
    }

    #[test]
    fn a_new_broker_is_told_of_bells_that_ring_and_of_clears_it_may_have_missed() {
        let (mut bells, now) = (Bells::default(), Instant::now());
        for device in [A, B] {
            bells.ring(device, None, now);
        }
        assert_eq!(told(&mut bells, now).len(), 2);
        bells.settle(A, true);
        bells.settle(B, true);
        assert!(bells.silence(B));
        assert_eq!(told(&mut bells, now), [(B, false)]); // never answered: the connection breaks
        bells.start_over(now);
        let mut again = told(&mut bells, now);
        again.sort_unstable();
        assert_eq!(again, [(A, true), (B, false)]);
    }

    #[test]
    fn a_refused_message_is_not_repeated_without_a_reason() {
        let (mut bells, now) = (Bells::default(), Instant::now());
        bells.ring(A, None, now);
        assert_eq!(told(&mut bells, now).len(), 1);
        bells.settle(A, false);
        assert_eq!(told(&mut bells, now), []);
        bells.ring(A, None, now);
        assert_eq!(told(&mut bells, now), [(A, true)]);
    }

    #[test]
    fn bells_that_nobody_hears_end_with_the_brokers_memory_of_them() {
        let (mut bells, now) = (Bells::default(), Instant::now());
        bells.ring(A, None, now);
        assert_eq!(bells.next(now + LIFE / 2).unwrap().1, Message::Ring { job: None, expires_s: 43_200 });
        bells.settle(A, true);
        bells.ring(B, None, now);
        bells.sweep(now + LIFE);
        assert!(bells.known.is_empty() && bells.due.is_empty());
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Ring(u8),
        Hear(u8),
        Send,
        Settle,
        /// The connection breaks after `kept` of the messages under way; with or without the broker's memory.
        Reconnect {
            kept: usize,
            wiped: bool,
        },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (0..4u8).prop_map(Step::Ring),
            3 => (0..4u8).prop_map(Step::Hear),
            4 => Just(Step::Send),
            4 => Just(Step::Settle),
            1 => (0..4usize, any::<bool>()).prop_map(|(kept, wiped)| Step::Reconnect { kept, wiped }),
        ];
        proptest::collection::vec(step, 0..80)
    }

    /// A broker that takes messages in order, and a wire that can break.
    #[derive(Default)]
    struct Broker {
        retained: HashMap<DeviceId, bool>,
        wire: alloc::collections::VecDeque<(DeviceId, Message)>,
    }

    impl Broker {
        fn take(&mut self) -> Option<DeviceId> {
            let (device, message) = self.wire.pop_front()?;
            self.retained.insert(device, message != Message::Clear);
            Some(device)
        }
    }

    proptest! {
        #[test]
        fn the_broker_ends_with_what_rings_whatever_breaks(steps in steps()) {
            let (mut bells, now) = (Bells::default(), Instant::now());
            let mut broker = Broker::default();
            let mut wanted = HashMap::new();
            for step in steps {
                match step {
                    Step::Ring(n) => {
                        bells.ring(DeviceId::new([n; 16]), None, now);
                        wanted.insert(DeviceId::new([n; 16]), true);
                    }
                    Step::Hear(n) => {
                        bells.silence(DeviceId::new([n; 16]));
                        wanted.insert(DeviceId::new([n; 16]), false);
                    }
                    Step::Send => broker.wire.extend(bells.next(now)),
                    Step::Settle => {
                        if let Some(device) = broker.take() {
                            bells.settle(device, true);
                        }
                    }
                    Step::Reconnect { kept, wiped } => {
                        for _ in 0..kept {
                            broker.take();
                        }
                        broker.wire.clear();
                        if wiped {
                            broker.retained.clear();
                        }
                        bells.start_over(now);
                    }
                }
            }
            for _ in 0..100 {
                broker.wire.extend(bells.next(now));
                if let Some(device) = broker.take() {
                    bells.settle(device, true);
                }
            }
            prop_assert!(broker.wire.is_empty() && bells.due.is_empty());
            for (device, rings) in wanted {
                prop_assert_eq!(broker.retained.get(&device).copied().unwrap_or(false), rings);
            }
            prop_assert_eq!(bells.known.len(), bells.ringing(), "nothing is kept but what rings");
        }
    }
}
