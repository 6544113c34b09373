//! The tables of threats: a threat is held by a test, or said not to be.

use super::MARK;

/// The last heading of a table in which every row must say what holds it.
const HELD_BY: &str = "held by";
/// What a row says instead of a test.
const NOT_COVERED: &str = "not covered";

/// The threats of RFC 9124, the attacks of TUF and what Uptane adds to them: each has a row of its own.
const THREATS: [&str; 33] = [
    "THREAT.IMG.EXPIRED",
    "THREAT.IMG.EXPIRED.OFFLINE",
    "THREAT.IMG.INCOMPATIBLE",
    "THREAT.IMG.FORMAT",
    "THREAT.IMG.LOCATION",
    "THREAT.NET.REDIRECT",
    "THREAT.NET.ONPATH",
    "THREAT.IMG.REPLACE",
    "THREAT.IMG.NON_AUTH",
    "THREAT.UPD.WRONG_PRECURSOR",
    "THREAT.UPD.UNAPPROVED",
    "THREAT.IMG.DISCLOSURE",
    "THREAT.MFST.OVERRIDE",
    "THREAT.MFST.EXPOSURE",
    "THREAT.IMG.EXTRA",
    "THREAT.KEY.EXPOSURE",
    "THREAT.MFST.MODIFICATION",
    "THREAT.MFST.TOCTOU",
    "arbitrary installation",
    "endless data",
    "extraneous dependencies",
    "fast-forward",
    "indefinite freeze",
    "malicious mirrors",
    "mix-and-match",
    "rollback",
    "key compromise",
    "wrong software",
    "eavesdrop",
    "drop-request",
    "slow retrieval",
    "partial bundle",
    "denial of service",
];

/// What is wrong, with its line, counted from 1; a threat without a row is told at line 1.
pub(super) fn unheld(text: &str) -> Vec<(usize, String)> {
    let rows = rows(text);
    let mut wrong: Vec<_> = rows.iter().filter_map(objection).collect();
    for threat in THREATS {
        let count = rows.iter().filter(|row| row.first() == threat).count();
        if count != 1 {
            wrong.push((1, format!("has {count} rows for {threat} and not one")));
        }
    }
    wrong
}

struct Row<'a> {
    line: usize,
    cells: Vec<&'a str>,
    /// Cells of the table's heading.
    width: usize,
}

impl Row<'_> {
    fn first(&self) -> &str {
        self.cells.first().map_or("", |cell| cell.trim_matches('`'))
    }
}

fn objection(row: &Row<'_>) -> Option<(usize, String)> {
    let held = row.cells.last().is_some_and(|cell| cell.contains(MARK) || cell.contains(NOT_COVERED));
    if row.cells.len() != row.width {
        Some((row.line, format!("has {} cells in a table of {}", row.cells.len(), row.width)))
    } else if held {
        None
    } else {
        Some((row.line, format!("names no test for \"{}\" and does not say \"{NOT_COVERED}\"", row.first())))
    }
}

/// The rows of every table whose last heading is [`HELD_BY`].
fn rows(text: &str) -> Vec<Row<'_>> {
    let mut width = None;
    let mut rows = Vec::new();
    let mut above = None;
    for (line, number) in text.lines().zip(1..) {
        let cells = cells(line);
        match (&cells, width) {
            (None, _) => width = None,
            (Some(rule), _) if rule.iter().all(|cell| cell.starts_with("---")) => {
                let heading: Option<Vec<&str>> = above.take().flatten();
                width = heading.filter(|cells| cells.last() == Some(&HELD_BY)).map(|cells| cells.len());
            }
            (Some(cells), Some(width)) => rows.push(Row { line: number, cells: cells.clone(), width }),
            (Some(_), None) => {}
        }
        above = Some(cells);
    }
    rows
}

/// The cells of a row of a table.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A document with one good row for each threat, and `more` below.
    fn document(more: &str) -> String {
        let rows: String =
            THREATS.iter().map(|threat| format!("| `{threat}` | is refused | `a.rs::b` |\n")).collect();
        format!("| threat | guarantee | held by |\n|---|---|---|\n{rows}{more}")
    }

    #[test]
    fn row_without_a_test_must_say_that_it_is_not_covered() {
        assert_eq!(unheld(&document("| more | is read | not covered |\n")), []);
        let planted = document("| more | trust us | carefully reviewed |\n");
        let expected = "names no test for \"more\" and does not say \"not covered\"";
        assert_eq!(unheld(&planted), [(36, expected.into())]);
        let narrow = document("| more | `a.rs::b` |\n");
        assert_eq!(unheld(&narrow), [(36, "has 2 cells in a table of 3".into())]);
    }

    #[test]
    fn threat_that_is_forgotten_or_told_twice_is_noticed() {
        let forgotten = document("").replace("THREAT.MFST.TOCTOU", "THREAT.MFST.OTHER");
        assert_eq!(unheld(&forgotten), [(1, "has 0 rows for THREAT.MFST.TOCTOU and not one".into())]);
        let twice = document("| `rollback` | again | `a.rs::b` |\n");
        assert_eq!(unheld(&twice), [(1, "has 2 rows for rollback and not one".into())]);
    }

    #[test]
    fn other_tables_and_text_are_free() {
        let more = "\n| who | what |\n|---|---|\n| me | you |\n\ntext | text\n";
        assert_eq!(unheld(&document(more)), []);
    }
}
