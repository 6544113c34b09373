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

/// The token of the operator called `name` in an operators' file, as a server writes it: `DIR/operator.tokens`.
///
/// # Errors
/// If the file cannot be read, others than its owner can read it, or it does not name the operator.
pub fn operator_token(file: &Path, name: &str) -> anyhow::Result<String> {
    let text = private_file::read(file).with_context(|| format!("cannot use {}", file.display()))?;
    let text = text.with_context(|| format!("{} is not there", file.display()))?;
    let mut names = Vec::new();
    for line in lines(&text) {
        let line = line.with_context(|| format!("in {}", file.display()))?;
        if line.name == name {
            return Ok(line.token.into());
        }
        names.push(line.name);
    }
    bail!("{} names no operator {name}; it names {}", file.display(), names.join(", "))
}

/// An operator as the file has it.
struct Line<'a> {
    name: &'a str,
    roles: &'a str,
    token: &'a str,
}

fn lines(text: &str) -> impl Iterator<Item = anyhow::Result<Line<'_>>> {
    let written = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    written.map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [name, roles, token] => Ok(Line { name, roles, token }),
        _ => bail!("a line is `name role[,role] token`"),
    })
}

fn parse(text: &str) -> anyhow::Result<(Operators, OperatorTokens)> {
    let mut operators = Operators::new();
    let mut tokens = OperatorTokens { author: String::new(), approver: String::new() };
    for line in lines(text) {
        let Line { name, roles, token } = line?;
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
    fn an_operators_token_is_found_by_name_and_a_stranger_is_told_who_there_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("operator.tokens");
        let missing = operator_token(&file, "author").unwrap_err().to_string();
        assert!(missing.contains("is not there"), "{missing}");
        let (_, made) = open_or_create(&file).unwrap();
        assert_eq!(operator_token(&file, "approver").unwrap(), made.approver);
        let stranger = operator_token(&file, "bob").unwrap_err().to_string();
        assert!(stranger.contains("it names author, approver"), "{stranger}");
    }

    #[test]
    fn unknown_role_and_missing_token_are_refused() {
        assert!(parse("ann root 0123").is_err());
        assert!(parse("ann author").is_err());
        assert!(parse("# comment\n\nann author 0123").is_ok());
    }
}
