//! Running other programs, with a failure that names the command line.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// A command line about to be run, without standard input: nothing here ever waits for a person.
#[derive(Clone)]
pub(crate) struct CommandLine {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
    dir: Option<PathBuf>,
}

impl CommandLine {
    /// A command line of `program` alone.
    pub(crate) fn new(program: &str) -> Self {
        Self { program: program.into(), args: Vec::new(), env: Vec::new(), dir: None }
    }

    /// `cargo`, of the toolchain this program was started with.
    pub(crate) fn cargo() -> Self {
        Self::new("cargo")
    }

    /// `cargo` of another installed toolchain.
    pub(crate) fn cargo_of(toolchain: &str) -> Self {
        Self::new("rustup").args(["run", toolchain, "cargo"])
    }

    /// Appends one argument.
    #[must_use]
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Appends arguments.
    #[must_use]
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub(crate) fn env(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name, value.as_ref().to_owned()));
        self
    }

    /// Runs in `dir` instead of the current directory.
    #[must_use]
    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    /// Runs to the end, showing the program's output.
    ///
    /// # Errors
    ///
    /// When the program cannot be started or exits with anything but zero.
    pub(crate) fn run(&self) -> Result<()> {
        eprintln!("$ {self}");
        let status = self.command().status().with_context(|| format!("cannot start `{self}`"))?;
        if !status.success() {
            bail!("`{self}` failed ({status})");
        }
        Ok(())
    }

    /// Runs to the end and returns what it printed on standard output; standard error stays visible.
    ///
    /// # Errors
    ///
    /// When the program cannot be started, exits with anything but zero, or prints something other than UTF-8.
    pub(crate) fn output(&self) -> Result<String> {
        let output = self
            .command()
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start `{self}`"))?;
        if !output.status.success() {
            bail!("`{self}` failed ({})", output.status);
        }
        String::from_utf8(output.stdout).with_context(|| format!("`{self}` did not print UTF-8"))
    }

    /// Runs silently and returns the code it exited with.
    ///
    /// # Errors
    ///
    /// When the program cannot be started or is ended by a signal.
    pub(crate) fn exit_code(&self) -> Result<i32> {
        let mut command = self.command();
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status().with_context(|| format!("cannot start `{self}`"))?;
        status.code().with_context(|| format!("`{self}` was ended by a signal"))
    }

    /// Runs silently and tells whether it could be started and exited with zero.
    pub(crate) fn succeeds(&self) -> bool {
        let mut command = self.command();
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).stdin(Stdio::null());
        // `cargo run` describes this package to this process; left in place, the description would look like a
        // changed input to the build scripts of the cargo started from here.
        for (name, _) in std::env::vars_os() {
            if name == "CARGO" || is_package_description(&name) {
                command.env_remove(name);
            }
        }
        for (name, value) in &self.env {
            command.env(name, value);
        }
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.env {
            write!(f, "{name}={} ", quoted(value))?;
        }
        write!(f, "{}", quoted(&self.program))?;
        for arg in &self.args {
            write!(f, " {}", quoted(arg))?;
        }
        Ok(())
    }
}

fn is_package_description(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

/// The word as it would be typed in a shell.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    if word.is_empty() || word.contains([' ', '"', '\'', '$', '*']) {
        format!("'{}'", word.replace('\'', "'\\''"))
    } else {
        word.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_reads_as_one_would_type_it() {
        let line =
            CommandLine::cargo().args(["doc", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings").arg("it's");
        assert_eq!(line.to_string(), "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps 'it'\\''s'");
    }

    #[test]
    fn a_failure_names_the_command() {
        let error = CommandLine::new("false").run().unwrap_err();
        assert!(error.to_string().starts_with("`false` failed"), "{error}");
        let error = CommandLine::new("no-such-program-anywhere").output().unwrap_err();
        assert!(error.to_string().contains("cannot start `no-such-program-anywhere`"), "{error}");
    }

    #[test]
    fn probing_tells_success_from_failure_and_absence() {
        assert!(CommandLine::new("true").succeeds());
        assert!(!CommandLine::new("false").succeeds());
        assert!(!CommandLine::new("no-such-program-anywhere").succeeds());
    }
}
