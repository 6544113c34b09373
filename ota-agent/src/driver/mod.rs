//! Carries out slot work, on blocking flash and on asynchronous flash.

mod answer;
mod perform;
mod slots;

use embedded_storage::nor_flash::NorFlash;
use ota_manifest::Role;
use ota_slots::{App, Layout, OpenError, Opened, Policy, SlotId, WORK_BUFFER, run_blocking};
use ota_verify::Trust;

use crate::{BootReport, SlotWork, SlotsAnswer, Started};
pub use perform::Perform;
use slots::Slots;

/// The slots of the running firmware, on behalf of an [`Agent`](crate::Agent).
///
/// Each piece of work is one machine, [`Perform`]. [`Self::perform`] and `perform_async` (feature `async`) run it; so does
/// anything else that runs a [`Machine`](ota_slots::Machine):
///
/// ```
/// # #[cfg(feature = "sim")] {
/// # use ota_agent::{Bench, SlotDriver, SlotWork, SlotsAnswer};
/// # use ota_slots::{Machine, Op, SlotId, Step, WORK_BUFFER, sim::Lab};
/// # let lab = Lab::new();
/// # let (mut flash, layout, policy) = (lab.provisioned(&lab.release(1, 5000)), lab.layout(), lab.policy());
/// let mut buffer = [0; WORK_BUFFER];
/// let bench = Bench { flash: &mut flash, buffer: &mut buffer, feed: &mut || { /* feed the watchdog */ } };
/// let (mut slots, report) = SlotDriver::open(&layout, &policy, SlotId::A, bench).unwrap();
/// assert_eq!(report.order.sequence, 1);
///
/// let bench = Bench { flash: &mut flash, buffer: &mut buffer, feed: &mut || () };
/// let answer = slots.perform(SlotWork::Save { context: [7; 32] }, bench);
/// assert!(matches!(answer, SlotsAnswer::Done));
///
/// let mut save = slots.start(SlotWork::Save { context: [8; 32] }); // the same by hand
/// assert!(matches!(save.resume(&mut buffer, Ok(())), Step::Op(Op::Write { .. })));
/// # }
/// ```
#[derive(Debug)]
pub struct SlotDriver<'a> {
    slots: Slots<'a>,
    /// A machine has been started and has not come to its end.
    at_work: bool,
}

/// Flash, memory to work in, and the watchdog: what [`SlotDriver::perform`] needs beside the work.
pub struct Bench<'f, F, const BUFFER: usize = WORK_BUFFER> {
    /// The flash: `embedded_storage`'s `NorFlash`, or for `perform_async` that of `embedded_storage_async`.
    pub flash: &'f mut F,
    /// Memory to work in, [`WORK_BUFFER`] bytes or more.
    pub buffer: &'f mut [u8; BUFFER],
    /// Feeds the watchdog; called before every flash operation, none of which is longer than one page erase. Slot work is
    /// bounded by the length of a slot, so this cannot keep a stuck loop alive.
    pub feed: &'f mut dyn FnMut(),
}

impl<'a> SlotDriver<'a> {
    /// Reads the journal on behalf of the firmware that runs from `slot`.
    ///
    /// # Errors
    /// [`OpenError`]: the firmware may run on, but it cannot update.
    pub fn open<F: NorFlash, const BUFFER: usize>(
        layout: &'a Layout,
        policy: &'a Policy<'a>,
        slot: SlotId,
        bench: Bench<'_, F, BUFFER>,
    ) -> Result<(Self, BootReport), OpenError> {
        let open = Opened::open(layout, policy, slot);
        let opened = run_blocking(open, bench.flash, layout, bench.buffer, bench.feed)?;
        Ok(Self::new(layout, policy, opened))
    }

    /// [`Self::open`] on asynchronous flash.
    ///
    /// # Errors
    /// [`OpenError`]: the firmware may run on, but it cannot update.
    #[cfg(feature = "async")]
    pub async fn open_async<F: embedded_storage_async::nor_flash::NorFlash, const BUFFER: usize>(
        layout: &'a Layout,
        policy: &'a Policy<'a>,
        slot: SlotId,
        bench: Bench<'_, F, BUFFER>,
    ) -> Result<(Self, BootReport), OpenError> {
        let open = Opened::open(layout, policy, slot);
        let opened = ota_slots::run_async(open, bench.flash, layout, bench.buffer, bench.feed).await?;
        Ok(Self::new(layout, policy, opened))
    }

    fn new(layout: &'a Layout, policy: &'a Policy<'a>, opened: Opened<'a>) -> (Self, BootReport) {
        let trust = &policy.trust;
        let report = match &opened {
            Opened::Confirmed(app) => report(app, Started::Settled, trust),
            Opened::Stranded(app) => report(app, Started::Settled, trust),
            Opened::Trial(app) => report(app, Started::Trial, trust),
        };
        (Self { slots: Slots::new(layout, policy, opened), at_work: false }, report)
    }

    /// Begins one piece of work: a machine whose last step is the answer for the agent.
    ///
    /// Dropped before that, it is a power cut. What the flash holds is then known only to who reads it again, so from there
    /// on the driver refuses all work on it ([`SlotsAnswer::Failed`]): open the slots anew, and build an agent from the report.
    pub fn start<'d>(&'d mut self, work: SlotWork<'d>) -> Perform<'d, 'a> {
        if core::mem::replace(&mut self.at_work, true) {
            self.slots.forget();
        }
        Perform::new(self.slots.start(work), &mut self.at_work)
    }

    /// Does one piece of work on blocking flash.
    pub fn perform<F: NorFlash, const BUFFER: usize>(
        &mut self,
        work: SlotWork<'_>,
        bench: Bench<'_, F, BUFFER>,
    ) -> SlotsAnswer {
        let layout = self.slots.layout();
        run_blocking(self.start(work), bench.flash, layout, bench.buffer, bench.feed)
    }

    /// Does one piece of work on asynchronous flash.
    ///
    /// Let it come to its end: dropped before, it is a power cut, see [`Self::start`]. Who races something against the
    /// network should race the network alone.
    #[cfg(feature = "async")]
    pub async fn perform_async<F: embedded_storage_async::nor_flash::NorFlash, const BUFFER: usize>(
        &mut self,
        work: SlotWork<'_>,
        bench: Bench<'_, F, BUFFER>,
    ) -> SlotsAnswer {
        let layout = self.slots.layout();
        ota_slots::run_async(self.start(work), bench.flash, layout, bench.buffer, bench.feed).await
    }
}

fn report<S>(app: &App<'_, S>, started: Started, trust: &Trust<'_>) -> BootReport {
    BootReport {
        started,
        event: app.event(),
        opaque: *app.opaque(),
        manifest: app.manifest_id(),
        order: app.order(),
        floor: app.floor(),
        trust: trust.version(),
        asks: trust.has_keys(Role::Freshness),
    }
}
