//! Tables of what others fear and suffer: each row is held by a test, or said not to be.

use super::MARK;

/// The last heading of a table in which every row must say what holds it.
const HELD_BY: &str = "held by";
/// What a row says instead of a test.
const NOT_COVERED: &str = "not covered";

/// What is wrong, with its line, counted from 1; what is `listed` and has no row of its own is told at line 1.
pub(super) fn unheld(text: &str, listed: &[&str]) -> Vec<(usize, String)> {
    let rows = rows(text);
    let mut wrong: Vec<_> = rows.iter().filter_map(objection).collect();
    for name in listed {
        let count = rows.iter().filter(|row| row.first() == *name).count();
        if count != 1 {
            wrong.push((1, format!("has {count} rows for {name} and not one")));
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

    const LISTED: [&str; 3] = ["THREAT.MFST.TOCTOU", "rollback", "owner/project#12"];

    /// What is wrong with a document that has one good row for each listed name, and `more` below.
    fn wrong_with(change: impl FnOnce(String) -> String) -> Vec<(usize, String)> {
        let rows: String =
            LISTED.iter().map(|name| format!("| `{name}` | is refused | `a.rs::b` |\n")).collect();
        let document = format!("| threat | guarantee | held by |\n|---|---|---|\n{rows}");
        unheld(&change(document), &LISTED)
    }

    #[test]
    fn row_without_a_test_must_say_that_it_is_not_covered() {
        assert_eq!(wrong_with(|good| good + "| more | is read | not covered |\n"), []);
        let expected = "names no test for \"more\" and does not say \"not covered\"";
        let planted = wrong_with(|good| good + "| more | trust us | carefully reviewed |\n");
        assert_eq!(planted, [(6, expected.into())]);
        let narrow = wrong_with(|good| good + "| more | `a.rs::b` |\n");
        assert_eq!(narrow, [(6, "has 2 cells in a table of 3".into())]);
    }

    #[test]
    fn name_that_is_forgotten_or_told_twice_is_noticed() {
        let forgotten = wrong_with(|good| good.replace("TOCTOU", "OTHER"));
        assert_eq!(forgotten, [(1, "has 0 rows for THREAT.MFST.TOCTOU and not one".into())]);
        let twice = wrong_with(|good| good + "| `owner/project#12` | again | `a.rs::b` |\n");
        assert_eq!(twice, [(1, "has 2 rows for owner/project#12 and not one".into())]);
    }

    #[test]
    fn other_tables_and_text_are_free() {
        let more = "\n| who | what |\n|---|---|\n| me | you |\n\ntext | text\n";
        assert_eq!(wrong_with(|good| good + more), []);
    }
}
