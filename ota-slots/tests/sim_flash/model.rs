//! Random histories, held against the plainest flash there could be.

//! Against the simplest flash there can be.

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Write { at: u32, data: Vec<u8> },
    Erase { page: u32 },
    Clone,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let data = prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..600),
        (1..80_usize).prop_map(|len| vec![0; len]),
        (1..80_usize).prop_map(|len| vec![0xFF; len]),
    ];
    let write = (0..520_u32, data).prop_map(|(unit, mut data)| {
        data.resize(data.len().next_multiple_of(4), 0);
        Step::Write { at: 4 * unit, data }
    });
    let step = prop_oneof![8 => write, 2 => (0..4_u32).prop_map(|page| Step::Erase { page }), 1 => Just(Step::Clone)];
    proptest::collection::vec(step, 1..40)
}

fn cut_mode() -> impl Strategy<Value = CutMode> {
    proptest::sample::select(CutMode::ALL.to_vec())
}

struct Simplest {
    bytes: Vec<u8>,
    programmed: Vec<bool>,
    erased: u8,
}

impl Simplest {
    fn apply(&mut self, step: &Step) -> Result<(), SimError> {
        match step {
            Step::Clone => {}
            Step::Erase { page } => {
                let page = *page as usize * 512..(*page as usize + 1) * 512;
                self.programmed[page.start / 4..page.end / 4].fill(false);
                self.bytes[page].fill(self.erased);
            }
            Step::Write { at, data } => {
                let at = *at as usize;
                if at + data.len() > self.bytes.len() {
                    return Err(SimError::OutOfBounds);
                }
                let units = || (at / 4..).zip(data.chunks(4));
                let legal = |(unit, data): (usize, &[u8])| {
                    !self.programmed[unit] || data.iter().all(|byte| *byte == !self.erased)
                };
                if !units().all(legal) {
                    return Err(SimError::ProgrammedTwice);
                }
                units().for_each(|(unit, _)| self.programmed[unit] = true);
                for (index, byte) in (at..).zip(data) {
                    let now = self.bytes[index];
                    self.bytes[index] = if self.erased == 0 { now | byte } else { now & byte };
                }
            }
        }
        Ok(())
    }
}

fn apply(flash: &mut Flash<4, 512>, step: &Step) -> Result<(), SimError> {
    match step {
        Step::Clone => {
            *flash = flash.clone();
            Ok(())
        }
        Step::Erase { page } => flash.erase(page * 512, (page + 1) * 512),
        Step::Write { at, data } => flash.write(*at, data),
    }
}

proptest! {
    #[test]
    fn undisturbed_flash_does_what_the_simplest_flash_does(steps in steps(), blank_is_zero: bool) {
        let erased = if blank_is_zero { 0x00 } else { 0xFF };
        let mut flash = Flash::<4, 512>::new(2048, erased, 1);
        let mut kept = Vec::new();
        let mut simplest = Simplest { bytes: vec![erased; 2048], programmed: vec![false; 512], erased };
        for step in &steps {
            kept.push((flash.clone(), simplest.bytes.clone()));
            prop_assert_eq!(apply(&mut flash, step), simplest.apply(step));
            prop_assert_eq!(&read::<_, _, 2048>(&mut flash, 0)[..], &simplest.bytes[..]);
        }
        for (flash, bytes) in kept {
            prop_assert_eq!(flash.bytes(), bytes);
        }
    }

    /// What embedded-storage promises: outside the bytes of the operation nothing changes.
    #[test]
    fn cut_changes_nothing_outside_its_operation_and_no_bit_the_wrong_way(
        steps in steps(), mode in cut_mode(), at in 0..40_usize, seed: u64,
    ) {
        let mut flash = Flash::<4, 512>::new(2048, 0xFF, seed);
        flash.cut(Cut { operation: at, mode });
        for step in &steps {
            let before = flash.bytes();
            if apply(&mut flash, step) != Err(SimError::PowerLost) {
                continue;
            }
            flash.power_on();
            let (start, len) = match flash.fired().unwrap().1 {
                Logged::Write { at, len } => (at as usize, len as usize),
                Logged::Erase { at } => (at as usize, 512),
            };
            let range = start..start + len;
            for _ in 0..50 {
                let after: [u8; 2048] = read(&mut flash, 0);
                prop_assert_eq!(&after[..start], &before[..start]);
                prop_assert_eq!(&after[range.end..], &before[range.end..]);
                let wrong_way = range.clone().any(|index| match step {
                    Step::Write { .. } => after[index] & !before[index] != 0,
                    _ => before[index] & !after[index] != 0,
                });
                prop_assert!(!wrong_way);
            }
            break;
        }
    }
}
