//! What verification costs on a Cortex-M4: flash, stack and instructions, held against limits.
//!
//! Flash is the difference to a program that does everything but the call in question, so neither SHA-256 nor the envelope's
//! reader count as a part of an algorithm. Stack and instructions are those of one call on one input. Figures are of programs
//! built for size with SHA-2 in loops, but for those called `fast`.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::cargo_metadata::Workspace;
use crate::m4::{self, Programs, Sha2};
use crate::quickstart::Figures;

/// A program, by its name in the figures, its own, that of its inputs and that of the program without the call.
struct Subject {
    name: &'static str,
    program: &'static str,
    inputs: &'static str,
    without: &'static str,
}

/// What checks nothing; its report must be taken for what it is.
const UNSIGNED: &str = "unsigned";
/// The signature algorithms.
const ALGORITHMS: [Subject; 3] = [
    Subject { name: "ed25519", program: "ed25519", inputs: "ed25519", without: UNSIGNED },
    Subject { name: "p256", program: "p256", inputs: "p256", without: UNSIGNED },
    // One level, height 10, W4; beyond SHA-256, which the program without it has too.
    Subject { name: "lms", program: "lms", inputs: "lms", without: UNSIGNED },
];
/// The readers of documents, each with one that also walks all lists of what it has read.
const READERS: [(Subject, &str); 2] = [
    (
        Subject { name: "manifest_reader", program: "manifest-reader", inputs: "manifest", without: "empty" },
        "manifest-lists",
    ),
    (
        Subject { name: "trust_reader", program: "trust-reader", inputs: "trust", without: "empty" },
        "trust-lists",
    ),
];
const SHA256: Subject = Subject { name: "sha256", program: "sha256", inputs: "sha256", without: "unhashed" };
/// Content that SHA-256 is measured on, bytes; `inputs` names the same length.
const HASHED: u32 = 64 * 1024;

/// The most that a figure may be: subject, figure, limit. A limit leaves room for another compiler, not for another algorithm.
///
/// P-256 has none: it is for those whose keys live in tokens that know no Ed25519, and costs what it costs.
const LIMITS: [(&str, &str, f64); 8] = [
    ("ed25519", "flash", 9_728.0),
    ("ed25519", "stack", 7_680.0),
    ("ed25519", "instructions", 2_300_000.0),
    ("lms", "flash", 1_638.0),
    ("lms", "stack", 1_536.0),
    ("sha256", "fast_insns_per_byte", 39.0),
    ("sha256", "compact_insns_per_byte", 57.0),
    ("manifest_reader", "flash", 2_048.0),
];

/// Builds and runs all programs.
///
/// # Errors
///
/// When one cannot be built or run, or does not tell good from bad.
pub(crate) fn take(workspace: &Workspace) -> Result<Figures> {
    m4::TOOLS.iter().try_for_each(|tool| tool.ensure(workspace))?;
    let inputs = m4::inputs(workspace)?;
    let compact = Programs::build(workspace, &inputs, Sha2::Compact)?;
    let fast = Programs::build(workspace, &inputs, Sha2::Fast)?;
    let caught = compact.run(UNSIGNED, "ed25519")?.hold(UNSIGNED).is_err();
    ensure!(caught, "a program that checks nothing was not caught");

    let algorithms = ALGORITHMS.iter().map(|subject| subject.algorithm(&compact, &fast));
    let mut figures = Figures::new();
    figures.insert("algorithms".into(), algorithms.collect::<Result<Vec<_>>>()?.into());
    figures.insert(SHA256.name.into(), sha256(&compact, &fast)?);
    for (reader, walker) in READERS {
        figures.insert(reader.name.into(), reader.reading(walker, &compact)?);
    }
    Ok(figures)
}

/// Fails with every figure beyond its limit.
///
/// # Errors
///
/// When there is one, or a figure that has a limit is missing.
pub(crate) fn hold(figures: &Figures) -> Result<()> {
    let mut beyond = Vec::new();
    for (name, figure, limit) in LIMITS {
        let value = subject(figures, name).and_then(|subject| subject[figure].as_f64());
        let value = value.with_context(|| format!("{name} has no figure {figure}"))?;
        if value > limit {
            beyond.push(format!("{name} {figure} is {value}, more than {limit}"));
        }
    }
    ensure!(beyond.is_empty(), "verification costs too much: {}", beyond.join("; "));
    Ok(())
}

/// Takes the figures, shows them and holds them against their limits.
///
/// # Errors
///
/// As [`take`] and [`hold`].
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let figures = take(workspace)?;
    eprint!("{}", table(&figures));
    hold(&figures)
}

/// One figure per line, with its limit if it has one.
pub(super) fn table(figures: &Figures) -> String {
    let mut text = format!("{:<18}{:<28}{:>12}{:>12}\n", "", "", "figure", "limit");
    for name in names(figures) {
        for (figure, value) in subject(figures, name).and_then(Value::as_object).into_iter().flatten() {
            if figure == "name" {
                continue;
            }
            let limit = LIMITS.iter().find(|limit| (limit.0, limit.1) == (name, figure));
            let limit = limit.map_or(String::from("-"), |limit| limit.2.to_string());
            let _ = writeln!(text, "{name:<18}{figure:<28}{:>12}{limit:>12}", value.to_string());
        }
    }
    text
}

