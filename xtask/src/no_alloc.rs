//! The bare-metal program without an allocator, `xtask/no-alloc`.
//!
//! It calls the main entry points of every device crate. An executable, not a static library: a library may leave
//! symbols open, an executable must find every one, so it links only when nothing asks for memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::cargo_metadata::Workspace;
use crate::command::CommandLine;
use crate::elf::{self, Sizes};
use crate::family::THUMB;
use crate::{firmware, thumb};

/// Where its crate lives below the root.
pub(crate) const FOLDER: &str = "xtask/no-alloc";

/// Most flash that the boot decision takes beside the proof of an image, bytes.
const DECISION: u64 = 4096;
/// Largest stack frame of it, bytes.
const FRAME: u32 = 1024;
/// Most flash that the agent takes with its messages, beside the compiler's runtime, bytes.
pub(crate) const AGENT: u64 = 12_288;
/// Most memory that the agent takes beside the lent buffers, bytes.
pub(crate) const STATE: u64 = 1024;
/// Most flash that the check of LMS signatures takes beside SHA-256, bytes.
const LMS: u64 = 1638;
/// Most flash that all probes of the self-test and their runner take beside the agent, bytes. The comparison of clocks
/// divides numbers of 64 bits, which nothing else does.
const SELF_TEST: u64 = 7168;

/// Links the program with calls into all device crates, and holds what has a limit against it.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let sizes = link(workspace, &Calls::All)?.sizes;
    eprintln!("linked: {} bytes of code and constants", sizes.text);
    let decision = Decision::measure(workspace, "boot")?;
    eprintln!("boot decision: {decision:?}");
    ensure!(
        decision.text <= DECISION,
        "the boot decision takes {} bytes, more than {DECISION}",
        decision.text
    );
    ensure!(decision.panics == 0, "the boot decision links {} functions that panic", decision.panics);
    ensure!(decision.frame <= FRAME, "a frame of the boot decision takes {} bytes of stack", decision.frame);
    let agent = Agent::measure(workspace)?;
    eprintln!("agent: {agent:?}");
    agent.hold()?;
    let lms = lms(workspace)?;
    eprintln!("LMS: {lms} bytes");
    ensure!(lms <= LMS, "checking LMS signatures takes {lms} bytes, more than {LMS}");
    let documents = link(workspace, &Calls::Only(&["documents"]))?;
    eprintln!("trust documents, freshness replies, chunk tree and LMS: {} bytes", documents.sizes.text);
    let panics = panics(&elf::functions(&documents.elf)?);
    ensure!(panics == 0, "trust documents and freshness replies link {panics} functions that panic");
    let probes = self_test(workspace)?;
    eprintln!("self-test: {probes} bytes beside the agent");
    ensure!(probes <= SELF_TEST, "the self-test takes {probes} bytes, more than {SELF_TEST}");
    firmware::check(workspace)
}

/// What the agent takes: machine and messages, without slots and proofs, in bytes. The loop that turns them is in it.
#[derive(Debug)]
pub(crate) struct Agent {
    /// Code and constants of a program that turns the machine and looks at no message's bytes.
    pub(crate) alone: u64,
    /// The same of one that reads and writes them.
    pub(crate) with_messages: u64,
    /// Beside that, what the compiler brings along: `memcpy`, comparison, 64-bit shifts. Any firmware has them.
    pub(crate) runtime: u64,
    /// Functions that panic.
    pub(crate) panics: usize,
    /// The agent's memory beside the lent buffers.
    pub(crate) state: u64,
}

impl Agent {
    /// Measures it.
    ///
    /// # Errors
    ///
    /// As [`link`].
    pub(crate) fn measure(workspace: &Workspace) -> Result<Self> {
        let alone = link(workspace, &Calls::Only(&["agent-machine"]))?;
        let both = link(workspace, &Calls::Only(&["messages"]))?;
        let functions = elf::functions(&both.elf)?;
        let runtime = runtime_bytes(&functions);
        Ok(Self {
            alone: alone.sizes.text.saturating_sub(runtime_bytes(&elf::functions(&alone.elf)?)),
            with_messages: both.sizes.text.saturating_sub(runtime),
            runtime,
            panics: panics(&functions),
            state: both.sizes.bss,
        })
    }

    /// Holds it against its limits.
    ///
    /// # Errors
    ///
    /// When something is beyond its limit.
    pub(crate) fn hold(&self) -> Result<()> {
        let Self { with_messages, state, .. } = self;
        ensure!(*with_messages <= AGENT, "agent and messages take {with_messages} bytes, more than {AGENT}");
        ensure!(*state <= STATE, "the agent's state takes {state} bytes, more than {STATE}");
        Ok(())
    }
}

