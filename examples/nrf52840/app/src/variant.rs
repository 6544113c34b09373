//! What bad releases do, one feature each, so that the ways out of them can be shown. A product deletes this file, its
//! probe in `self_test.rs` and its line in `updates.rs`.
//!
//! | feature | what it does on trial | what ends it |
//! |---|---|---|
//! | `fails-self-test` | a probe says no, with a code of its own | the firmware itself: rolled back at once |
//! | `hangs` | an endless loop, interrupts on | the watchdog: an attempt less |
//! | `hangs-masked` | an endless loop, interrupts off | the watchdog |
//! | `hard-fault` | an undefined instruction | the lockup that the fault's handler makes of it |
//! | `silent` | says nothing to anybody | the trial's window: a reset that the agent asks for, an attempt less |

use ota_agent::self_test::{Fault, Outcome, Probe, Step};

/// Never says a word.
pub(crate) const SILENT: bool = cfg!(feature = "silent");

/// Misbehaves during the self-test.
pub(crate) struct Variant;

impl Probe for Variant {
    fn name(&self) -> &'static str {
        "variant"
    }

    fn timeout_ms(&self) -> u32 {
        1_000
    }

    fn poll(&mut self, _: u64) -> Step {
        if cfg!(feature = "hangs-masked") {
            cortex_m::interrupt::disable();
        }
        if cfg!(any(feature = "hangs", feature = "hangs-masked")) {
            loop {
                cortex_m::asm::nop();
            }
        }
        if cfg!(feature = "hard-fault") {
            cortex_m::asm::udf()
        }
        Step::Done(if cfg!(feature = "fails-self-test") {
            Outcome::Failed(Fault::Own(1))
        } else {
            Outcome::Passed
        })
    }
}
