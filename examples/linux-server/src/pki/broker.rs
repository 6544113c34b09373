//! A mosquitto that lets nobody read or write another's topics, and what it does about revoked certificates.
//!
//! ```text
//!   ota/v1/DEVICE/up/#     the device writes, ota-server reads
//!   ota/v1/DEVICE/down/#   ota-server writes, the device reads
//! ```
//!
//! `mosquitto -c DIR/mosquitto.conf` starts it. Who a client is, its certificate says: the common name is its user name *and*
//! its client id, whatever id it asks for. So a device cannot end another's session by using its id, and has one session.
//! For the same reason two processes with the certificate of `ota-server` end each other's session for ever: one server
//! process to a broker. More than one need a certificate and a section in `acl` each, which are not made here.
//!
//! **A SUBSCRIBE to a foreign topic is granted**, and nothing is ever delivered for it. Look at what arrives, not at the SUBACK.
//! A foreign PUBLISH is answered with "not authorized" (135) and reaches nobody.
//!
//! # After a revocation
//!
//! What mosquitto 2.0.11 was seen to do:
//!
//! | you | new connections of the device | its session that is open |
//! |---|---|---|
//! | nothing | accepted | goes on |
//! | `kill -HUP` the broker | refused | **goes on until it breaks** |
//! | restart the broker | refused | ended |
//!
//! So restart it; devices and server come back by themselves. A signal is enough where the device is known to be off; the
//! sessions of the others go on over it. After either, a TLS session from before is not resumed: the certificate is looked at.
//!
//! Two traps:
//! - **A list that cannot be read** (missing, damaged, not readable by the user the broker runs as) makes the broker refuse to
//!   *start*; on the *signal* it only writes "Unable to load certificate revocation file" to its log and accepts revoked
//!   certificates from then on. So the files here belong to one user, whom `mosquitto.conf` makes a broker become that is
//!   started as root, and nobody else is let write them, root neither.
//! - **A list that has expired** makes it refuse everybody. The list here ends with the authority.

#[cfg(feature = "real-parts")]
mod mosquitto;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use super::PkiError;
use super::folder::Folder;
use super::leaf::SERVER_NAME;

#[cfg(feature = "real-parts")]
pub use mosquitto::{Mosquitto, free_port};

/// The broker's configuration, below the folder.
pub(super) const CONF: &str = "mosquitto.conf";
const ACL: &str = "acl";

/// Where a broker listens unless said otherwise: not the usual 8883, where another may be at work.
const PORT: u16 = 18883;

/// Longest packet the broker takes, bytes. The longest messages of this family are offers, with an envelope of at most 4096
/// bytes. On its way out a packet may grow by its topic, where the sender had an alias for it: the server must take twice this,
/// and takes 10 KiB.
const MAX_PACKET: u32 = 5 * 1024;

/// Where the broker listens.
#[derive(Clone, Copy)]
pub(super) struct Listener(SocketAddr);

impl Listener {
    /// What is said, else what the folder's `mosquitto.conf` says, else this machine alone.
    pub(super) fn new(folder: &Folder, bind: Option<IpAddr>, port: Option<u16>) -> Result<Self, PkiError> {
        let before = folder.read(CONF)?.as_deref().and_then(listener);
        let before = before.unwrap_or(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT));
        Ok(Self(SocketAddr::new(bind.unwrap_or(before.ip()), port.unwrap_or(before.port()))))
    }
}

/// The address that a `mosquitto.conf` from here listens on.
fn listener(conf: &str) -> Option<SocketAddr> {
    let line = conf.lines().find_map(|line| line.strip_prefix("listener "))?;
    let (port, address) = line.split_once(' ')?;
    Some(SocketAddr::new(address.parse().ok()?, port.parse().ok()?))
}

/// Writes `acl` and `mosquitto.conf`.
pub(super) fn write(folder: &Folder, listener: Listener) -> Result<(), PkiError> {
    folder.write(ACL, &acl())?;
    folder.write(CONF, &conf(folder, listener)?)
}

fn conf(folder: &Folder, Listener(address): Listener) -> Result<String, PkiError> {
    let path = |name: &str| line_of(&folder.path(name));
    let (port, address) = (address.port(), address.ip());
    let user = user().map_or(String::new(), |name| format!("user {name}\n"));
    Ok(format!(
        "\
# Written by `otactl pki init`, anew each time: copy it before you change it.
per_listener_settings true
# Started as root, the broker becomes this user, who can read the keys.
{user}log_dest stderr
# What hangs in the broker is told again by the server; a file would only be one more to keep private.
persistence false
# Nobody here has longer messages. A longer one ends the connection.
max_packet_size {MAX_PACKET}
set_tcp_nodelay true

listener {port} {address}
tls_version tlsv1.2
cafile {ca}
crlfile {crl}
certfile {certificate}
keyfile {key}
require_certificate true
allow_anonymous false
# The common name of the certificate is the user name, which the acl goes by, and the client id, so that no device can end
# another's session by using its id.
use_identity_as_username true
use_username_as_clientid true
acl_file {acl}
",
        ca = path("ca.pem")?,
        crl = path("crl.pem")?,
        certificate = path("broker.pem")?,
        key = path("broker.key")?,
        acl = path(ACL)?,
    ))
}

fn acl() -> String {
    format!(
        "\
# Written by `otactl pki init`, anew each time: copy it before you change it.
# A SUBSCRIBE to anything else is granted, and nothing is delivered for it.
pattern read ota/v1/%u/down/#
pattern write ota/v1/%u/up/#

user {SERVER_NAME}
topic write ota/v1/+/down/#
topic read ota/v1/+/up/#
# Bells that hang in the broker, to be taken down when they have been heard.
topic read ota/v1/+/down/bell
"
    )
}

/// A path as the rest of a line. There are no quotation marks in this format, and no need for them.
fn line_of(path: &Path) -> Result<String, PkiError> {
    let text = path.to_str().filter(|text| !text.contains(['\n', '\r']) && text.trim() == *text);
    let why = "cannot be written into mosquitto.conf: it is not UTF-8, or has line breaks or spaces at its ends; \
               choose another folder";
    text.map(str::to_owned).ok_or_else(|| PkiError::file(path, why))
}

/// Who owns the files. A user without a name (in a container, say) is not root, and needs no line.
fn user() -> Option<String> {
    let output = Command::new("id").arg("-un").output().ok().filter(|output| output.status.success())?;
    let name = String::from_utf8(output.stdout).ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listener_of_a_configuration_is_found_again() {
        let text = "# listener 1 x\nuser x\nlistener 18884 127.0.0.1\ncafile /x\n";
        assert_eq!(listener(text), Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 18884))));
        assert_eq!(listener("listener 18884\n"), None);
        assert_eq!(listener(""), None);
    }

    #[test]
    fn a_path_that_would_become_two_lines_is_refused() {
        assert_eq!(line_of(Path::new("/a b/ca.pem")).unwrap(), "/a b/ca.pem");
        for bad in ["/a\nallow_anonymous true", "/a ", " /a"] {
            assert!(line_of(Path::new(bad)).is_err(), "{bad}");
        }
    }
}
