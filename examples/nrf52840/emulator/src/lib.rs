//! An nRF52840 on a host: unmodified firmware in virtual time, with the power cut at any flash operation.
//!
//! What is modelled, how it is checked and what it does not show stands in the README, whose example is tested here.
//!
//! ```text
//!  Program (ELF) --load--> Machine --run--> Stop
//!                            |  core: instructions, exceptions
//!                            |  chip: flash and NVMC, ACL, UARTE, RTC, TIMER, WDT, ...
//!  bytes --send/sent--> UARTE, devices --> TWIM, levels --> GPIO, FlashFault --> flash
//! ```
#![forbid(unsafe_code)]

mod chip;
mod core;
mod coverage;
mod elf;
mod machine;

pub use chip::{
    Answer, Cut, Flash, FlashFault, HZ, Misuse, Operation, PAGE, PAGES, PROGRAMS_PER_ERASE, ResetCause,
    TwiDevice, UICR, Unmodelled,
};
pub use core::{
    Bus, BusError, Core, Decoded, Defect, Exception, Fault, FaultRecord, Halt, Register, Sleep, Touch,
};
pub use coverage::Coverage;
pub use elf::{ElfError, Program};
pub use machine::{Machine, Stop, describe_fault};

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
