//! Serial ports and terminals, opened for one program alone.

use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serial2::{CharSize, FlowControl, Parity, SerialPort, Settings, StopBits};
use thiserror::Error;

/// Longest wait of a read, and of a write that finds no room.
const TURN: Duration = Duration::from_millis(100);

/// An open port: a serial device or a pty, 8 bits, no parity, one stop bit, no flow control.
///
/// A read that finds nothing ends after 100 ms with [`ErrorKind::TimedOut`]; so does a write that finds no room.
#[derive(Debug)]
pub struct SerialLine(SerialPort);

/// Why a port cannot be opened, and what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no such file.
    #[error("{} is not there: the board is not plugged in, or has another name; {}", .port.display(), listed(.others))]
    NotThere {
        /// What was to be opened.
        port: PathBuf,
        /// Ports that are there.
        others: Vec<PathBuf>,
    },
    /// It belongs to others.
    #[error("{} may not be opened by this user: {}", .port.display(), remedy(.group.as_deref()))]
    NotAllowed {
        /// What was to be opened.
        port: PathBuf,
        /// The group that may, if there is one.
        group: Option<String>,
    },
    /// Another program has it.
    #[error("{} is in use by another program: close it, `fuser -v {}` names it", .0.display(), .0.display())]
    Busy(PathBuf),
    /// A file, a folder, another kind of device, or a name without a device.
    #[error("{} is not a serial port, or has no hardware behind it", .0.display())]
    NoPort(PathBuf),
    /// It cannot be set up like this.
    #[error("{} cannot be set to {baud} baud: {why}", .port.display())]
    NotSet {
        /// What was to be opened.
        port: PathBuf,
        /// Bits per second.
        baud: u32,
        /// What the system says.
        why: io::Error,
    },
    /// Anything else.
    #[error("{} cannot be opened: {why}", .port.display())]
    Other {
        /// What was to be opened.
        port: PathBuf,
        /// What the system says.
        why: io::Error,
    },
}

impl SerialLine {
    /// Opens a port, for this program alone.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(port: &Path, baud: u32) -> Result<Self, OpenError> {
        let mut open = SerialPort::open(port, Ok::<Settings, _>).map_err(|why| OpenError::of(port, why))?;
        claim(&open).map_err(|why| OpenError::of(port, why))?;
        let set = open.get_configuration().and_then(|mut settings| {
            settings.set_raw();
            settings.set_baud_rate(baud)?;
            settings.set_char_size(CharSize::Bits8);
            settings.set_parity(Parity::None);
            settings.set_stop_bits(StopBits::One);
            settings.set_flow_control(FlowControl::None);
            open.set_configuration(&settings)
        });
        let set = set.and_then(|()| open.set_read_timeout(TURN)).and_then(|()| open.set_write_timeout(TURN));
        set.map_err(|why| OpenError::NotSet { port: port.into(), baud, why })?;
        Ok(Self(open))
    }
}

impl Read for SerialLine {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for SerialLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    /// Nothing is held back here. To wait until the last bit is on the wire might be to wait for ever.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl OpenError {
    fn of(port: &Path, why: io::Error) -> Self {
        let port = port.to_owned();
        match why.kind() {
            ErrorKind::NotFound => Self::NotThere { port, others: there() },
            ErrorKind::PermissionDenied => Self::NotAllowed { group: group(&port), port },
            ErrorKind::ResourceBusy | ErrorKind::WouldBlock => Self::Busy(port),
            ErrorKind::IsADirectory => Self::NoPort(port),
            _ if is_no_terminal(&why) => Self::NoPort(port),
            _ => Self::Other { port, why },
        }
    }
}

/// Two programs on one line would take each other's bytes. A lock keeps those out that ask for one, whoever runs them;
/// exclusive mode keeps the others out, but for root.
#[cfg(unix)]
fn claim(port: &SerialPort) -> io::Result<()> {
    use rustix::fs::{FlockOperation, flock};
    flock(port, FlockOperation::NonBlockingLockExclusive)?;
    Ok(rustix::termios::ioctl_tiocexcl(port)?)
}

