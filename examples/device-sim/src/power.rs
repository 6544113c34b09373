//! A power supply that fails on purpose, once for each plan.

/// When the power of a device fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PowerPlan {
    /// In the middle of writing this chunk of an update, counted from 0.
    pub in_download_at_chunk: Option<u32>,
    /// After the first boot of a new image, before it confirms itself.
    pub before_confirm: bool,
}
