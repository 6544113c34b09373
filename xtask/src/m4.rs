//! Programs on an emulated Cortex-M4, `xtask/m4-bench`.
//!
//! The emulator takes one nanosecond of the board's time per instruction, so that a run takes the same on every machine.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::cargo_metadata::Workspace;
use crate::command::CommandLine;
use crate::elf::Sizes;
use crate::family::THUMB;
use crate::tool::Tool;

/// Where the programs live below the root.
pub(crate) const FOLDER: &str = "xtask/m4-bench";
/// What makes their inputs; a workspace of its own.
pub(crate) const INPUTS: &str = "xtask/m4-bench/inputs";
/// What both need.
pub(crate) const TOOLS: [Tool; 3] = [Tool::ThumbTarget, Tool::CCompiler, Tool::QemuArm];

/// The emulator and the board: a Cortex-M4 with the memory of `m4.ld`.
const EMULATOR: &str = "qemu-system-arm";
const BOARD: [&str; 4] = ["-machine", "mps2-an386", "-icount", "shift=0"];
/// Nothing but what the program prints.
const CONSOLE: [&str; 10] = [
    "-display",
    "none",
    "-serial",
    "none",
    "-monitor",
    "none",
    "-chardev",
    "stdio,id=console",
    "-semihosting-config",
    "enable=on,target=native,chardev=console",
];
/// Where programs look for their inputs.
const INPUTS_ADDRESS: &str = "0x20200000";

/// How SHA-2 is built, everywhere in a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sha2 {
    /// In loops: for a small bootloader.
    Compact,
    /// Unrolled, which is what one gets without asking.
    Fast,
}

impl Sha2 {
    /// The folder it is built to, and flags for the compiler. Flags of the caller's environment are not taken on: figures are
    /// of these programs and nothing else.
    fn build(self) -> (&'static str, &'static str) {
        match self {
            Self::Compact => ("compact", "--cfg sha2_backend_soft=\"compact\""),
            Self::Fast => ("fast", ""),
        }
    }
}

/// The programs, built.
pub(crate) struct Programs {
    folder: PathBuf,
    inputs: PathBuf,
}

/// What a program reports of the call it measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Instructions, to within 40: the board counts every fortieth nanosecond.
    pub(crate) instructions: u64,
    /// Stack, bytes.
    pub(crate) stack: u64,
    good_accepted: bool,
    bad_tried: u64,
    bad_accepted: u64,
}

impl Programs {
    /// Builds them all, optimised for size. `inputs` is from [`inputs`].
    ///
    /// # Errors
    ///
    /// When they do not build.
    pub(crate) fn build(workspace: &Workspace, inputs: &Path, sha2: Sha2) -> Result<Self> {
        let (name, flags) = sha2.build();
        let target = workspace.target().join("m4-bench").join(name);
        let root = workspace.root();
        // Its own workspace, for its own profile, but the same versions of everything.
        fs::copy(root.join("Cargo.lock"), root.join(FOLDER).join("Cargo.lock"))
            .context("cannot copy Cargo.lock to the programs for the emulated processor")?;
        let args = ["build", "--release", "--target", THUMB, "--target-dir"];
        let build = CommandLine::cargo().args(args).arg(&target).env("RUSTFLAGS", flags);
        build.dir(&root.join(FOLDER)).run()?;
        Ok(Self { folder: target.join(THUMB).join("release"), inputs: inputs.to_owned() })
    }

    /// Code and constants of a program, bytes.
    ///
    /// # Errors
    ///
    /// When it is not there, or has variables: those would be flash as well, and nobody fills them.
    pub(crate) fn flash(&self, program: &str) -> Result<u64> {
        let file = self.folder.join(program);
        let elf = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let sizes = Sizes::read(&elf).with_context(|| format!("cannot measure {}", file.display()))?;
        ensure!(sizes.data == 0 && sizes.bss == 0, "{program} has variables: {sizes:?}");
        Ok(sizes.text)
    }

    /// Runs a program on its inputs, twice.
    ///
    /// # Errors
    ///
    /// When it does not end with a report, or the second is another.
    pub(crate) fn run(&self, program: &str, inputs: &str) -> Result<Run> {
        let run =
            || self.run_once(program, inputs).with_context(|| format!("{program} on the emulated processor"));
        let (first, second) = (run()?, run()?);
        ensure!(first == second, "{program} does not take the same twice: {first:?}, {second:?}");
        Ok(first)
    }

