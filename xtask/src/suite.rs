//! The checks in their order, and running them.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::cargo_metadata::Workspace;
use crate::check;
use crate::tool::Tool;

/// One check.
pub(crate) struct Step {
    /// What `--only` calls it.
    pub(crate) name: &'static str,
    /// What it makes sure of.
    pub(crate) about: &'static str,
    /// Takes minutes; left out by `--fast`.
    pub(crate) slow: bool,
    /// What must be installed for it.
    pub(crate) needs: &'static [Tool],
    /// Succeeds silently or says in one sentence what is wrong.
    pub(crate) run: fn(&Workspace) -> Result<()>,
}

/// The step before all others, which installs what the selected ones need.
const TOOLS: &str = "tools";

/// Which steps to run.
pub(crate) struct Selection {
    steps: Vec<&'static Step>,
}

impl Selection {
    /// All steps; with `fast` without the slow ones; with names in `only` just these, in the registry's order.
    ///
    /// # Errors
    ///
    /// When a name is unknown.
    pub(crate) fn new(fast: bool, only: &[String]) -> Result<Self> {
        for name in only {
            if name != TOOLS && !check::STEPS.iter().any(|step| step.name == name) {
                bail!("there is no check called {name}; there are:\n{}", listing());
            }
        }
        let wanted =
            |step: &&Step| if only.is_empty() { !(fast && step.slow) } else { named(only, step.name) };
        // Naming the tools alone installs for everything.
        let everything = !only.is_empty() && only.iter().all(|name| name == TOOLS);
        let steps = if everything { Vec::new() } else { check::STEPS.iter().filter(wanted).collect() };
        Ok(Self { steps })
    }

    /// Each tool once, in the order of need.
    fn tools(&self) -> Vec<Tool> {
        let all: Vec<&Step> = check::STEPS.iter().collect();
        let mut tools = Vec::new();
        for step in if self.steps.is_empty() { &all } else { &self.steps } {
            for tool in step.needs {
                if !tools.contains(tool) {
                    tools.push(*tool);
                }
            }
        }
        tools
    }
}

/// Runs the selected steps up to the first that fails and prints the result; true when all passed.
///
/// # Errors
///
/// Never for a failed check, which is reported here; only when there is no report to be made.
pub(crate) fn run(selection: &Selection, workspace: &Workspace) -> Result<bool> {
    std::env::set_current_dir(workspace.root())?;
    let mut report = Report::new(selection.steps.len() + 1);
    let tools = selection.tools();
    let install = || tools.iter().try_for_each(|tool| tool.ensure(workspace));
    let mut passed = report.step(TOOLS, "install what is missing", install);
    for step in &selection.steps {
        passed = passed && report.step(step.name, step.about, || (step.run)(workspace));
    }
    report.close();
    Ok(passed)
}

/// The steps, one per line.
pub(crate) fn listing() -> String {
    let mut text = format!("  {TOOLS:<12}install what the selected checks need\n");
    for step in &check::STEPS {
        let slow = if step.slow { " (not with --fast)" } else { "" };
        let _ = writeln!(text, "  {:<12}{}{slow}", step.name, step.about);
    }
    text
}

fn named(only: &[String], name: &str) -> bool {
    only.iter().any(|wanted| wanted == name)
}

/// What has run so far.
struct Report {
    started: Instant,
    planned: usize,
    done: Vec<(&'static str, Duration, bool)>,
}

impl Report {
    fn new(planned: usize) -> Self {
        Self { started: Instant::now(), planned, done: Vec::new() }
    }

    /// Runs one step under its heading; the time in the heading counts from the start of the run.
    fn step(&mut self, name: &'static str, about: &str, run: impl FnOnce() -> Result<()>) -> bool {
        let (number, planned) = (self.done.len() + 1, self.planned);
        println!("== {number}/{planned} {name}: {about} (at {})", Seconds(self.started.elapsed()));
        let started = Instant::now();
        let result = run();
        if let Err(error) = &result {
            println!("error: {name}: {error:#}");
        }
        self.done.push((name, started.elapsed(), result.is_ok()));
        result.is_ok()
    }

    /// Prints the times and, as the very last line, the count.
    fn close(&self) {
        println!("== after {}", Seconds(self.started.elapsed()));
        for (name, time, passed) in &self.done {
            let verdict = if *passed { "ok" } else { "FAILED" };
            println!("   {name:<12}{:>9}  {verdict}", Seconds(*time).to_string());
        }
        let passed = self.done.iter().filter(|(_, _, passed)| *passed).count();
        println!("{passed} passed, {} failed", self.done.len() - passed);
    }
}

/// A time for people.
struct Seconds(Duration);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} s", self.0.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(selection: &Selection) -> Vec<&str> {
        selection.steps.iter().map(|step| step.name).collect()
    }

    #[test]
    fn fast_leaves_out_exactly_the_slow_steps() {
        let all = Selection::new(false, &[]).unwrap();
        let fast = Selection::new(true, &[]).unwrap();
        assert_eq!(all.steps.len(), check::STEPS.len());
        assert!(fast.steps.iter().all(|step| !step.slow));
        let left_out: Vec<_> = names(&all).into_iter().filter(|name| !names(&fast).contains(name)).collect();
        assert_eq!(
            left_out,
            [
                "verify",
                "docs",
                "msrv",
                "deny",
                "package",
                "peers",
                "nrf52840",
                "loops",
                "mutants",
                "quickstart"
            ]
        );
        assert!(!fast.tools().contains(&Tool::CargoDeny));
        assert!(!fast.tools().contains(&Tool::OldestToolchain));
    }

    #[test]
    fn only_selects_by_name_and_refuses_unknown_ones() {
        let only = Selection::new(false, &["layers".into(), "fmt".into()]).unwrap();
        assert_eq!(names(&only), ["fmt", "layers"]);
        assert_eq!(only.tools(), [Tool::Component("rustfmt")]);
        let error = Selection::new(false, &["flavour".into()]).err().unwrap().to_string();
        assert!(error.starts_with("there is no check called flavour; there are:\n"), "{error}");
    }

    #[test]
    fn tools_alone_installs_for_every_step() {
        let tools = Selection::new(false, &["tools".into()]).unwrap();
        assert!(tools.steps.is_empty());
        assert!(tools.tools().contains(&Tool::CargoDeny));
    }

    #[test]
    fn step_names_are_unique() {
        for (index, step) in check::STEPS.iter().enumerate() {
            assert_ne!(step.name, TOOLS);
            assert!(check::STEPS[..index].iter().all(|earlier| earlier.name != step.name), "{}", step.name);
        }
    }
}
