//! What an undisturbed update costs the flash, phase by phase: erases, bytes, calls.
//!
//! The image is 400 KiB, pages are 4 KiB, words 4 bytes, journal and progress two pages each; the counts are those of the
//! simulated flash. Beside them: what a small image costs in a large slot, and how long a journal lasts.

use anyhow::{Context, Result, ensure};
use ota_manifest::{Frame, ResetCause, Role, RollbackReason};
use ota_slots::sim::{Counts, Flash, Lab, Release};
use ota_slots::{
    App, Boot, Confirmed, Geometry, Guard, Handover, Layout, Machine, Opened, Partition, Region, SlotId,
    SlotRegion, Staged, Strategy, Trial, WORK_BUFFER, run_blocking,
};
use serde_json::{Map, Value, json};

const PAGE: u32 = 4096;
const GEOMETRY: Geometry = Geometry::NRF52840;
/// The image that everybody measures with.
const IMAGE: usize = 400 * 1024;
/// A small one, in a slot for a large one.
const SMALL: usize = 64 * 1024;
/// Erase cycles that a page is specified for (nRF52840 product specification).
const ENDURANCE: u64 = 10_000;

type Chip = Flash<4, 4096>;

/// Takes all figures of ours.
///
/// # Errors
/// If an undisturbed update does not end as it should.
pub fn take() -> Result<Value> {
    let mut strategies = Vec::new();
    for (name, strategy) in [
        ("DirectXip", Strategy::DirectXip),
        ("SwapOffset", Strategy::SwapOffset),
        ("Overwrite", Strategy::Overwrite),
    ] {
        let full = Bench::new(strategy, IMAGE)?.phases()?;
        let small = Bench::new(strategy, SMALL)?.phases()?;
        strategies.push(json!({
            "name": name,
            "phases": full,
            "small_image": { "image_bytes": SMALL, "slot_bytes": SLOT, "phases": small },
            "journal_updates_at_10k_cycles": Bench::new(strategy, 8 * 1024)?.updates_of_a_journal()?,
        }));
    }
    Ok(json!({ "image_bytes": IMAGE, "strategies": strategies }))
}

/// The figures for people.
#[must_use]
pub fn table(figures: &Value) -> String {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut text = format!("{:<11} {:<25}", "", "");
    for column in ["erases", "written", "read", "calls"] {
        text += &format!("{column:>10}");
    }
    text.push('\n');
    for strategy in list(&figures["strategies"]) {
        let name = strategy["name"].as_str().unwrap_or_default().to_owned();
        for (kind, phases) in [("", &strategy["phases"]), (" (64 KiB)", &strategy["small_image"]["phases"])] {
            for (phase, counts) in phases.as_object().into_iter().flatten() {
                text += &format!("{name:<11} {:<25}", format!("{phase}{kind}"));
                for column in ["erases", "bytes_written", "bytes_read", "read_calls"] {
                    text += &format!("{:>10}", counts[column].as_u64().unwrap_or_default());
                }
                text.push('\n');
            }
        }
        text +=
            &format!("{name:<11} a journal lasts {} updates\n", strategy["journal_updates_at_10k_cycles"]);
    }
    text
}

/// 496 KiB.
const SLOT: u32 = 124 * PAGE;

const fn pages(start: u32, len: u32) -> Region {
    Region::new(GEOMETRY, start * PAGE, len * PAGE)
}

fn layout(strategy: Strategy) -> Result<Layout> {
    let (journal, progress, guard) = (pages(0, 2), pages(2, 2), pages(4, 2));
    let (a, b) = (pages(6, 124), pages(130, 124));
    let slot = |region: Region| SlotRegion::new(region, region.start);
    let partition = match strategy {
        Strategy::DirectXip => Partition::direct_xip(journal, slot(a), slot(b)),
        Strategy::SwapOffset => Partition::swap_offset(journal, slot(a), b, progress),
        Strategy::Overwrite => Partition::overwrite_without_way_back(journal, slot(a), b, progress),
    };
    Layout::new(partition.with_guard(guard)).context("the layout of the measurement")
}

/// A device whose flash counts.
struct Bench {
    lab: Lab,
    layout: Layout,
    chip: Chip,
    size: usize,
    buffer: [u8; WORK_BUFFER],
}

impl Bench {
    fn new(strategy: Strategy, size: usize) -> Result<Self> {
        let layout = layout(strategy)?;
        let lab = Lab::with_layout(layout);
        let mut chip = Chip::new(254 * PAGE as usize, 0xFF, 1);
        chip.keep_log(false);
        lab.provision(&mut chip, &lab.release(1, size));
        Ok(Self { lab, layout, chip, size, buffer: [0; WORK_BUFFER] })
    }

    fn run<M: Machine>(&mut self, machine: M) -> M::Output {
        run_blocking(machine, &mut self.chip, &self.layout, &mut self.buffer, || ())
    }

    /// A bootloader from reset to jump.
    fn boot(&mut self, cause: ResetCause) -> Result<Handover> {
        let (layout, policy) = (self.layout, self.lab.policy());
        let mut guard = self.run(Guard::read(&layout));
        let handover = if layout.strategy().moves() {
            self.run(Boot::moving(&layout, &policy, cause).with_guard(&guard))
        } else {
            self.run(Boot::new(&layout, &policy, cause).with_guard(&guard))
        };
        let handover = handover.context("an undisturbed device boots")?;
        self.run(guard.note(&layout, &handover)).context("an undisturbed guard region takes its cell")?;
        Ok(handover)
    }

