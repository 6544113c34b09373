//! A broker to try MQTT with: certificates, mosquitto, and the command that uses both.
//!
//! This process *becomes* the broker. A parent would have to pass on every signal and could still be killed without one; so
//! there is nobody to outlive, and Ctrl-C, SIGTERM and the exit code are the broker's own. What remains to be done once it
//! listens, to say so, is done by a child of it that ends with that.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::cargo_metadata::Workspace;
use crate::command::CommandLine;
use crate::tool::{Tool, find};

/// How long the broker may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Args)]
pub(crate) struct Lab {
    /// Folder of certificates; made if it is not there, completed if it is.
    dir: PathBuf,
    /// How many devices get a certificate.
    #[arg(long, default_value_t = 24, value_name = "N")]
    devices: usize,
    /// Port on this machine.
    #[arg(long, default_value_t = 18883, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
}

impl Lab {
    /// Makes what is missing and becomes the broker.
    ///
    /// # Errors
    ///
    /// When mosquitto cannot be installed, the certificates cannot be made, or the port is taken.
    pub(crate) fn run(self, workspace: &Workspace) -> Result<Infallible> {
        let lab = Self { dir: std::path::absolute(&self.dir)?, ..self };
        lab.check_port()?;
        Tool::Mosquitto.ensure(workspace)?;
        let mosquitto = find("mosquitto").context("mosquitto was installed and cannot be found")?;
        let init = lab.init().dir(workspace.root());
        eprintln!("$ {init}");
        // Standard output is for what a program that started the lab waits for.
        eprint!("{}", init.output()?);
        lab.check_port()?;
        lab.spawn_announcer()?;
        Err(become_broker(&mosquitto, &lab.dir.join("mosquitto.conf")))
    }

    /// Waits until the broker listens and says so; false if it does not. Silent when the broker ends: it has said why.
    pub(crate) fn announce(&self, broker: u32) -> bool {
        let started = Instant::now();
        while !speaks_tls(self.port) {
            if !is_parent(broker) {
                return false;
            }
            if started.elapsed() > PATIENCE {
                eprintln!("error: the broker does not listen on port {}", self.port);
                return false;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        // Nobody listening any more is no reason to complain.
        let _ = std::io::stdout().write_all(self.announcement().as_bytes());
        true
    }

    fn announcement(&self) -> String {
        let url = format!("mqtts://localhost:{}", self.port);
        let quickstart = CommandLine::cargo()
            .args(["run", "--release", "-p", "quickstart", "--", "--mqtt", &url, "--mqtt-pki"])
            .arg(&self.dir)
            .args(["--devices", &self.devices.to_string()]);
        format!("listening  {url}\ntry        {quickstart}\n")
    }

    fn init(&self) -> CommandLine {
        // Optimised like quickstart, so that most of what is built for one is there for the other.
        CommandLine::cargo()
            .args(["run", "--release", "-p", "linux-server", "--bin", "otactl", "--", "pki", "init"])
            .arg(&self.dir)
            .args(["--devices", &self.devices.to_string(), "--port", &self.port.to_string()])
    }

    fn check_port(&self) -> Result<()> {
        if TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            bail!("port {} is taken, perhaps by another lab; stop that or choose another --port", self.port);
        }
        Ok(())
    }

    fn spawn_announcer(&self) -> Result<()> {
        let mut announcer = Command::new(std::env::current_exe()?);
        announcer.args(["mqtt-lab-announce", "--broker", &std::process::id().to_string()]);
        announcer.args(["--devices", &self.devices.to_string(), "--port", &self.port.to_string()]);
        // Not waited for: once it has ended, it is an entry in the process table until the broker ends too.
        announcer.arg("--").arg(&self.dir).spawn().context("cannot start the announcer")?;
        Ok(())
    }
}

/// Whether a broker is at work on the port. mosquitto listens before it has read its certificates, and may end over them, so
/// that a connection alone says little; but whoever speaks TLS answers this, a greeting without content, with an alert.
fn speaks_tls(port: u16) -> bool {
    const EMPTY_CLIENT_HELLO: [u8; 9] = [0x16, 3, 1, 0, 4, 1, 0, 0, 0];
    const ALERT: u8 = 0x15;
    let ask = || -> std::io::Result<u8> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(&EMPTY_CLIENT_HELLO)?;
        let mut first = [0];
        stream.read_exact(&mut first)?;
        Ok(first[0])
    };
    ask().is_ok_and(|first| first == ALERT)
}

/// Puts mosquitto into the place of this process; returns only if that fails.
#[cfg(unix)]
fn become_broker(mosquitto: &Path, conf: &Path) -> anyhow::Error {
    use std::os::unix::process::CommandExt;
    let error = Command::new(mosquitto).arg("-c").arg(conf).stdin(std::process::Stdio::null()).exec();
    anyhow::Error::from(error).context(format!("cannot start {}", mosquitto.display()))
}

#[cfg(not(unix))]
fn become_broker(mosquitto: &Path, conf: &Path) -> anyhow::Error {
    let line = format!("{} -c {}", mosquitto.display(), conf.display());
    anyhow::anyhow!("the lab runs on Unix only; the certificates are made, so run `{line}`")
}

#[cfg(unix)]
fn is_parent(process: u32) -> bool {
    std::os::unix::process::parent_id() == process
}

#[cfg(not(unix))]
fn is_parent(_: u32) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab(port: u16) -> Lab {
        Lab { dir: "/lab".into(), devices: 3, port }
    }

    #[test]
    fn a_taken_port_gets_a_sentence() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let lab = lab(taken.local_addr().unwrap().port());
        assert!(lab.check_port().unwrap_err().to_string().contains("is taken"));
        drop(taken);
        lab.check_port().unwrap();
    }

    #[test]
    fn the_announcement_begins_with_where_the_broker_listens() {
        let text = lab(18883).announcement();
        assert_eq!(
            text,
            "listening  mqtts://localhost:18883\n\
             try        cargo run --release -p quickstart -- --mqtt mqtts://localhost:18883 --mqtt-pki /lab --devices 3\n"
        );
    }

    #[test]
    fn the_announcer_of_a_broker_that_is_gone_says_nothing() {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        assert!(!lab(free).announce(u32::MAX));
    }
}
