//! The operators' file: one line each, `name roles token`.

use std::path::Path;

use anyhow::{Context, bail};
use ota_server_core::auth::{Operators, Token};
use ota_server_core::{Actor, Role, private_file};

/// The tokens of the two operators that a new server begins with. Two, because nobody approves his own campaign.
#[derive(Clone)]
pub struct OperatorTokens {
    /// May upload, publish, enrol, write and stop campaigns.
    pub author: String,
    /// May approve and stop campaigns.
    pub approver: String,
}

impl std::fmt::Debug for OperatorTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OperatorTokens(..)")
    }
}

/// Reads the operators from `file`; if it is not there, makes `author` and `approver` and writes it.
pub(crate) fn open_or_create(file: &Path) -> anyhow::Result<(Operators, OperatorTokens)> {
    let text = match private_file::read(file).with_context(|| format!("cannot use {}", file.display()))? {
        Some(text) => text.to_string(),
        None => create(file)?,
    };
    parse(&text).with_context(|| format!("in {}", file.display()))
}

fn create(file: &Path) -> anyhow::Result<String> {
    let (author, approver) = (random_token()?, random_token()?);
    let text =
        format!("author author,viewer {}\napprover approver,viewer {}\n", author.expose(), approver.expose());
    private_file::write(file, &text)?;
    Ok(text)
}

fn random_token() -> anyhow::Result<Token> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    Ok(Token::for_operator(random))
}

fn parse(text: &str) -> anyhow::Result<(Operators, OperatorTokens)> {
    let mut operators = Operators::new();
    let mut tokens = OperatorTokens { author: String::new(), approver: String::new() };
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let [name, roles, token] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            bail!("a line is `name role[,role] token`");
        };
        let roles: Option<Vec<Role>> = roles.split(',').map(Role::parse).collect();
        let Some(roles) = roles else { bail!("operator {name}: roles are viewer, author and approver") };
        operators.add(Actor::new(name, &roles), &Token::from_text(token));
        match name {
            "author" => tokens.author = token.into(),
            "approver" => tokens.approver = token.into(),
            _ => {}
        }
    }
    Ok((operators, tokens))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_file_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("operator.tokens");
        let (_, made) = open_or_create(&file).unwrap();
        let (operators, read) = open_or_create(&file).unwrap();
        assert_eq!(made.author, read.author);
        assert!(operators.find(&read.approver).unwrap().has(Role::Approver));
        assert!(!operators.find(&read.approver).unwrap().has(Role::Author));
    }

    #[test]
    fn unknown_role_and_missing_token_are_refused() {
        assert!(parse("ann root 0123").is_err());
        assert!(parse("ann author").is_err());
        assert!(parse("# comment\n\nann author 0123").is_ok());
    }
}
