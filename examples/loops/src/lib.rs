//! A device's update loop twice, complete: over blocking drivers, and as an embassy task.
//!
//! Any chip fits whose support crate has the traits of `embedded-storage`, `embedded-io` and `embedded-hal`, or their
//! asynchronous sisters. The text of the other files stands in the README of `ota-agent`.
#![no_std]

pub mod blocking;
pub mod board;
pub mod chip;
pub mod embassy;
