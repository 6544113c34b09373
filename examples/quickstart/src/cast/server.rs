//! The server, with the key and the bell that were asked for.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use linux_server::{BellOptions, Config, Running, is_callers_fault, start};
use ota_server_core::mqtt::LinkState;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::server_dir;
use crate::show::Show;
use crate::{Options, PlayError};

/// How long the server may take to reach its broker.
const FIRST_CONNECTION: Duration = Duration::from_secs(10);

/// A server on the folder. With a bell: one that rings.
pub(super) fn open(options: &Options, dir: &Path, runtime: &Runtime) -> Result<Running, PlayError> {
    let mut config = Config::local(&server_dir(dir));
    config.signing = options.signing.clone();
    config.bell = BellOptions { backoff_ms: config.bell.backoff_ms, ..options.bell.clone() };
    let server = runtime.block_on(start(config)).map_err(|error| {
        if is_callers_fault(&error) { PlayError::Usage(format!("{error:#}")) } else { error.into() }
    })?;
    let Some(bell) = server.bell() else { return Ok(server) };
    let mut link = bell.link();
    let connected = link.wait_for(|state| *state == LinkState::Connected);
    if runtime.block_on(async { tokio::time::timeout(FIRST_CONNECTION, connected).await }).is_err() {
        let LinkState::Down { why } = link.borrow().clone() else {
            return Err(PlayError::Usage("--mqtt: the broker does not answer".to_owned()));
        };
        return Err(PlayError::Usage(format!("--mqtt: {why}")));
    }
    Ok(server)
}

/// Whoever waits for a device should know that its bell cannot ring.
pub(super) async fn tell_of(mut link: watch::Receiver<LinkState>, show: Arc<Show>) {
    while link.changed().await.is_ok() {
        let state = link.borrow_and_update().clone();
        match state {
            LinkState::Down { why } => show.note(&format!("no connection to the broker: {why}")),
            LinkState::Connected => show.note("the broker is there again"),
            LinkState::Connecting => {}
        }
    }
}
