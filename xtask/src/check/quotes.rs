//! Files that a document shows are shown as they are: a reader copies from the document, and only the files are compiled.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::cargo_metadata::Workspace;

/// Documents, and the files that each shows in full.
const QUOTES: [(&str, &[&str]); 1] = [(
    "ota-agent/README.md",
    &["examples/loops/src/board.rs", "examples/loops/src/blocking.rs", "examples/loops/src/embassy.rs"],
)];

/// What is above a file's text, after the line that begins with the file's name.
const FENCE: &str = "```rust,ignore\n";

/// Fails with the first file that is not shown as it is.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let read = |path: &str| {
        fs::read_to_string(workspace.root().join(path)).with_context(|| format!("cannot read {path}"))
    };
    for (document, files) in QUOTES {
        let text = read(document)?;
        for file in files {
            let shown = quote(&text, file).with_context(|| {
                format!("{document} does not show {file}: begin a line with its name in brackets, [`{file}`], and put its text between fences of {} behind it", FENCE.trim_end())
            })?;
            let difference = first_difference(shown, &read(file)?);
            ensure!(
                difference.is_none(),
                "{document} shows {file} otherwise than it is, from line {} of the file on: copy the file to the document, its comment lines included",
                difference.unwrap_or_default()
            );
        }
    }
    Ok(())
}

/// The text that a document gives as that of `file`.
fn quote<'d>(document: &'d str, file: &str) -> Option<&'d str> {
    let (_, behind) = document.split_once(&format!("\n[`{file}`]"))?;
    let (_, text) = behind.split_once(FENCE)?;
    text.split_once("\n```\n").map(|(text, _)| text)
}

/// The first line, counted from 1, in which the texts differ. The line break at the end does not count.
fn first_difference(shown: &str, file: &str) -> Option<usize> {
    let lines = |text: &str| text.trim_end().lines().map(str::to_owned).collect::<Vec<_>>();
    let (shown, file) = (lines(shown), lines(file));
    let longest = shown.len().max(file.len());
    (0..longest).find(|line| shown.get(*line) != file.get(*line)).map(|line| line + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str =
        "# A\n\n[`a/b.rs`](https://x/a/b.rs):\n\n```rust,ignore\nfn b() {\n}\n```\n\n```rust\nlet c;\n```\n";

    #[test]
    fn text_behind_the_name_of_a_file_is_its_quote() {
        assert_eq!(quote(DOCUMENT, "a/b.rs"), Some("fn b() {\n}"));
        assert_eq!(quote(DOCUMENT, "a/c.rs"), None);
        assert_eq!(
            quote(&DOCUMENT.replace(",ignore", ""), "a/b.rs"),
            None,
            "code that is compiled where it stands"
        );
    }

    #[test]
    fn any_difference_is_found_and_its_line_named() {
        assert_eq!(first_difference("a\nb", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb", "a\nB\n"), Some(2));
        assert_eq!(first_difference("a", "a\nb\n"), Some(2), "the document stops too early");
        assert_eq!(first_difference("a\nb\nc", "a\nb\n"), Some(3), "the document goes on");
        assert_eq!(first_difference("a\n b", "a\nb\n"), Some(2));
    }
}
