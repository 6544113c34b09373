//! Flash taken by the device crates: the program without an allocator, linked for each crate and for all.
//!
//! Each figure holds the crates below as well; the difference between two lines is what the upper crate adds. The
//! empty program (entry point and panic handler) is the base line.

use anyhow::Result;

use crate::cargo_metadata::Workspace;
use crate::no_alloc::{self, Calls};
use crate::quickstart::Figures;

/// The programs: figure name and features of `xtask/no-alloc`.
const PROGRAMS: [(&str, &[&str]); 5] = [
    ("empty", &[]),
    ("manifest", &["manifest"]),
    ("verify", &["verify"]),
    ("slots", &["slots"]),
    ("agent", &["agent"]),
];

/// Links them all and reads code and constants, in bytes.
pub(super) fn take(workspace: &Workspace) -> Result<Figures> {
    let mut figures = Figures::new();
    for (name, crates) in PROGRAMS {
        let sizes = no_alloc::link(workspace, &Calls::Only(crates))?;
        figures.insert(format!("{name}_text_bytes"), sizes.text.into());
    }
    let all = no_alloc::link(workspace, &Calls::All)?;
    figures.insert("all_text_bytes".into(), all.text.into());
    figures.insert("all_data_bytes".into(), all.data.into());
    figures.insert("all_bss_bytes".into(), all.bss.into());
    Ok(figures)
}
