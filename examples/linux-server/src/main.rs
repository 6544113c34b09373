//! `ota-server`: serves until it is told to stop.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use linux_server::{Config, Running, is_callers_fault, start};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One sentence, also where backtraces are switched on: an operator reads this.
            eprintln!("ota-server: {error:#}");
            ExitCode::from(if is_callers_fault(&error) { 2 } else { 1 })
        }
    }
}

async fn run() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let config = Config::parse();
    let data = config.data.clone();
    let server = start(config).await?;
    announce(&server, &data);
    wait_for_signal().await?;
    server.stop().await
}

/// Tells whoever started it where everything is. Nobody listening any more is no reason to stop.
fn announce(server: &Running, data: &Path) {
    let (release, freshness) = (server.release_key(), server.freshness_key());
    let (url, operators) = (server.url(), data.join("operator.tokens"));
    let text = format!(
        "listening      {url}\nrelease key    {release}\nfreshness key  {freshness}\noperators      {}\n",
        operators.display()
    );
    let _ = std::io::stdout().write_all(text.as_bytes());
}

#[cfg(unix)]
async fn wait_for_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn wait_for_signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