/// The system does it.
#[cfg(not(unix))]
fn claim(_: &SerialPort) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn is_no_terminal(why: &io::Error) -> bool {
    use rustix::io::Errno;
    // The last one is what a computer's own ports say that have no plug.
    let codes = [Errno::NOTTY, Errno::NXIO, Errno::NODEV, Errno::IO];
    codes.iter().any(|errno| why.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(not(unix))]
fn is_no_terminal(_: &io::Error) -> bool {
    false
}

/// The group of a file that its group may read and write.
#[cfg(unix)]
fn group(port: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let file = std::fs::metadata(port).ok().filter(|file| file.mode() & 0o060 == 0o060)?;
    let groups = std::fs::read_to_string("/etc/group").ok()?;
    groups.lines().find_map(|line| match line.split(':').collect::<Vec<_>>()[..] {
        [name, _, id, ..] if id.parse() == Ok(file.gid()) => Some(name.to_owned()),
        _ => None,
    })
}

#[cfg(not(unix))]
fn group(_: &Path) -> Option<String> {
    None
}

fn remedy(group: Option<&str>) -> String {
    match group {
        // Root's own group is nobody's to join.
        Some(group) if group != "root" => {
            format!("its group is {group}; run `sudo usermod -aG {group} $USER` and log in again")
        }
        _ => "ask its owner, or run as the user it belongs to".into(),
    }
}

/// Ports that boards have, of those that are there.
fn there() -> Vec<PathBuf> {
    let mut ports = SerialPort::available_ports().unwrap_or_default();
    // Of the old kind a computer has many, most of them without a plug.
    ports.retain(|port| !port.to_string_lossy().contains("ttyS"));
    ports.sort();
    ports
}

fn listed(ports: &[PathBuf]) -> String {
    match ports {
        [] => "no other is there".into(),
        ports => {
            let names: Vec<_> = ports.iter().map(|port| port.display().to_string()).collect();
            format!("there are {}", names.join(", "))
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn refused(port: &Path, why: ErrorKind) -> OpenError {
        OpenError::of(port, why.into())
    }

    #[test]
    fn who_may_not_open_a_port_is_told_the_group_that_may_or_to_ask() {
        let folder = tempfile::tempdir().unwrap();
        let port = folder.path().join("ttyACM0");
        fs::write(&port, "").unwrap();
        for (mode, is_known) in [(0o660, true), (0o600, false)] {
            fs::set_permissions(&port, Permissions::from_mode(mode)).unwrap();
            let OpenError::NotAllowed { group, .. } = refused(&port, ErrorKind::PermissionDenied) else {
                panic!("a port that may not be opened");
            };
            assert_eq!(group.is_some(), is_known, "{mode:o}");
        }
        let told = |group: Option<&str>| {
            OpenError::NotAllowed { port: "/dev/ttyACM0".into(), group: group.map(Into::into) }.to_string()
        };
        let joins = told(Some("dialout"));
        assert!(joins.contains("run `sudo usermod -aG dialout $USER` and log in again"), "{joins}");
        for group in [None, Some("root")] {
            assert!(told(group).ends_with("ask its owner, or run as the user it belongs to"));
        }
    }

    #[test]
    fn port_that_is_not_there_comes_with_those_that_are() {
        assert!(matches!(refused(Path::new("/nowhere"), ErrorKind::NotFound), OpenError::NotThere { .. }));
        let others = ["/dev/ttyACM0", "/dev/ttyUSB0"].map(PathBuf::from).to_vec();
        let told = OpenError::NotThere { port: "/dev/ttyACM7".into(), others }.to_string();
        assert!(told.ends_with("there are /dev/ttyACM0, /dev/ttyUSB0"), "{told}");
    }

    #[test]
    fn port_that_another_has_claimed_is_busy() {
        for why in [ErrorKind::ResourceBusy, ErrorKind::WouldBlock] {
            assert!(matches!(refused(Path::new("/dev/x"), why), OpenError::Busy(_)));
        }
    }
}
