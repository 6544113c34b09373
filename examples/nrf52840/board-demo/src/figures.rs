//! What came of it.

use serde::Serialize;

/// The figures. Seconds are the board's unless it says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Figures {
    /// The release that was rolled out.
    pub confirmed_version: String,
    /// The slot it runs from: `A` or `B`.
    pub confirmed_slot: String,
    /// How its campaign ended.
    pub campaign: String,
    /// From its offer to its confirmation.
    pub update_seconds: f64,
    /// Of them, from its offer to the last byte in flash.
    pub download_seconds: f64,
    /// Bytes of its image.
    pub bytes: u64,
    /// Bytes of image and leaf list that the server has sent for it.
    pub served_bytes: u64,
    /// The bad release.
    pub bad_version: String,
    /// Why it was rolled back, as the board reported.
    pub rolled_back_reason: String,
    /// The reset before that, as the board reported.
    pub reset_cause: String,
    /// Boots that it got.
    pub bad_boots: u8,
    /// From its offer to the report.
    pub rollback_seconds: f64,
    /// How its campaign ended.
    pub bad_campaign: String,
    /// And why.
    pub halt_reason: String,
    /// What runs in the end.
    pub runs_version: String,
    /// And from where.
    pub runs_slot: String,
    /// Resets of the board after it was switched on.
    pub resets: u64,
    /// The time of the board in the end.
    pub board_seconds: f64,
    /// Real time for it, without the building of firmware, milliseconds.
    pub elapsed_ms: u64,
    /// Real time for the building of firmware, milliseconds.
    pub build_ms: u64,
}

impl Figures {
    /// Whether all was as it should.
    ///
    /// # Errors
    /// What was not, in a sentence.
    pub fn check(&self) -> Result<(), String> {
        let expected = [
            ("the release confirmed", &self.confirmed_version, "2.0.0"),
            ("its slot", &self.confirmed_slot, "B"),
            ("its campaign", &self.campaign, "completed"),
            ("the reason of the rollback", &self.rolled_back_reason, "self_test"),
            ("the reset before it", &self.reset_cause, "software"),
            ("the bad campaign", &self.bad_campaign, "halted"),
            ("the release that runs in the end", &self.runs_version, "2.0.0"),
            ("its slot in the end", &self.runs_slot, "B"),
        ];
        match expected.iter().find(|(_, found, expected)| found != expected) {
            None => Ok(()),
            Some((what, found, expected)) => Err(format!("{what} is {found:?} rather than {expected:?}")),
        }
    }

    /// The same for people.
    #[must_use]
    pub fn table(&self) -> String {
        let rows = [
            ("updated to", format!("{} in slot {}, confirmed", self.confirmed_version, self.confirmed_slot)),
            ("its campaign", self.campaign.clone()),
            ("update, offer to confirmation", format!("{:.1} s of the board's time", self.update_seconds)),
            ("of them the download", format!("{:.1} s", self.download_seconds)),
            ("image", format!("{} bytes; {} served with its leaf list", self.bytes, self.served_bytes)),
            ("bad release", format!("{}, rolled back after {} boot(s)", self.bad_version, self.bad_boots)),
            ("reported reason, last reset", format!("{}, {}", self.rolled_back_reason, self.reset_cause)),
            ("rollback, offer to report", format!("{:.1} s of the board's time", self.rollback_seconds)),
            ("its campaign", self.bad_campaign.clone()),
            ("runs in the end", format!("{} from slot {}", self.runs_version, self.runs_slot)),
            ("resets", self.resets.to_string()),
            ("time", self.times()),
        ];
        let line = "-".repeat(79);
        let rows = rows.iter().map(|(name, value)| format!("  {name:<30} {value}\n"));
        format!("{line}\n{}{line}", rows.collect::<String>())
    }

    fn times(&self) -> String {
        let (build, real) = (Self::seconds(self.build_ms), Self::seconds(self.elapsed_ms));
        format!("{:.1} s of the board's in {real:.1} s; built in {build:.1} s", self.board_seconds)
    }

    /// Milliseconds as seconds.
    #[expect(clippy::cast_precision_loss, reason = "exact for 285,000 years")]
    pub(crate) fn seconds(ms: u64) -> f64 {
        ms as f64 / 1000.0
    }
}
