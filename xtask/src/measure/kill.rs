//! Quickstart killed at twenty moments spread over its run, each on a folder of its own, and started again there.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cargo_metadata::Workspace;
use crate::command::CommandLine;
use crate::quickstart::Figures;

const MOMENTS: u32 = 20;
/// Figures that come from the server's store: they do not depend on how often the play was cut off.
const FROM_THE_STORE: [&str; 5] = ["devices", "confirmed", "rolled_back", "halted", "offered_after_halt"];

/// Fails unless every run on a folder that a kill has left ends well, with the figures of an undisturbed one.
pub(super) fn take(workspace: &Workspace) -> Result<Figures> {
    CommandLine::cargo().args(["build", "--release", "-p", "quickstart"]).run()?;
    let stage = Stage {
        program: workspace.target().join("release/quickstart"),
        folder: std::env::temp_dir().join(format!("ota-kill-{}", std::process::id())),
    };
    let started = Instant::now();
    let expected = stage.finish(0)?;
    let run = started.elapsed();
    for moment in 1..=MOMENTS {
        // One in each twentieth of the run, at random within it.
        let delay = run.mul_f64((f64::from(moment - 1) + random()) / f64::from(MOMENTS));
        stage.kill_after(moment, delay)?;
        let found = stage.finish(moment).with_context(|| format!("after a kill at {delay:?}"))?;
        if found != expected {
            bail!("after a kill at {delay:?} {found:?} instead of {expected:?}");
        }
        eprintln!("{moment:2}/{MOMENTS}  killed at {delay:?}, went on, ended the same");
    }
    std::fs::remove_dir_all(&stage.folder)?;
    let mut figures = Figures::new();
    figures.insert("moments".into(), MOMENTS.into());
    figures.insert("ended_the_same".into(), MOMENTS.into());
    figures.insert("run_ms".into(), u64::try_from(run.as_millis())?.into());
    Ok(figures)
}

/// The command that is killed and repeated.
struct Stage {
    program: PathBuf,
    folder: PathBuf,
}

impl Stage {
    fn start(&self, moment: u32) -> Result<Child> {
        let keep = self.folder.join(moment.to_string());
        let mut command = Command::new(&self.program);
        command.args(["--json", "--keep"]).arg(&keep);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        std::fs::create_dir_all(Path::new(&self.folder))?;
        command.spawn().with_context(|| format!("cannot start {}", self.program.display()))
    }

    fn kill_after(&self, moment: u32, delay: Duration) -> Result<()> {
        let mut run = self.start(moment)?;
        std::thread::sleep(delay);
        run.kill()?;
        run.wait()?;
        Ok(())
    }

    fn finish(&self, moment: u32) -> Result<Vec<Value>> {
        let output = self.start(moment)?.wait_with_output()?;
        if !output.status.success() {
            bail!("quickstart ended with {}; its folder is {}", output.status, self.folder.display());
        }
        let figures: Figures = serde_json::from_slice(&output.stdout)?;
        Ok(FROM_THE_STORE.map(|name| figures.get(name).cloned().unwrap_or_default()).to_vec())
    }
}

/// From 0 to 1. The clock will do: what is wanted is that no two measurements try the same moments.
fn random() -> f64 {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    f64::from(nanos % 1_000_003) / 1_000_003.0
}
