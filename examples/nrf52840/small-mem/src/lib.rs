//! `memcpy` and its like for programs that count bytes.
//!
//! The compiler calls these routines for every copy, fill and comparison of memory. Those that come with it take 1,270 bytes
//! of a bootloader, most of them for the case that source and destination are shifted against each other by less than a word.
//! These take 106: whole words where both are aligned, bytes otherwise. A program has them by naming this crate
//! (`use small_mem as _;`); the compiler's own give way, as they are weak symbols.
//!
//! Names, arguments and the registers that may be changed are those of the run-time ABI for the Arm architecture (ARM IHI 0043,
//! section 4.3.4): `r0` to `r3`, `r12`, flags.
#![no_std]
#![cfg_attr(target_arch = "arm", expect(unsafe_code, reason = "what is named memcpy must be memcpy"))]

// SAFETY argument, as no block of these is marked: each routine touches `n` bytes from the pointers that it is given and none
// beyond, for its counters go below zero before a word or byte too many is touched; it changes no other register than a
// called function may, and no stack.
#[cfg(target_arch = "arm")]
core::arch::global_asm!(include_str!("routines.s"), options(raw));
