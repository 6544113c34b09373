//! What the programs have in common: starting, measuring, reporting.
//!
//! Each file in `bin` is one program for the board of `m4.ld`. It takes its [`Inputs`] from RAM, where the emulator has
//! put them, so that no key and no signature counts as flash; it measures the call in question once, tries what must be
//! refused, and prints its [`Report`]. What a call adds to the flash is the difference to a program that does everything
//! but that call.
#![no_std]

mod cost;
mod host;
mod inputs;
mod report;
mod start;
mod tasks;

pub use inputs::Inputs;
pub use report::Report;
pub use tasks::{digest, list, signature};

/// Makes `task`, from [`Inputs`] to [`Report`], the program.
#[macro_export]
macro_rules! program {
    ($task:expr) => {
        // SAFETY: each program names its task once, and nothing else is called so.
        #[unsafe(no_mangle)]
        fn task(inputs: $crate::Inputs) -> $crate::Report {
            let task: fn($crate::Inputs) -> $crate::Report = $task;
            task(inputs)
        }
    };
}
