//! The figures of all plays.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::Result;
use ota_manifest::wire::Stage;
use serde_json::{Value, json};

use crate::cast::Conduct;
use crate::known::unknown_registers;
use crate::life::Broken;
use crate::plant::Plant;
use crate::plays::Plays;
use crate::story::{Outcome, Story};
use crate::sweep::{Plan, Tally};

/// All that was led and judged.
pub struct Figures {
    tally: Tally,
    updates: usize,
    rollbacks: BTreeMap<String, usize>,
    variants: BTreeMap<&'static str, Value>,
    unknown: BTreeSet<u32>,
    instructions: u64,
    /// Bootloaders that lack something, and how many of them were caught.
    planted: (usize, usize),
    begun: Instant,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            tally: Tally::default(),
            updates: 0,
            rollbacks: BTreeMap::new(),
            variants: BTreeMap::new(),
            unknown: BTreeSet::new(),
            instructions: 0,
            planted: (0, 0),
            begun: Instant::now(),
        }
    }
}

impl Figures {
    /// Tells every story, and sweeps those that change the flash in a way of their own.
    ///
    /// # Errors
    /// If a story does not end as it should even without a fault.
    pub fn take(plays: &Plays, plan: &Plan) -> Result<Self> {
        let mut figures = Self::default();
        figures.sweep(&plays.update()?, plan, plays);
        for conduct in Conduct::BAD {
            let (story, rollback) = plays.rollback(conduct)?;
            let told = json!({
                "reason": format!("{:?}", rollback.reason),
                "reset_cause": format!("{:?}", rollback.cause),
                "boots": rollback.boots,
            });
            figures.variants.insert(conduct.name(), told);
            // The others go the same way from their first reset on.
            if matches!(conduct, Conduct::FailsSelfTest) {
                figures.sweep(&story, &Plan { words: plan.words.saturating_mul(8), ..*plan }, plays);
            } else {
                figures.note(&story, 1);
            }
        }
        figures.sweep(&plays.rotation()?, plan, plays);
        figures.sweep(&plays.first_boot()?, plan, plays);
        for plant in Plant::ALL {
            let planted = plays.under(plant)?;
            let tally = plant.plan().sweep(&planted.update()?, &plays.cast.keys().policy());
            figures.planted.0 += 1;
            figures.planted.1 += usize::from(tally.shows_a_defect());
        }
        Ok(figures)
    }

    fn sweep(&mut self, story: &Story, plan: &Plan, plays: &Plays) {
        let tally = plan.sweep(story, &plays.cast.keys().policy());
        let broken: usize = tally.broken.values().sum();
        self.note(story, 1 + tally.lives - broken);
        self.tally.add(tally);
    }

    /// Counts lives that ended as this story does.
    fn note(&mut self, story: &Story, lives: usize) {
        self.unknown.extend(unknown_registers(&story.end.machine));
        self.instructions += story.instructions;
        match (story.outcome, story.end.desk.end()) {
            (Outcome::Confirmed, _) => self.updates += lives,
            (Outcome::RolledBack(_), Some(Stage::RolledBack { reason, cause, .. })) => {
                *self.rollbacks.entry(format!("{reason:?}, {cause:?}")).or_default() += lives;
            }
            _ => {}
        }
    }

    /// Whether no promise was broken.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let (planted, caught) = self.planted;
        self.tally.broken.is_empty() && self.unknown.is_empty() && planted == caught
    }

    /// Lives that broke a promise, in words.
    #[must_use]
    pub fn failures(&self) -> &[String] {
        &self.tally.failures
    }

    /// All of it.
    #[must_use]
    pub fn json(&self) -> Value {
        let (millis, tally) = (self.begun.elapsed().as_millis(), &self.tally);
        let instructions = self.instructions + tally.instructions;
        let by_kind: BTreeMap<_, _> =
            tally.by_kind.iter().map(|(kind, count)| (format!("{kind:?}").to_lowercase(), count)).collect();
        json!({
            "updates": self.updates,
            "rollbacks_by_reason": self.rollbacks,
            "variants": self.variants,
            "lives": tally.lives,
            "cuts": tally.cuts,
            "lives_by_cut": by_kind,
            "unbootable": tally.count(Broken::Unbootable),
            "unverified_boots": tally.count(Broken::Unverified),
            "stuck": tally.count(Broken::Stuck),
            "wrong_end": tally.count(Broken::WrongEnd),
            "unsettled": tally.count(Broken::Unsettled),
            "misused": tally.count(Broken::Misused),
            "missed": tally.count(Broken::Missed),
            "planted": self.planted.0,
            "planted_caught": self.planted.1,
            "unmodelled_new": self.unknown.len(),
            "instructions_per_life_mean": tally.instructions / (tally.lives.max(1) as u64),
            "mips": instructions / 1_000 / u64::try_from(millis.max(1)).unwrap_or(u64::MAX),
            "seconds": millis / 1000,
        })
    }
}