    fn run_once(&self, program: &str, inputs: &str) -> Result<Run> {
        let inputs = self.inputs.join(inputs);
        // QEMU writes a comma in a path as two.
        let inputs = inputs.to_str().context("the target folder's name is not UTF-8")?.replace(',', ",,");
        let load = format!("loader,file={inputs},addr={INPUTS_ADDRESS},force-raw=on");
        let emulator = CommandLine::new(EMULATOR).args(BOARD).args(CONSOLE).arg("-kernel");
        Run::parse(&emulator.arg(self.folder.join(program)).args(["-device", &load]).output()?)
    }
}

impl Run {
    /// Fails unless the program told good from bad.
    ///
    /// # Errors
    ///
    /// When it refused the good input, accepted a bad one, or tried none.
    pub(crate) fn hold(&self, program: &str) -> Result<()> {
        ensure!(self.good_accepted, "{program} refused the good input");
        ensure!(self.bad_tried > 0, "{program} tried no bad input");
        ensure!(
            self.bad_accepted == 0,
            "{program} accepted {} of {} bad inputs",
            self.bad_accepted,
            self.bad_tried
        );
        Ok(())
    }

    /// Reads a program's report: a name and a number per line, in this order.
    fn parse(report: &str) -> Result<Self> {
        if let Some(why) = report.lines().find_map(|line| line.strip_prefix("failed: ")) {
            bail!("{why}");
        }
        let mut lines = report.lines();
        let mut number = |name: &str| -> Result<u64> {
            let number = lines.next().and_then(|line| line.strip_prefix(name)?.trim().parse().ok());
            number.with_context(|| format!("no {name} in the report {report:?}"))
        };
        let run = Self {
            instructions: number("instructions ")?,
            stack: number("stack_bytes ")?,
            good_accepted: number("good_accepted ")? == 1,
            bad_tried: number("bad_tried ")?,
            bad_accepted: number("bad_accepted ")?,
        };
        ensure!(lines.next().is_none(), "more than the report in {report:?}");
        Ok(run)
    }
}

/// Makes the programs' inputs and returns their folder.
///
/// # Errors
///
/// When that fails.
pub(crate) fn inputs(workspace: &Workspace) -> Result<PathBuf> {
    let target = workspace.target().join("m4-bench");
    let (build, inputs) = (target.join("host"), target.join("inputs"));
    let run = CommandLine::cargo().args(["run", "--locked", "--quiet", "--target-dir"]).arg(build);
    run.arg("--").arg(&inputs).dir(&workspace.root().join(INPUTS)).run()?;
    Ok(inputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str =
        "instructions 2141560\nstack_bytes 8220\ngood_accepted 1\nbad_tried 5\nbad_accepted 0\n";

    #[test]
    fn a_report_is_read_whole_or_not_at_all() {
        let run = Run::parse(REPORT).unwrap();
        assert_eq!((run.instructions, run.stack), (2_141_560, 8220));
        for (len, _) in REPORT.match_indices('\n') {
            let cut = &REPORT[..len];
            assert_eq!(Run::parse(cut).is_ok(), len + 1 == REPORT.len(), "{cut}");
        }
        assert!(Run::parse(&format!("{REPORT}more\n")).is_err());
        assert!(Run::parse(&REPORT.replace("8220", "many")).is_err());
    }

    #[test]
    fn a_program_that_failed_says_why() {
        let error = Run::parse("failed: the processor took a fault\n").unwrap_err();
        assert_eq!(error.to_string(), "the processor took a fault");
    }

    #[test]
    fn who_accepts_the_bad_or_refuses_the_good_or_was_not_asked_is_caught() {
        let held = |from: &str, to: &str| Run::parse(&REPORT.replace(from, to)).unwrap().hold("it");
        assert!(held("", "").is_ok());
        assert!(held("good_accepted 1", "good_accepted 0").is_err());
        assert!(held("bad_tried 5", "bad_tried 0").is_err());
        assert!(held("bad_accepted 0", "bad_accepted 1").is_err());
    }
}
