//! The simulated flash keeps the rules of flash, and breaks them in exactly the ways it says.

mod at_rest;
mod banks;
mod clones;
mod cuts;
mod error_correction;
mod model;
mod reads;
mod rules;
mod torn_erases;
mod torn_writes;
mod wear;

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use embedded_storage::nor_flash::{NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use ota_slots::sim::{Bank, Cut, CutMode, Flash, Logged, SimError};
use proptest::prelude::*;

const PAGE: usize = 1024;
/// Where the second page begins.
const SECOND: u32 = 1024;
const ERASED: [u8; 2] = [0xFF, 0x00];
/// Reads enough to see what happens one time in 32, and to tell it from one time in two.
const READS: u32 = 3200;

type Words = Flash<4, PAGE>;
type Lines = Flash<32, PAGE>;

fn words(erased: u8) -> Words {
    Words::new(4 * PAGE, erased, 1)
}

fn read<const W: usize, const P: usize, const N: usize>(flash: &mut Flash<W, P>, at: u32) -> [u8; N] {
    let mut bytes = [0; N];
    flash.read(at, &mut bytes).unwrap();
    bytes
}

/// Fails the next operation in this mode, and brings the power back.
fn cut_next<const W: usize, const P: usize>(
    flash: &mut Flash<W, P>,
    mode: CutMode,
    operation: impl FnOnce(&mut Flash<W, P>) -> Result<(), SimError>,
) {
    flash.cut(Cut { operation: flash.operations(), mode });
    assert_eq!(operation(flash), Err(SimError::PowerLost), "{mode:?}");
    assert!(flash.cut_fired() && !flash.is_powered(), "{mode:?}");
    flash.power_on();
}

/// A flash whose write of `data` to byte 0 was cut.
fn torn_write(erased: u8, mode: CutMode, data: &[u8]) -> Lines {
    let mut flash = Lines::new(2 * PAGE, erased, 7);
    cut_next(&mut flash, mode, |flash| flash.write(0, data));
    flash
}

/// A flash whose first page was all programmed, and then its erase was cut.
fn torn_erase(erased: u8, mode: CutMode) -> Lines {
    let mut flash = Lines::new(2 * PAGE, erased, 7);
    flash.write(0, &[!erased; PAGE]).unwrap();
    cut_next(&mut flash, mode, |flash| flash.erase(0, SECOND));
    flash
}

/// How many of `READS` reads of the first page differ from `expected`, and in how many different bits.
fn deviations(flash: &mut Lines, expected: &[u8; PAGE]) -> (u32, usize) {
    let (mut deviating, mut bits) = (0, BTreeSet::new());
    for _ in 0..READS {
        let found: [u8; PAGE] = read(flash, 0);
        deviating += u32::from(found != *expected);
        for at in (0..PAGE).filter(|at| found[*at] != expected[*at]) {
            bits.extend(
                (0..8).filter(|bit| (found[at] ^ expected[at]) >> bit & 1 == 1).map(|bit| 8 * at + bit),
            );
        }
    }
    (deviating, bits.len())
}

fn with_start(erased: u8, data: &[u8]) -> [u8; PAGE] {
    let mut page = [erased; PAGE];
    page[..data.len()].copy_from_slice(data);
    page
}

/// The simulated flash never waits, so one poll finishes.
fn finish<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("simulated flash does not wait"),
    }
}

#[test]
fn asynchronous_flash_is_the_same_flash() {
    async fn life(flash: &mut impl embedded_storage_async::nor_flash::NorFlash<Error = SimError>) -> [u8; 4] {
        flash.erase(0, 1024).await.unwrap();
        flash.write(0, &[1; 4]).await.unwrap();
        assert_eq!(flash.write(0, &[1; 4]).await, Err(SimError::ProgrammedTwice));
        let mut bytes = [0; 4];
        flash.read(0, &mut bytes).await.unwrap();
        bytes
    }

    let mut flash = words(0xFF);
    assert_eq!(finish(life(&mut flash)), [1; 4]);
    assert_eq!((flash.operations(), flash.violations()), (2, 1));
}
