//! Which server, and as whom.

use std::path::PathBuf;

use clap::Args;
use linux_server::{OperatorClient, operator_token};
use thiserror::Error;

/// A command line that clap could not know to be senseless.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

#[derive(Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct Connection {
    /// The server.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "OTA_SERVER",
        default_value = "http://127.0.0.1:8080"
    )]
    server: String,
    /// Your token. Others on this machine can read it on a command line: rather set the variable, or name a file.
    #[arg(long, global = true, value_name = "TOKEN", env = "OTA_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A server's file of operators, to take the token from that --as names; goes before a token.
    #[arg(long, global = true, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// Which operator of the file.
    #[arg(long = "as", global = true, value_name = "NAME")]
    operator: Option<String>,
}

impl Connection {
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// A client with the operator's token.
    pub(crate) fn client(&self) -> anyhow::Result<OperatorClient> {
        let token = match (&self.tokens, &self.operator, &self.token) {
            (Some(file), Some(operator), _) => operator_token(file, operator)?,
            (None, None, Some(token)) => token.clone(),
            (None, None, None) => {
                let how = "say who you are: --tokens FILE --as NAME, or --token, or OTA_TOKEN";
                return Err(Usage(how.into()).into());
            }
            _ => return Err(Usage("--tokens FILE and --as NAME go together".into()).into()),
        };
        Ok(OperatorClient::new(&self.server, &token))
    }
}
