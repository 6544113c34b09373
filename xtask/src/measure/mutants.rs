//! Faults planted in `ota-slots`, one at a time, to see whether the power-cut proof notices.
//!
//! The sources are copied, one place is changed, the proof is built against the copy and run. A fault counts as caught if the
//! proof then fails. The unchanged copy must pass, and a change that changes nothing must be reported as surviving: a rig
//! that always says "caught" would be worth nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::cargo_metadata::Workspace;
use crate::command::CommandLine;
use crate::quickstart::Figures;

/// Members that are copied.
const MEMBERS: [&str; 4] = ["ota-manifest", "ota-verify", "ota-slots", "proof"];

/// A change of one place in `ota-slots/src`.
pub(crate) struct Mutant {
    /// What a device with it would do wrong.
    name: &'static str,
    file: &'static str,
    /// Stands there exactly once.
    from: &'static str,
    to: &'static str,
}

/// A change that changes nothing.
const NO_OP: Mutant = Mutant {
    name: "no-op",
    file: "log/append.rs",
    from: "/// Cells tried before the log is declared unwritable.",
    to: "/// Cells that are tried before the log is declared unwritable.",
};

/// The faults. Each stands for one that has bricked or confused a device somewhere, or for a rule of `docs/design.md`.
pub(crate) const MUTANTS: [Mutant; 20] = [
    Mutant {
        name: "hands over on a record that it has only read",
        file: "boot.rs",
        from: "if self.journal.affirms(snapshot) {",
        to: "if self.journal.newest() == Some(snapshot) {",
    },
    Mutant {
        name: "jumps before the record is written",
        file: "boot.rs",
        from: "if self.journal.affirms(snapshot) {",
        to: "if true {",
    },
    Mutant {
        name: "raises the floor at the trial",
        file: "decision.rs",
        from: "        snapshot.set_brown_outs(BROWN_OUT_BUDGET);\n",
        to: "        snapshot.set_brown_outs(BROWN_OUT_BUDGET);\n        snapshot.set_floor(image.security_version());\n",
    },
    Mutant {
        name: "checksum over the head of a record only",
        file: "log/mod.rs",
        from: "CRC.checksum(cell.get(..self.len() - 4).unwrap_or(cell)).to_le_bytes()",
        to: "CRC.checksum(cell.get(..12).unwrap_or(cell)).to_le_bytes()",
    },
    Mutant {
        name: "erases the page of the newest record",
        file: "log/mod.rs",
        from: "        self.page += 1;\n",
        to: "",
    },
    Mutant {
        name: "writes into a cell that looks blank",
        file: "log/scan.rs",
        from: "void_to: self.used + 1,",
        to: "void_to: self.used,",
    },
    Mutant {
        name: "skips cells that read as garbage instead of voiding them",
        file: "log/scan.rs",
        from: "cell: self.firm,",
        to: "cell: self.used,",
    },
    Mutant {
        name: "believes the first record instead of the newest",
        file: "log/scan.rs",
        from: "sequence_of(bytes) > sequence_of(&self.newest)",
        to: "sequence_of(&self.newest) == 0",
    },
    Mutant {
        name: "confirmed is written as trial",
        file: "app/verdict.rs",
        from: "snapshot.set_state(self.view.slot, SlotState::Confirmed);",
        to: "snapshot.set_state(self.view.slot, SlotState::Trial);",
    },
    Mutant {
        name: "goes back from a confirmed image",
        file: "decision.rs",
        from: "if self.snapshot.is(running, SlotState::Failed) {",
        to: "if self.snapshot.is(running, SlotState::Failed) || self.cause == ResetCause::PowerOn {",
    },
    Mutant {
        name: "attempts are not counted",
        file: "decision.rs",
        from: "self.snapshot.set_attempts(attempts - 1);\n        } else {",
        to: "self.snapshot.set_attempts(attempts);\n        } else {",
    },
    Mutant {
        name: "power failures cost attempts",
        file: "decision.rs",
        from: "if self.cause.is_power() && brown_outs > 0 {",
        to: "if self.cause.is_power() && brown_outs > u8::MAX - 1 {",
    },
    Mutant {
        name: "forgets the event of a rollback",
        file: "decision.rs",
        from: "        self.snapshot.raise_event_of(self.reason, self.cause);\n        if A::MOVES {",
        to: "        if A::MOVES {",
    },
    Mutant {
        name: "takes a rejected release again",
        file: "decision.rs",
        from: "            self.snapshot.reject(self.snapshot.manifest(failed));\n",
        to: "",
    },
    Mutant {
        name: "believes the block that was written last",
        file: "staging.rs",
        from: "let block = complete.saturating_sub(1);",
        to: "let block = complete;",
    },
    Mutant {
        name: "blocks are not erased before they are filled",
        file: "staging.rs",
        from: "ErasePages::new(self.layout, at, end.saturating_sub(start))",
        to: "ErasePages::new(self.layout, at, end.saturating_sub(start).saturating_sub(end))",
    },
    Mutant {
        name: "goes on behind a step that was cut short",
        file: "motion.rs",
        from: "                self.done = done;\n",
        to: "                self.done = done + 1;\n",
    },
    Mutant {
        name: "a swap always begins at its first step",
        file: "motion.rs",
        from: "                self.done = done;\n",
        to: "                self.done = done.min(0);\n",
    },
    Mutant {
        name: "swaps before it has written that it does",
        file: "boot.rs",
        from: "            Action::Move => self.affirm(Next::Move),",
        to: "            Action::Move => {\n                self.next = Next::Move;\n                self.go_on(true)\n            }",
    },
    Mutant {
        name: "fills a block while the one behind it looks good",
        file: "staging.rs",
        from: "let next = this || !is_blank(behind);",
        to: "let next = false;",
    },
];

