//! The acts, one file each.

pub(crate) mod bad_release;
pub(crate) mod man_in_the_middle;
pub(crate) mod power;
pub(crate) mod rollout;
pub mod table;
