//! Counting.

use crate::chip::Blow;
use crate::witness::{Fault, Finding};

/// Failures that are told in full.
const TOLD: usize = 10;

/// A life that went wrong, and how to see it again.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Board and life.
    pub stage: String,
    /// The power failures.
    pub blows: Vec<Blow>,
    /// What was wrong first.
    pub finding: Finding,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: {}; again: slots-proof replay {}",
            self.finding.fault.name(),
            self.finding.detail,
            self.stage
        )?;
        self.blows.iter().try_for_each(|blow| write!(f, " '{blow}'"))
    }
}

/// What was tried and what went wrong.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Operations of the undisturbed lives.
    pub operations: u64,
    /// Lives with power failures.
    pub lives: u64,
    /// Operations the application was refused with the power on, and tried again.
    pub refusals: u64,
    faults: [u64; Fault::ALL.len()],
    failures: Vec<Failure>,
}

impl Tally {
    /// Counts a life that met these power failures.
    pub fn count(&mut self, stage: &str, blows: &[Blow], findings: &[Finding]) {
        self.lives += u64::from(!blows.is_empty());
        for (count, fault) in self.faults.iter_mut().zip(Fault::ALL) {
            *count += u64::from(findings.iter().any(|finding| finding.fault == fault));
        }
        if let Some(finding) = findings.first()
            && self.failures.len() < TOLD
        {
            let (stage, blows) = (stage.to_owned(), blows.to_vec());
            self.failures.push(Failure { stage, blows, finding: finding.clone() });
        }
    }

    /// Adds another tally.
    pub fn add(&mut self, other: &Self) {
        self.operations += other.operations;
        self.lives += other.lives;
        self.refusals += other.refusals;
        self.faults.iter_mut().zip(other.faults).for_each(|(sum, count)| *sum += count);
        let room = TOLD.saturating_sub(self.failures.len());
        self.failures.extend(other.failures.iter().take(room).cloned());
    }

    /// Lives with each kind of fault.
    pub fn faults(&self) -> impl Iterator<Item = (Fault, u64)> {
        Fault::ALL.into_iter().zip(self.faults)
    }

    /// Broken promises, all kinds together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.faults.iter().sum()
    }

    /// The first few failures.
    #[must_use]
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }
}