/// Those that every test run plants: one of the journal, one of the decision, one of moving. The rest is for
/// `cargo xtask measure mutants`.
const SAMPLE: [usize; 3] = [0, 5, 17];

/// Plants a sample of them.
///
/// # Errors
///
/// As [`take`].
pub(crate) fn sample(workspace: &Workspace) -> Result<()> {
    plant(workspace, &SAMPLE.map(|index| &MUTANTS[index])).map(|_| ())
}

/// Plants all of them.
///
/// # Errors
///
/// When one is not caught, the control fails, or the no-op does not survive.
pub(super) fn take(workspace: &Workspace) -> Result<Figures> {
    plant(workspace, &MUTANTS.each_ref())
}

/// Plants these, beside the control and the no-op.
fn plant(workspace: &Workspace, mutants: &[&Mutant]) -> Result<Figures> {
    let bench = Bench::new(workspace)?;
    ensure!(!bench.fails(None)?, "the unchanged copy fails the proof");
    eprintln!("control passed");
    ensure!(!bench.fails(Some(&NO_OP))?, "a change that changes nothing counts as a fault");
    eprintln!("no-op survived");
    let mut survivors = Vec::new();
    for (number, mutant) in (1..).zip(mutants) {
        let started = Instant::now();
        let caught = bench.fails(Some(mutant))?;
        let verdict = if caught { "caught" } else { "SURVIVED" };
        eprintln!("{number}/{} {verdict} in {:.0?}: {}", mutants.len(), started.elapsed(), mutant.name);
        if !caught {
            survivors.push(mutant.name);
        }
    }
    if !survivors.is_empty() {
        bail!("{} of {} planted faults survived: {}", survivors.len(), mutants.len(), survivors.join("; "));
    }
    let mut figures = Figures::new();
    figures.insert("planted".into(), mutants.len().into());
    figures.insert("caught".into(), mutants.len().into());
    figures.insert("control_passed".into(), true.into());
    figures.insert("noop_survived".into(), true.into());
    figures.insert("names".into(), mutants.iter().map(|mutant| mutant.name).collect::<Vec<_>>().into());
    Ok(figures)
}

/// The copy that faults are planted in.
struct Bench {
    folder: PathBuf,
    target: PathBuf,
}

impl Bench {
    fn new(workspace: &Workspace) -> Result<Self> {
        let target = workspace.target().join("mutants");
        let folder = target.join("sources");
        if folder.exists() {
            fs::remove_dir_all(&folder).context("cannot remove the last copy of the sources")?;
        }
        for member in MEMBERS {
            copy(&workspace.root().join(member), &folder.join(member))?;
        }
        let manifest = fs::read_to_string(workspace.root().join("Cargo.toml"))?;
        fs::write(folder.join("Cargo.toml"), with_members(&manifest)?)?;
        fs::copy(workspace.root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
        Ok(Self { folder, target })
    }

    /// Whether the proof fails with this fault. A fault that does not compile is a mistake in the list.
    fn fails(&self, mutant: Option<&Mutant>) -> Result<bool> {
        let Some(mutant) = mutant else { return self.run() };
        let path = self.folder.join("ota-slots/src").join(mutant.file);
        let sound = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let places = sound.matches(mutant.from).count();
        ensure!(places == 1, "{}: the text to change stands {places} times in {}", mutant.name, mutant.file);
        fs::write(&path, sound.replace(mutant.from, mutant.to))?;
        let verdict = self.run().with_context(|| mutant.name);
        fs::write(&path, sound)?;
        verdict
    }

    fn run(&self) -> Result<bool> {
        let target = self.target.join("build");
        let build =
            CommandLine::cargo().args(["build", "--release", "--quiet", "-p", "slots-proof", "--target-dir"]);
        build.arg(&target).dir(&self.folder).run()?;
        let program = target.join("release/slots-proof");
        let proof =
            CommandLine::new(&program.to_string_lossy()).args(["power-cut", "--quick", "--fail-fast"]);
        match proof.exit_code()? {
            0 => Ok(false),
            // 1: a promise was broken. 2: an undisturbed life does not even come to its end. The control shows that it is not
            // the command line.
            1 | 2 => Ok(true),
            code => bail!("`{proof}` did not come to a verdict (exit code {code})"),
        }
    }
}

/// The workspace's manifest with the copied members only.
fn with_members(manifest: &str) -> Result<String> {
    let (head, rest) = manifest.split_once("members = [").context("no members in the manifest")?;
    let (_, rest) = rest.split_once("exclude = [").context("nothing excluded in the manifest")?;
    let (_, tail) = rest.split_once(']').context("the list of excluded folders does not end")?;
    Ok(format!("{head}members = {MEMBERS:?}{tail}"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_to_change_stands_in_the_sources_exactly_once() {
        let workspace = Workspace::load().unwrap();
        for mutant in MUTANTS.iter().chain([&NO_OP]) {
            let path = workspace.root().join("ota-slots/src").join(mutant.file);
            let source = fs::read_to_string(path).unwrap();
            assert_eq!(source.matches(mutant.from).count(), 1, "{}", mutant.name);
        }
    }

    #[test]
    fn copied_workspace_has_the_copied_members_only() {
        let manifest = "[workspace]\nmembers = [\n  \"a\",\n]\nexclude = [\"fuzz\"]\n\n[workspace.package]\n";
        let expected = "[workspace]\nmembers = [\"ota-manifest\", \"ota-verify\", \"ota-slots\", \"proof\"]\n\n[workspace.package]\n";
        assert_eq!(with_members(manifest).unwrap(), expected);
    }
}
