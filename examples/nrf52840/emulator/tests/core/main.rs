//! The core against what another implementation did: `vectors/instructions.txt` one instruction, or a few, at a time;
//! `vectors/exceptions.txt` a program. `make-vectors` made both.

mod edges;
mod memory;
mod program;
mod vector;

use emulator::Defect;

#[test]
fn every_instruction_does_what_it_does_elsewhere() {
    let (vectors, mismatches) = vector::run(None);
    let shown = mismatches.iter().take(10).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(mismatches.is_empty(), "{} of {vectors} differ:\n{shown}", mismatches.len());
    assert!(vectors > 1500, "only {vectors} vectors");
}

#[test]
fn exceptions_are_taken_and_left_as_elsewhere() {
    program::run(None).unwrap();
}

#[test]
fn every_planted_bug_is_noticed() {
    for defect in Defect::ALL {
        let (_, mismatches) = vector::run(Some(defect));
        let program = program::run(Some(defect));
        assert!(!mismatches.is_empty() || program.is_err(), "{defect:?} passes");
    }
}
