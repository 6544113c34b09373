//! One life again, told step by step.

use std::fmt::Write as _;

use anyhow::{Context, Result, bail, ensure};
use ota_manifest::ResetCause;

use crate::chip::{Blow, Operation};
use crate::course::{judge, live_until};
use crate::device::Device;
use crate::modes;
use crate::stage::Stage;
use crate::witness::Finding;

/// Reads `operation:mode:seed`.
///
/// # Errors
/// When it is not that.
pub fn parse_blow(text: &str) -> Result<Blow> {
    let parts: Vec<&str> = text.split(':').collect();
    let [operation, mode, seed] = parts[..] else { bail!("{text} is not operation:mode:seed") };
    let mode = modes::find(mode).with_context(|| format!("there is no mode {mode}"))?;
    Ok(Blow { operation: operation.parse()?, mode, seed: seed.parse()? })
}

/// Leads a life with these power failures and says what happened; what was wrong is returned.
///
/// # Errors
/// When a power failure falls on an operation that the life does not have.
pub fn replay(stage: &Stage, blows: &[Blow]) -> Result<(String, Vec<Finding>)> {
    let mut device = stage.device();
    device.tell();
    let mut cause = stage.cause();
    for blow in blows {
        ensure!(live_until(stage, &mut device, cause, *blow), "{blow} was never reached");
        device.say(|| format!("power failed: {blow}"));
        cause = ResetCause::PowerOn;
    }
    let findings = judge(stage, &mut device, cause, None);
    for finding in &findings {
        device.say(|| format!("{}: {}", finding.fault.name(), finding.detail));
    }
    Ok((device.told(), findings))
}

/// An operation in words.
#[must_use]
pub(crate) fn in_words(device: &Device<'_>, number: usize, operation: &Operation) -> String {
    let mut text = format!("  {number:>4} ");
    let place = device.world.place(operation.at());
    let _ = match operation {
        Operation::Write { bytes, .. } => write!(text, "write {:>4} bytes at {place}", bytes.len()),
        Operation::Erase { .. } => write!(text, "erase a page at {place}"),
    };
    text
}