impl Subject {
    /// Flash, stack and instructions, after it has told good from bad.
    fn costs(&self, programs: &Programs) -> Result<Figures> {
        let run = programs.run(self.program, self.inputs)?;
        run.hold(self.program)?;
        let costs =
            [("flash", self.flash(programs)?), ("stack", run.stack), ("instructions", run.instructions)];
        Ok(costs.into_iter().map(|(name, number)| (name.to_owned(), number.into())).collect())
    }

    fn flash(&self, programs: &Programs) -> Result<u64> {
        let without = programs.flash(self.without)?;
        let added = programs.flash(self.program)?.checked_sub(without);
        added.with_context(|| format!("{} is smaller than {}", self.program, self.without))
    }

    fn algorithm(&self, compact: &Programs, fast: &Programs) -> Result<Value> {
        let (mut figures, mut quick) = (self.costs(compact)?, self.costs(fast)?);
        figures.insert("name".into(), self.name.into());
        for figure in ["flash", "instructions"] {
            figures.insert(format!("{figure}_with_fast_sha2"), quick[figure].take());
        }
        Ok(figures.into())
    }

    fn reading(self, walker: &'static str, programs: &Programs) -> Result<Value> {
        let mut figures = self.costs(programs)?;
        let mut walked = Self { program: walker, ..self }.costs(programs)?;
        figures.insert("flash_with_lists_walked".into(), walked["flash"].take());
        Ok(figures.into())
    }
}

fn sha256(compact: &Programs, fast: &Programs) -> Result<Value> {
    let (small, quick) = (SHA256.costs(compact)?, SHA256.costs(fast)?);
    Ok(json!({
        "compact_insns_per_byte": per_byte(&small)?,
        "fast_insns_per_byte": per_byte(&quick)?,
        "compact_flash": small["flash"],
        "fast_flash": quick["flash"],
        "compact_stack": small["stack"],
        "fast_stack": quick["stack"],
    }))
}

/// To two digits behind the point.
fn per_byte(costs: &Figures) -> Result<f64> {
    let instructions = costs["instructions"].as_f64().context("instructions are a number")?;
    Ok((instructions / f64::from(HASHED) * 100.0).round() / 100.0)
}

/// The figures of an algorithm, of SHA-256 or of a reader.
fn subject<'f>(figures: &'f Figures, name: &str) -> Option<&'f Value> {
    let mut algorithms = figures.get("algorithms").and_then(Value::as_array)?.iter();
    algorithms.find(|algorithm| algorithm["name"] == name).or_else(|| figures.get(name))
}

/// All that have figures.
fn names(figures: &Figures) -> Vec<&str> {
    let algorithms = figures.get("algorithms").and_then(Value::as_array).into_iter().flatten();
    let algorithms = algorithms.filter_map(|algorithm| algorithm["name"].as_str());
    let others = figures.keys().map(String::as_str).filter(|name| *name != "algorithms");
    algorithms.chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every figure that has a limit, at its limit.
    fn at_the_limit() -> Figures {
        let mut figures = Figures::new();
        let algorithms = ALGORITHMS.iter().map(|algorithm| json!({ "name": algorithm.name }));
        figures.insert("algorithms".into(), algorithms.collect());
        for reader in READERS.iter().map(|(reader, _)| reader).chain([&SHA256]) {
            figures.insert(reader.name.into(), json!({}));
        }
        for (name, figure, limit) in LIMITS {
            set(&mut figures, name, figure, limit);
        }
        figures
    }

    fn set(figures: &mut Figures, name: &str, figure: &str, value: f64) {
        let algorithm = ALGORITHMS.iter().position(|algorithm| algorithm.name == name);
        let subject = match algorithm {
            Some(index) => &mut figures["algorithms"][index],
            None => &mut figures[name],
        };
        subject[figure] = value.into();
    }

    #[test]
    fn every_figure_beyond_its_limit_is_named() {
        assert!(hold(&at_the_limit()).is_ok());
        for (name, figure, limit) in LIMITS {
            let mut figures = at_the_limit();
            set(&mut figures, name, figure, limit + 1.0);
            let error = hold(&figures).unwrap_err().to_string();
            let expected =
                format!("verification costs too much: {name} {figure} is {}, more than {limit}", limit + 1.0);
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn a_figure_that_is_missing_does_not_pass() {
        let mut figures = at_the_limit();
        figures["sha256"] = json!({});
        assert_eq!(hold(&figures).unwrap_err().to_string(), "sha256 has no figure fast_insns_per_byte");
    }

    #[test]
    fn the_table_shows_each_limit_beside_its_figure() {
        let mut figures = at_the_limit();
        set(&mut figures, "p256", "stack", 5748.0);
        let text = table(&figures);
        let line =
            |words: &[&str]| text.lines().any(|line| line.split_whitespace().eq(words.iter().copied()));
        assert!(line(&["ed25519", "flash", "9728.0", "9728"]), "{text}");
        assert!(line(&["p256", "stack", "5748.0", "-"]), "{text}");
        assert_eq!(text.lines().count(), 1 + LIMITS.len() + 1, "{text}");
    }
}