    /// Counts since the last call.
    fn counted(&mut self) -> Value {
        let counts: Counts = self.chip.counts();
        self.chip.reset_counts();
        json!({
            "erases": counts.erases,
            "bytes_written": counts.bytes_written,
            "bytes_read": counts.bytes_read,
            "read_calls": counts.reads,
        })
    }

    /// An update that is confirmed, an idle boot, and an update that is rolled back.
    fn phases(mut self) -> Result<Value> {
        let mut phases = Map::new();
        let _ = self.boot(ResetCause::PowerOn)?;
        self.chip.reset_counts();
        self.update(2, &mut phases)?;
        let handover = self.boot(ResetCause::Software)?;
        phases.insert("activate".into(), self.counted());
        self.confirm(handover.slot())?;
        phases.insert("confirm".into(), self.counted());
        let _ = self.boot(ResetCause::Software)?;
        phases.insert("first_boot_after_confirm".into(), self.counted());
        let _ = self.boot(ResetCause::Software)?;
        phases.insert("idle_boot".into(), self.counted());

        self.update(3, &mut Map::new())?;
        let handover = self.boot(ResetCause::Software)?;
        self.fail(handover.slot())?;
        self.chip.reset_counts();
        let _ = self.boot(ResetCause::Software)?;
        phases.insert("go_back".into(), self.counted());
        Ok(phases.into())
    }

    fn update(&mut self, number: u16, phases: &mut Map<String, Value>) -> Result<()> {
        let release = self.lab.release(number, self.size);
        let (layout, policy) = (self.layout, self.lab.policy());
        let running = self.running()?;
        let opened = self.run(Opened::open(&layout, &policy, running)).context("the journal opens")?;
        let Opened::Confirmed(mut app) = opened else { anyhow::bail!("the running image is confirmed") };
        self.chip.reset_counts();
        let staged = self.download(&mut app, &release, phases)?;
        let request = app.request_boot(&staged, core::num::NonZeroU8::MIN.saturating_add(2))?;
        let _reboot = self.run(request)?;
        phases.insert("request_boot".into(), self.counted());
        Ok(())
    }

    fn running(&mut self) -> Result<SlotId> {
        Ok(self.boot(ResetCause::Software)?.slot())
    }

    /// In chunks of 1 KiB.
    fn download(
        &mut self,
        app: &mut App<'_, Confirmed>,
        release: &Release,
        phases: &mut Map<String, Value>,
    ) -> Result<Staged> {
        let policy = self.lab.policy();
        let frame = Frame::parse(&release.envelope)?;
        let authentic = policy.trust.authenticate(frame, Role::Release)?;
        let update = authentic.admit(&app.device_state())?;
        let built = release.for_slot(app.slot().other());
        let begin = app.begin(&update, &release.envelope)?;
        let mut staging = self.run(begin)?;
        self.run(staging.erase_leaves()).map_err(|error| anyhow::anyhow!("leaves: {error:?}"))?;
        let store = staging.store_leaves(0, &built.leaves)?;
        self.run(store).map_err(|error| anyhow::anyhow!("leaves: {error:?}"))?;
        ensure!(self.run(staging.check_leaves()), "the leaf list is what was written");
        let chunk = staging.image().chunk_size.bytes() as usize;
        for block in 0..staging.blocks() {
            self.run(staging.erase_block(block)).map_err(|error| anyhow::anyhow!("block: {error:?}"))?;
            let (first, end) = staging.chunks_of(block);
            for index in first..end {
                let start = index as usize * chunk;
                let bytes = &built.image[start..built.image.len().min(start + chunk)];
                self.run(staging.store_chunk(index, bytes))?;
            }
        }
        phases.insert("download".into(), self.counted());
        let staged = self.run(app.finish(&staging))?;
        phases.insert("prove".into(), self.counted());
        Ok(staged)
    }

    fn on_trial<'a>(
        &mut self,
        slot: SlotId,
        layout: &'a Layout,
        policy: &'a ota_slots::Policy<'a>,
    ) -> Result<App<'a, Trial>> {
        let opened = self.run(Opened::open(layout, policy, slot)).context("the journal opens")?;
        let Opened::Trial(app) = opened else { anyhow::bail!("the new image is on trial") };
        Ok(app)
    }

    fn confirm(&mut self, slot: SlotId) -> Result<()> {
        let (layout, policy) = (self.layout, self.lab.policy());
        let app = self.on_trial(slot, &layout, &policy)?;
        let confirmed = self.run(app.confirm());
        ensure!(confirmed.is_ok(), "an undisturbed journal takes the record");
        Ok(())
    }

    fn fail(&mut self, slot: SlotId) -> Result<()> {
        let (layout, policy) = (self.layout, self.lab.policy());
        let app = self.on_trial(slot, &layout, &policy)?;
        let failed = self.run(app.fail(RollbackReason::SelfTest));
        ensure!(failed.is_ok(), "an undisturbed journal takes the record");
        Ok(())
    }

    /// How many updates two journal pages see before the first has been erased so often.
    fn updates_of_a_journal(mut self) -> Result<u64> {
        const UPDATES: u16 = 64;
        let _ = self.boot(ResetCause::PowerOn)?;
        let before = self.journal_erases();
        for number in 2..2 + UPDATES {
            self.update(number, &mut Map::new())?;
            let handover = self.boot(ResetCause::Software)?;
            self.confirm(handover.slot())?;
        }
        let erases = self.journal_erases() - before;
        Ok(u64::from(UPDATES) * ENDURANCE / u64::from(erases.max(1)))
    }

    /// Of the page that was erased most.
    fn journal_erases(&self) -> u32 {
        self.chip.wear().iter().take(2).copied().max().unwrap_or(0)
    }
}
