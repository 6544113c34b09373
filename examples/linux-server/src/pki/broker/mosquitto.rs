//! A mosquitto for a test.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{CONF, listener};

/// Where it is installed where `PATH` does not lead: Debian leaves sbin out of the PATH of ordinary users.
const FOLDERS: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin"];

/// What it writes, below the folder.
const LOG: &str = "mosquitto.log";

/// How long a broker may take to get to work.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ports to choose from: below those that connections get by themselves, so that a port stays free while its broker is down.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A mosquitto on a folder that [`init`](crate::pki::init) made; killed when dropped. A test tool.
///
/// Its messages are in `DIR/mosquitto.log`.
#[derive(Debug)]
pub struct Mosquitto {
    dir: PathBuf,
    port: u16,
    child: Child,
}

impl Mosquitto {
    /// Starts a broker with `DIR/mosquitto.conf` and waits until it runs.
    ///
    /// # Errors
    /// If mosquitto is not installed or does not start; the message says what to do, or what it said.
    pub fn start(dir: &Path) -> Result<Self> {
        let conf = fs::read_to_string(dir.join(CONF))
            .with_context(|| format!("{} holds no mosquitto.conf; make one with pki::init", dir.display()))?;
        let address = listener(&conf).context("mosquitto.conf has no line `listener PORT ADDRESS`")?;
        if TcpStream::connect(address).is_ok() {
            bail!("another program listens on {address}; choose another port");
        }
        let log = dir.join(LOG);
        let said_before = fs::metadata(&log).map_or(0, |data| data.len());
        let child = launch(&dir.join(CONF), &log)?;
        let mut broker = Self { dir: dir.to_owned(), port: address.port(), child };
        broker.wait(usize::try_from(said_before)?)?;
        Ok(broker)
    }

    /// Waits until it says that it runs. It listens before it has read its certificates, and may end over them; and if its
    /// port was taken in the meantime, a connection would find another's broker.
    fn wait(&mut self, said_before: usize) -> Result<()> {
        let started = Instant::now();
        loop {
            let log = self.log();
            let said = log.get(said_before..).unwrap_or_default();
            if let Some(status) = self.child.try_wait()? {
                bail!("mosquitto ended ({status}): {said}");
            }
            if said.lines().any(|line| line.contains("mosquitto") && line.ends_with(" running")) {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                bail!("mosquitto does not get to work: {said}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its port on this machine.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its address: `mqtts://localhost:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mqtts://localhost:{}", self.port)
    }

    /// What it has written so far, over all its restarts.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join(LOG)).unwrap_or_default()
    }

    /// Kills it, as a power failure would.
    ///
    /// # Errors
    /// If the system does not let us.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }

    /// Kills it if it runs, and starts it on the same folder and port.
    ///
    /// # Errors
    /// As [`Mosquitto::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        let dir = self.dir.clone();
        *self = Self::start(&dir)?;
        Ok(())
    }

    /// Sends it SIGHUP: it reads `crl.pem` and `acl` again, in its own time.
    ///
    /// # Errors
    /// If it does not run.
    pub fn hang_up(&self) -> Result<()> {
        let status = Command::new("kill").args(["-HUP", &self.child.id().to_string()]).status()?;
        if !status.success() {
            bail!("kill -HUP failed ({status})");
        }
        Ok(())
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// A port of this machine that nobody listens on; each time another one in one process, so that tests side by side do not
/// choose the same.
///
/// # Errors
/// If there is none.
pub fn free_port() -> io::Result<u16> {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let mut random = [0; 2];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let next = NEXT.get_or_init(|| AtomicU16::new(u16::from_le_bytes(random)));
    for _ in 0..100 {
        let port = PORTS.start + next.fetch_add(1, Ordering::Relaxed) % (PORTS.end - PORTS.start);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::other("no port is free"))
}

fn launch(conf: &Path, log: &Path) -> Result<Child> {
    let log = File::options().create(true).append(true).open(log)?;
    let programs = FOLDERS.iter().map(|folder| Path::new(folder).join("mosquitto"));
    for program in [PathBuf::from("mosquitto")].into_iter().chain(programs) {
        let mut command = Command::new(program);
        command.arg("-c").arg(conf).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.try_clone()?);
        match command.spawn() {
            Ok(child) => return Ok(child),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).context("mosquitto cannot be started"),
        }
    }
    bail!("mosquitto is not installed; run: sudo apt-get install mosquitto")
}
