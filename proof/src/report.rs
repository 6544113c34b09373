//! The report: one JSON object, or lines for people.

use serde_json::{Map, Value, json};

use crate::board::{Board, STRATEGIES, name_of};
use crate::plan::{Row, Section};
use crate::tally::Tally;

use ota_slots::sim::CutMode;

/// One section as JSON: an entry per strategy, in the grid one per board.
#[must_use]
pub fn section(section: Section, rows: &[Row]) -> Value {
    if section == Section::Grid {
        let mut names: Vec<&str> = rows.iter().map(|row| row.board.name.as_str()).collect();
        names.dedup();
        let of = |name: &str| rows.iter().filter(|row| row.board.name == name).collect::<Vec<_>>();
        return names.iter().map(|name| entry(section, name, &of(name))).collect();
    }
    let of = |strategy| rows.iter().filter(|row| row.board.strategy == strategy).collect::<Vec<_>>();
    STRATEGIES.into_iter().map(|strategy| entry(section, name_of(strategy), &of(strategy))).collect()
}

fn entry(section: Section, name: &str, rows: &[&Row]) -> Value {
    let mut sum = Tally::default();
    rows.iter().for_each(|row| sum.add(&row.tally));
    let mut fields = Map::new();
    fields.insert("name".into(), name.into());
    if let Some(row) = rows.first() {
        describe(&mut fields, &row.board);
    }
    if matches!(section, Section::Single | Section::Grid) {
        fields.insert("modes".into(), CutMode::ALL.len().into());
    }
    count(&mut fields, &sum);
    if matches!(section, Section::Single | Section::Double) {
        fields.insert("lives".into(), rows.iter().map(|row| life(row)).collect());
    }
    Value::Object(fields)
}

fn describe(fields: &mut Map<String, Value>, board: &Board) {
    let page = board.geometry.erase_page;
    fields.insert("image_bytes".into(), board.images[1].into());
    fields.insert("slot_bytes".into(), board.slot_pages.map(|pages| pages * page).to_vec().into());
    fields.insert("erase_page".into(), page.into());
    fields.insert("write_size".into(), board.geometry.write_size.into());
    fields.insert("erased".into(), board.geometry.erased.into());
    fields.insert("journal_pages".into(), board.journal_pages.into());
}

fn life(row: &Row) -> Value {
    let mut fields = Map::new();
    fields.insert("name".into(), row.life.into());
    count(&mut fields, &row.tally);
    Value::Object(fields)
}

fn count(fields: &mut Map<String, Value>, tally: &Tally) {
    if tally.operations > 0 {
        fields.insert("ops".into(), tally.operations.into());
    }
    fields.insert("cuts".into(), tally.lives.into());
    for (fault, count) in tally.faults() {
        fields.insert(fault.name().into(), count.into());
    }
    fields.insert("retries".into(), tally.refusals.into());
}

/// The whole report.
#[must_use]
pub fn whole(sections: &[(Section, Vec<Row>)], seconds: f64, seed: u64) -> Value {
    let mut fields = Map::new();
    for (name, rows) in sections {
        fields.insert(name.name().into(), section(*name, rows));
    }
    fields.insert("failures".into(), broken(sections).into());
    fields.insert("seed".into(), seed.into());
    fields.insert("seconds".into(), json!((seconds * 10.0).round() / 10.0));
    Value::Object(fields)
}

/// Broken promises in all sections.
#[must_use]
pub fn broken(sections: &[(Section, Vec<Row>)]) -> u64 {
    sections.iter().flat_map(|(_, rows)| rows).map(|row| row.tally.total()).sum()
}

/// The whole report in lines.
#[must_use]
pub fn lines(sections: &[(Section, Vec<Row>)]) -> String {
    let mut text = String::new();
    for (section, rows) in sections {
        for row in rows {
            let Row { board, life, tally } = row;
            let (name, operations, lives, broken) =
                (section.name(), tally.operations, tally.lives, tally.total());
            let board = &board.name;
            text += &format!(
                "{name:<10} {board:<32} {life:<15} {operations:>6} ops {lives:>8} cuts {broken:>4} broken\n"
            );
        }
    }
    text
}
