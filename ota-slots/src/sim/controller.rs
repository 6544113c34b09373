//! The flash controller: what it refuses, and what it does.

use core::ops::Range;

use super::alloc::sync::Arc;
use super::alloc::vec;
use super::alloc::vec::Vec;
use super::flash::address;
use super::page::Health;
use super::tear::Operation;
use super::{Bank, CutMode, Flash, Logged, SimError};

/// A request that keeps the rules: bytes of one chip.
pub(super) struct Span {
    /// Number of the chip.
    pub(super) chip: usize,
    pub(super) bytes: Range<usize>,
}

/// Rules.
impl<const WRITE: usize, const PAGE: usize> Flash<WRITE, PAGE> {
    /// The bytes that a read or write is about, if they may be asked for; `None` if there are none.
    pub(super) fn admit(
        &mut self,
        at: u32,
        len: usize,
        align: impl Fn(&Bank) -> usize,
    ) -> Result<Option<Span>, SimError> {
        let located = self.locate(at as usize, len, align);
        self.note(located)
    }

    fn locate(
        &self,
        start: usize,
        len: usize,
        align: impl Fn(&Bank) -> usize,
    ) -> Result<Option<Span>, SimError> {
        if !self.powered {
            return Err(SimError::PowerLost);
        }
        let end = start.checked_add(len).filter(|end| *end <= self.len).ok_or(SimError::OutOfBounds)?;
        let Some(number) = self.chips.iter().position(|chip| chip.holds(start)) else { return Ok(None) };
        let chip = &self.chips[number];
        let align = align(&chip.bank);
        if end > chip.end() {
            Err(SimError::OutOfBounds)
        } else if !(start - chip.start).is_multiple_of(align) || !len.is_multiple_of(align) {
            Err(SimError::Unaligned)
        } else {
            Ok((len > 0).then_some(Span { chip: number, bytes: start..end }))
        }
    }

    pub(super) fn admit_erase(&mut self, from: usize, to: usize) -> Result<(), SimError> {
        let is_page_end = |at: usize| at == self.len || self.chip_of(at).is_page_start(at);
        let admitted = if !self.powered {
            Err(SimError::PowerLost)
        } else if from > to || to > self.len {
            Err(SimError::OutOfBounds)
        } else if is_page_end(from) && is_page_end(to) {
            Ok(())
        } else {
            Err(SimError::Unaligned)
        };
        self.note(admitted)
    }

    pub(super) fn refuse_second_program(&mut self, span: &Span, bytes: &[u8]) -> Result<(), SimError> {
        let limit = self.rules.programs;
        let mut pieces = self.chips[span.chip].pieces(span.bytes.clone());
        let refused = pieces.any(|piece| self.pages[piece.page].refuses(piece.at, &bytes[piece.span], limit));
        self.note(if refused { Err(SimError::ProgrammedTwice) } else { Ok(()) })
    }

    fn note<T>(&mut self, result: Result<T, SimError>) -> Result<T, SimError> {
        self.history.violations += usize::from(result.as_ref().is_err_and(|error| error.is_violation()));
        result
    }

    pub(super) fn answers(&self, bytes: &Range<usize>) -> Result<(), SimError> {
        let silent = bytes.start < self.silent.end && self.silent.start < bytes.end;
        if silent { Err(SimError::NoAnswer) } else { Ok(()) }
    }
}

/// Operations.
impl<const WRITE: usize, const PAGE: usize> Flash<WRITE, PAGE> {
    /// Takes note of an operation; the mode if power fails during it.
    pub(super) fn begin(&mut self, chip: usize, operation: Logged) -> Option<CutMode> {
        let counts = &mut self.chips[chip].counts;
        match operation {
            Logged::Write { len, .. } => {
                counts.writes += 1;
                counts.bytes_written += u64::from(len);
            }
            Logged::Erase { .. } => counts.erases += 1,
        }
        let cut = self.history.begin(operation);
        self.powered &= cut.is_none();
        cut
    }

    pub(super) fn program(&mut self, span: &Span, bytes: &[u8]) -> Result<(), SimError> {
        for piece in self.chips[span.chip].pieces(span.bytes.clone()) {
            let page = &mut self.pages[piece.page];
            if page.health() == Health::Failed {
                return Err(SimError::Worn);
            }
            Arc::make_mut(page).program(piece.at, &bytes[piece.span], self.rules.programs);
        }
        Ok(())
    }

    pub(super) fn tear_write(&mut self, span: &Span, bytes: &[u8], mode: CutMode) {
        let before = self.bytes_in(span.bytes.clone());
        let Bank { erased, write_size, .. } = self.chips[span.chip].bank;
        let drives: Vec<u8> = bytes.iter().map(|byte| byte ^ erased).collect();
        let operation =
            Operation { before: &before, drives: &drives, goal: !erased, unit: write_size as usize };
        let fates = operation.cut(mode, &mut self.random);
        for piece in self.chips[span.chip].pieces(span.bytes.clone()) {
            let page = &mut self.pages[piece.page];
            if page.health() != Health::Failed {
                Arc::make_mut(page).tear_program(piece.at, &fates[piece.span], self.rules.programs);
            }
        }
    }

    pub(super) fn erase_page(&mut self, at: usize, page: usize) -> Result<(), SimError> {
        let number = self.chips.iter().take_while(|chip| chip.end() <= at).count();
        let len = self.chips[number].bank.erase_page as usize;
        self.answers(&(at..at + len))?;
        if self.wear[page] >= self.rules.endurance {
            Arc::make_mut(&mut self.pages[page]).set_health(Health::Failed);
        }
        let failed = self.pages[page].health() == Health::Failed;
        let cut = self.begin(number, Logged::Erase { at: address(at) });
        if !failed && cut != Some(CutMode::Before) {
            self.wear[page] += 1;
            match cut {
                None | Some(CutMode::After) => self.blank(number, page),
                Some(mode) => self.tear_erase(number, page, mode),
            }
        }
        match (cut, failed) {
            (Some(_), _) => Err(SimError::PowerLost),
            (None, true) => Err(SimError::Worn),
            (None, false) => Ok(()),
        }
    }

    fn blank(&mut self, chip: usize, page: usize) {
        let page = &mut self.pages[page];
        if page.erases_completely() && Arc::get_mut(page).is_none() {
            // Shared with another flash: no use to copy what is about to go.
            *page = Arc::clone(&self.chips[chip].blank);
        } else {
            Arc::make_mut(page).erase();
        }
    }

    fn tear_erase(&mut self, chip: usize, page: usize, mode: CutMode) {
        let Bank { erased, write_size, .. } = self.chips[chip].bank;
        let page = &mut self.pages[page];
        let drives = vec![0xFF; page.cells().len()];
        let operation =
            Operation { before: page.cells(), drives: &drives, goal: erased, unit: write_size as usize };
        let fates = operation.cut(mode, &mut self.random);
        Arc::make_mut(page).tear_erase(&fates);
    }
}