/// Bytes of the functions that the compiler brings along.
fn runtime_bytes(functions: &[elf::Function<'_>]) -> u64 {
    let is_of_compiler = |name: &str| {
        name.contains("compiler_builtins")
            || name.starts_with("__aeabi_")
            || ["memcpy", "memmove", "memset", "memcmp", "bcmp"].contains(&name)
    };
    // One function may have several names.
    let places: BTreeMap<*const u8, usize> = functions
        .iter()
        .filter(|function| is_of_compiler(function.name))
        .map(|function| (function.code.as_ptr(), function.code.len()))
        .collect();
    places.values().map(|len| *len as u64).sum()
}

/// Which crates the program calls.
pub(crate) enum Calls<'a> {
    /// All device crates.
    All,
    /// These, by the program's feature names; none gives the empty program.
    Only(&'a [&'a str]),
}

/// The program, linked.
pub(crate) struct Program {
    /// What it takes.
    pub(crate) sizes: Sizes,
    elf: Vec<u8>,
}

/// What the bootloader's decision takes: journal, decision and hand-over, without the proof of an image and without crypto.
#[derive(Debug)]
pub(crate) struct Decision {
    /// Code and constants, bytes: the difference to a program that proves one slot on the same flash.
    pub(crate) text: u64,
    /// Functions that panic.
    pub(crate) panics: usize,
    /// Largest stack frame of any function of the crates below, bytes. The work buffer is the caller's.
    pub(crate) frame: u32,
}

impl Decision {
    /// Measures the program that calls `feature`.
    ///
    /// # Errors
    ///
    /// As [`link`].
    pub(crate) fn measure(workspace: &Workspace, feature: &str) -> Result<Self> {
        let proof = link(workspace, &Calls::Only(&["proof"]))?;
        let boot = link(workspace, &Calls::Only(&[feature]))?;
        let functions = elf::functions(&boot.elf)?;
        let ours = functions.iter().filter(|function| function.name != "_start");
        Ok(Self {
            text: boot.sizes.text.saturating_sub(proof.sizes.text),
            panics: panics(&functions),
            frame: ours.map(|function| thumb::frame(function.code)).max().unwrap_or(0),
        })
    }
}

fn panics(functions: &[elf::Function<'_>]) -> usize {
    functions.iter().filter(|function| function.name.contains("panicking")).count()
}

/// What checking LMS signatures takes beside what hashes, in bytes of code and constants.
///
/// # Errors
///
/// As [`link`].
pub(crate) fn lms(workspace: &Workspace) -> Result<u64> {
    let hash = link(workspace, &Calls::Only(&["hash"]))?;
    let lms = link(workspace, &Calls::Only(&["lms"]))?;
    Ok(lms.sizes.text.saturating_sub(hash.sizes.text))
}

/// What all probes of the self-test and their runner take beside the agent, in bytes of code and constants, glue of the
/// program included.
///
/// # Errors
///
/// As [`link`], and when the self-test links a function that panics.
pub(crate) fn self_test(workspace: &Workspace) -> Result<u64> {
    let alone = link(workspace, &Calls::Only(&["self-test"]))?;
    let panics = panics(&elf::functions(&alone.elf)?);
    ensure!(panics == 0, "the self-test links {panics} functions that panic");
    let agent = link(workspace, &Calls::Only(&["agent"]))?;
    let both = link(workspace, &Calls::Only(&["agent", "self-test"]))?;
    Ok(both.sizes.text.saturating_sub(agent.sizes.text))
}

/// Links the program for [`THUMB`] and reads its sizes.
///
/// # Errors
///
/// When it does not compile or link, or the linker's output is not what it should be.
pub(crate) fn link(workspace: &Workspace, calls: &Calls<'_>) -> Result<Program> {
    let folder = workspace.root().join(FOLDER);
    // Its own workspace, for its own profile, but the same versions of everything.
    fs::copy(workspace.root().join("Cargo.lock"), folder.join("Cargo.lock"))
        .context("cannot copy Cargo.lock to the program without an allocator")?;
    let target = workspace.target().join("no-alloc");
    let mut build = CommandLine::cargo().args(["build", "--release", "--target", THUMB, "--target-dir"]);
    build = build.arg(&target).dir(&folder);
    if let Calls::Only(crates) = calls {
        build = build.arg("--no-default-features").arg(format!("--features={}", crates.join(",")));
    }
    build.run().context("the program without an allocator does not build")?;
    let program: PathBuf = target.join(THUMB).join("release/no-alloc");
    let elf = fs::read(&program).with_context(|| format!("cannot read {}", program.display()))?;
    let sizes = Sizes::read(&elf).with_context(|| format!("cannot measure {}", program.display()))?;
    Ok(Program { sizes, elf })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_the_compiler_are_counted_once_whatever_their_names() {
        let code = [0; 12];
        let function = |name, code| elf::Function { name, code };
        let functions = [
            function("__aeabi_memcpy", &code[..4]),
            function("memcpy", &code[..4]),
            function("_RNvNtCs7NhdfSRABLd_17compiler_builtins3mem6memcpy", &code[4..7]),
            function("memcmp", &code[7..8]),
            function("_ZN9ota_agent5agent5Agent3new17h", &code[8..]),
        ];
        assert_eq!(runtime_bytes(&functions), 8);
    }
}
