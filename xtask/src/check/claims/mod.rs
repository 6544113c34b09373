//! The tests that documents name exist: `path::test_name`, and `path::Item#compile_fail` for an example in the
//! documentation of an item.
//!
//! A document says what holds a promise. Where the test has been renamed or taken out, nothing holds it any more, and
//! nobody who reads the document would know.

mod listed;
mod names;
mod rows;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::cargo_metadata::Workspace;
use names::Names;

/// The folder whose documents are read.
const DOCUMENTS: &str = "docs";
/// The documents whose tables must say for each of these what holds against it.
const TABLES: [(&str, &[&str]); 2] =
    [("docs/threat-model.md", &listed::THREATS), ("docs/agent.md", &listed::THREADS)];
/// What ends the path in a claim.
const MARK: &str = ".rs::";

/// Fails with every test that a document names and nobody has written, and with every threat and thread without a test.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let root = workspace.root();
    let mut wrong = missing(root)?;
    for (document, listed) in TABLES {
        let text =
            fs::read_to_string(root.join(document)).with_context(|| format!("cannot read {document}"))?;
        let unheld = rows::unheld(&text, listed);
        wrong.extend(unheld.into_iter().map(|(line, what)| format!("{document}:{line} {what}")));
    }
    if !wrong.is_empty() {
        bail!("documents promise what no test holds:\n  {}", wrong.join("\n  "));
    }
    Ok(())
}

/// A test as a document names it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Claim {
    /// Line of the document, counted from 1.
    line: usize,
    /// File below the root of the workspace.
    path: String,
    /// Function, or item and kind of example.
    name: String,
}

/// One sentence for each claim without a test.
fn missing(root: &Path) -> Result<Vec<String>> {
    let mut files = BTreeMap::new();
    let mut wrong = Vec::new();
    for document in documents(root)? {
        let text =
            fs::read_to_string(root.join(&document)).with_context(|| format!("cannot read {document}"))?;
        for claim in claims(&text) {
            let Claim { line, path, name } = claim;
            let names = match files.entry(path.clone()) {
                std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::btree_map::Entry::Vacant(new) => new.insert(read(root, &path)?),
            };
            if let Some(reason) = objection(names.as_ref(), &name) {
                wrong.push(format!("{document}:{line} names {path}::{name}: {reason}"));
            }
        }
    }
    Ok(wrong)
}

/// What is wrong with naming `name` in a file with these names, if anything is.
fn objection(names: Option<&Names>, name: &str) -> Option<&'static str> {
    match names {
        None => Some("there is no such file"),
        Some(names) if names.ignored.contains(name) => Some("the test is ignored"),
        Some(names) if !names.held.contains(name) => Some("there is no such test in the file"),
        Some(_) => None,
    }
}

/// The names in `path`; `None` if there is no such file in the workspace.
fn read(root: &Path, path: &str) -> Result<Option<Names>> {
    let leaves = path.starts_with('/') || path.split('/').any(|part| part == "..");
    let file = root.join(path);
    if leaves || !file.is_file() {
        return Ok(None);
    }
    let source = fs::read_to_string(&file).with_context(|| format!("cannot read {path}"))?;
    let file = syn::parse_file(&source).with_context(|| format!("cannot parse {path}"))?;
    Ok(Some(names::find(&file)))
}

/// The documents, in the order of their names.
fn documents(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let folder = root.join(DOCUMENTS);
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if Path::new(&name).extension().is_some_and(|extension| extension == "md") {
            found.push(format!("{DOCUMENTS}/{name}"));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Every claim in a document, inside code and outside.
fn claims(text: &str) -> Vec<Claim> {
    text.lines().zip(1..).flat_map(|(line, number)| claims_in(line, number)).collect()
}

fn claims_in(line: &str, number: usize) -> Vec<Claim> {
    let marks = line.match_indices(MARK);
    marks
        .map(|(at, _)| {
            let (before, after) = (&line[..at], &line[at + MARK.len()..]);
            let start = before
                .rfind(|c: char| !is_of_path(c))
                .map_or(0, |end| end + before[end..].chars().next().map_or(1, char::len_utf8));
            let end = after.find(|c: char| !is_of_name(c)).unwrap_or(after.len());
            let path = format!("{}.rs", &before[start..]);
            Claim { line: number, path, name: after[..end].to_owned() }
        })
        .collect()
}

fn is_of_path(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-./".contains(c)
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_#:".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::scratch::Folder;

    #[test]
    fn name_that_nobody_has_written_is_told_with_file_and_line_of_the_document() {
        let source = "#[test]\nfn holds() {}\nfn helper() {}\n#[test]\n#[ignore]\nfn sleeps() {}";
        let document = "# Threats\n\n`a/tests/t.rs::holds`, `a/tests/t.rs::hold`\n\
            a/tests/t.rs::helper (a/tests/t.rs::sleeps)\n`a/tests/u.rs::holds`\n`../t.rs::holds`";
        let folder = Folder::new("planted", &[("a/tests/t.rs", source), ("docs/d.md", document)]);
        let expected = [
            "docs/d.md:3 names a/tests/t.rs::hold: there is no such test in the file",
            "docs/d.md:4 names a/tests/t.rs::helper: there is no such test in the file",
            "docs/d.md:4 names a/tests/t.rs::sleeps: the test is ignored",
            "docs/d.md:5 names a/tests/u.rs::holds: there is no such file",
            "docs/d.md:6 names ../t.rs::holds: there is no such file",
        ];
        assert_eq!(missing(&folder.0).unwrap(), expected);
    }

    #[test]
    fn every_document_is_read_and_nothing_else_in_the_folder_is() {
        let files = [("docs/b.md", "x.rs::y"), ("docs/a.md", "\nx.rs::y"), ("docs/c.txt", "x.rs::y")];
        let folder = Folder::new("several", &files);
        let places = missing(&folder.0).unwrap();
        let places: Vec<_> = places.iter().map(|place| &place[..11]).collect();
        assert_eq!(places, ["docs/a.md:2", "docs/b.md:1"]);
    }

    #[test]
    fn claims_end_where_no_name_goes_on() {
        let text = "see `a-b/src/c_d.rs::e_1`, (x.rs::y#compile_fail); é.rs::z | n.rs::";
        let found: Vec<_> =
            claims(text).into_iter().map(|claim| format!("{}::{}", claim.path, claim.name)).collect();
        assert_eq!(found, ["a-b/src/c_d.rs::e_1", "x.rs::y#compile_fail", ".rs::z", "n.rs::"]);
    }
}
