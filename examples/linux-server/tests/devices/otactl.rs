//! The operator's program.

use std::process::Command;

use crate::site::Site;

impl Site {
    /// Runs `otactl` as the author.
    pub(crate) fn otactl(&self, arguments: &[&str]) -> String {
        let tokens = self.config.data.join("operator.tokens");
        let mut command = otactl();
        command.args(["--server", &self.server().url(), "--as", "author", "--tokens"]).arg(tokens);
        said(command.args(arguments))
    }
}

pub(crate) fn otactl() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_otactl"));
    command.env_remove("OTA_SERVER").env_remove("OTA_TOKEN");
    command
}

/// What a program says that succeeds.
pub(crate) fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
