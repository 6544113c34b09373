//! The devices lives are led on: strategy, geometry, sizes, wear.

use ota_slots::sim::Bank;
use ota_slots::{Geometry, Layout, LayoutError, Partition, Region, SlotRegion, Strategy};

use crate::chip::Chip;

/// The strategies, in the order of the report.
pub const STRATEGIES: [Strategy; 3] = [Strategy::DirectXip, Strategy::SwapOffset, Strategy::Overwrite];
/// Erase pages of progress and guard region.
const TWO_PAGES: u32 = 2;
/// Bytes that a trust document may have, in whole pages of any board.
const TRUST: u32 = 4096;

/// What is worn out from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wear {
    /// Nothing.
    None,
    /// One unit of a journal cell keeps what it holds, without a word.
    JournalCell,
    /// One unit of a progress cell does.
    ProgressCell,
    /// One page of the journal refuses erases and writes.
    JournalPage,
}

/// A kind of device.
#[derive(Debug, Clone)]
pub struct Board {
    /// Its name in reports and on the command line.
    pub name: String,
    /// How a staged image becomes the running one.
    pub strategy: Strategy,
    /// How its flash behaves.
    pub geometry: Geometry,
    /// How the flash below slot B behaves, if it is a chip of its own.
    pub second_chip: Option<Geometry>,
    /// Whether reads go through error correction.
    pub corrects_errors: bool,
    /// Whether there is a guard region.
    pub guarded: bool,
    /// Whether there is room for a chain of trust documents.
    pub chains_trust: bool,
    /// What is worn out.
    pub wear: Wear,
    /// Erase pages of the journal.
    pub journal_pages: u32,
    /// Erase pages of slot A and slot B, each of its chip.
    pub slot_pages: [u32; 2],
    /// Bytes of the images of releases 1, 2 and 3.
    pub images: [usize; 3],
    /// Bytes of a chunk, as a power of two.
    pub chunk_log2: u8,
    /// Power sessions that each wrote a record before the life begins: where the journal stands.
    pub records: usize,
}

/// A strategy's name in reports.
#[must_use]
pub const fn name_of(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::DirectXip => "DirectXip",
        Strategy::SwapOffset => "SwapOffset",
        Strategy::Overwrite => "Overwrite",
    }
}

impl Board {
    /// 400 KiB images in 4 KiB pages of 4-byte words: what the figures are stated for. The journal begins where a page
    /// change falls into the lives.
    #[must_use]
    pub fn large(strategy: Strategy) -> Self {
        Self {
            name: format!("{}/large", name_of(strategy)),
            geometry: Geometry::NRF52840,
            guarded: true,
            // 100 pages of image, 4 of leaf list, 1 of envelope; two more where images are swapped in.
            slot_pages: [105, 107],
            images: [409_600; 3],
            records: 6,
            ..Self::small(strategy)
        }
    }

    /// 16 KiB slots in 1 KiB pages of 4-byte words: small enough for every pair of cuts.
    #[must_use]
    pub fn small(strategy: Strategy) -> Self {
        Self {
            name: format!("{}/small", name_of(strategy)),
            strategy,
            geometry: Geometry { erase_page: 1024, write_size: 4, erased: 0xFF },
            second_chip: None,
            corrects_errors: false,
            guarded: false,
            chains_trust: false,
            wear: Wear::None,
            journal_pages: 2,
            slot_pages: [16, 16],
            images: [3000, 5500, 4600],
            chunk_log2: 10,
            records: 0,
        }
    }

    /// Whether its images are large: then lives begin where they differ from others.
    #[must_use]
    pub const fn is_large(&self) -> bool {
        self.images[1] > 100_000
    }

    /// The same under another name.
    #[must_use]
    pub fn named(self, suffix: &str) -> Self {
        Self { name: format!("{}/{suffix}", name_of(self.strategy)), ..self }
    }

    /// The same with a guard region.
    #[must_use]
    pub fn guarded(self) -> Self {
        Self { guarded: true, ..self }
    }

    /// The partition: journal, progress, guard, trust, slots.
    ///
    /// # Errors
    /// [`LayoutError`] for a board that cannot be.
    pub fn layout(&self) -> Result<Layout, LayoutError> {
        let mut end = 0;
        let mut next = |geometry: Geometry, len: u32| {
            let start = u32::next_multiple_of(end, geometry.erase_page);
            end = start + len;
            Region::new(geometry, start, len)
        };
        let (here, page) = (self.geometry, self.geometry.erase_page);
        let there = self.second_chip.unwrap_or(here);
        let journal = next(here, self.journal_pages * page);
        let progress = self.strategy.moves().then(|| next(here, TWO_PAGES * page));
        let guard = self.guarded.then(|| next(here, TWO_PAGES * page));
        let trust = self.chains_trust.then(|| (next(here, 2 * TRUST), next(here, TRUST)));
        let [pages_a, pages_b] = self.slot_pages;
        let a = next(here, pages_a * page);
        let b = next(there, pages_b * there.erase_page);
        let slot = |region: Region| SlotRegion::new(region, 0x10_0000 + region.start);
        let partition = match (self.strategy, progress) {
            (Strategy::SwapOffset, Some(progress)) => Partition::swap_offset(journal, slot(a), b, progress),
            (Strategy::Overwrite, Some(progress)) => {
                Partition::overwrite_without_way_back(journal, slot(a), b, progress)
            }
            _ => Partition::direct_xip(journal, slot(a), slot(b)),
        };
        let partition = guard.map_or(partition, |guard| partition.with_guard(guard));
        Layout::new(trust.map_or(partition, |(kept, inbox)| partition.with_trust(kept, inbox)))
    }

    /// A flash with nothing on it.
    #[must_use]
    pub fn chip(&self, layout: &Layout) -> Chip {
        let region = layout.slot(ota_slots::SlotId::B).region;
        let end = region.start + region.len;
        let bank = |Geometry { erase_page, write_size, erased }: Geometry, len| Bank {
            len,
            write_size,
            erase_page,
            erased,
        };
        let banks = match self.second_chip {
            Some(second) => vec![bank(self.geometry, region.start), bank(second, region.len)],
            None => vec![bank(self.geometry, end)],
        };
        Chip::new(&banks, self.corrects_errors)
    }

    /// Wears out what is worn on this board.
    pub fn wear_out(&self, chip: &mut Chip, layout: &Layout) {
        let journal = layout.journal().start;
        match (self.wear, layout.progress()) {
            (Wear::None, _) | (Wear::ProgressCell, None) => {}
            // The sequence of the third record.
            (Wear::JournalCell, _) => chip.stick(journal + 2 * 128 + 4),
            (Wear::ProgressCell, Some(progress)) => {
                let cell = self.geometry.write_size.max(16);
                chip.stick(progress.start + 3 * cell + 4);
            }
            (Wear::JournalPage, _) => chip.fail_page(journal + self.geometry.erase_page),
        }
    }
}
