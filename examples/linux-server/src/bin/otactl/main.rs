//! `otactl`: what operators do, from a shell.
//!
//! ```sh
//! otactl pki init DIR --devices 3
//! export OTA_SERVER=http://127.0.0.1:8080
//! otactl --tokens ota-data/operator.tokens --as author device list
//! ```
//! Exit code 0: done; 1: not done, and a sentence says why; 2: the command line made no sense.
#![forbid(unsafe_code)]

mod audit;
mod campaign;
mod ceremony;
mod connection;
mod device;
mod image;
mod job;
mod output;
mod pki;
mod release;
mod trust;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use linux_server::ClientError;

use crate::connection::{Connection, Usage};
use crate::output::Output;

/// Operates an OTA server, and makes the certificates for its broker.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// Print JSON, as the server's interface has it.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    noun: Noun,
}

#[derive(Subcommand)]
enum Noun {
    /// Certificates for MQTT: authority, broker, server, devices.
    #[command(subcommand)]
    Pki(pki::Verb),
    /// Keys in files.
    #[command(subcommand)]
    Key(ceremony::KeyVerb),
    /// Images.
    #[command(subcommand)]
    Image(image::Verb),
    /// Signed releases.
    #[command(subcommand)]
    Release(release::Verb),
    /// Trust documents: which keys devices believe from now on.
    #[command(subcommand)]
    Trust(trust::Verb),
    /// Devices.
    #[command(subcommand)]
    Device(device::Verb),
    /// Campaigns: which devices get a release, and how fast.
    #[command(subcommand)]
    Campaign(campaign::Verb),
    /// One device's part in a campaign.
    #[command(subcommand)]
    Job(job::Verb),
    /// Who did what.
    Audit(audit::Audit),
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("otactl: {error:#}");
            ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let Cli { json, connection, noun } = cli;
    let output = Output::new(json);
    let result = match noun {
        Noun::Pki(verb) => return pki::run(&verb, &output),
        Noun::Key(verb) => return ceremony::run_key(&verb, &output),
        Noun::Image(verb) => image::run(&verb, &connection.client()?, &output),
        Noun::Release(verb) => release::run(verb, &connection.client()?, &output),
        Noun::Trust(verb) => trust::run(verb, &connection, &output),
        Noun::Device(verb) => device::run(verb, &connection.client()?, &output),
        Noun::Campaign(verb) => campaign::run(verb, &connection.client()?, &output),
        Noun::Job(verb) => job::run(&verb, &connection.client()?, &output),
        Noun::Audit(audit) => audit.run(&connection.client()?, &output),
    };
    result.map_err(|error| match error.downcast_ref() {
        Some(ClientError::Transport(_)) => error.context(format!("{} (see --server)", connection.server())),
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory};

    use super::Cli;

    fn ids(command: &Command) -> Vec<String> {
        command.get_arguments().map(|argument| argument.get_id().to_string()).collect()
    }

    fn check(command: &Command, everywhere: &[String]) {
        for below in command.get_subcommands() {
            for id in ids(below) {
                assert!(!everywhere.contains(&id), "{} takes `{id}`, which every verb has", below.get_name());
            }
            check(below, everywhere);
        }
    }

    /// Of two arguments of one name clap takes the inner one's value for both, and says nothing.
    #[test]
    fn no_verb_has_an_argument_of_the_name_of_one_that_every_verb_has() {
        let command = Cli::command();
        command.clone().debug_assert();
        check(&command, &ids(&command));
    }
}
