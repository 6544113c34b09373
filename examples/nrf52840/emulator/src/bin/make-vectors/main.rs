//! Makes the instruction vectors: what another implementation of the Cortex-M4, QEMU's, does with instructions filled in at
//! random from `vectors/templates.txt`, and with the programs beside it.
//!
//! Needs `qemu-system-arm` and `binutils-arm-none-eabi`, which the tests do not. From the folder of this crate:
//!
//! ```console
//! $ cargo run --bin make-vectors -- 6 > vectors/instructions.txt
//! $ cargo run --bin make-vectors -- program vectors/exceptions.s > vectors/exceptions.txt
//! $ cargo run --bin make-vectors -- assemble vectors/speed.s > vectors/speed.txt
//! ```
#![forbid(unsafe_code)]

mod case;
mod chance;
mod program;
mod template;
mod tools;

use std::error::Error;

use case::{Case, Outcome};
use chance::Chance;
use template::Template;
use tools::Folder;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// As many cases as memory holds at once.
const BATCH: usize = 4000;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [word, source] if word == "program" => program::run(source, true),
        [word, source] if word == "assemble" => program::run(source, false),
        [count] => instructions(count.parse()?, 1),
        [count, seed] => instructions(count.parse()?, seed.parse()?),
        _ => {
            Err("give the number of vectors for each template, or `program` or `assemble` and a source"
                .into())
        }
    }
}

fn instructions(count: usize, seed: u64) -> Result<()> {
    let mut chance = Chance::new(seed);
    let templates = Template::read(&std::fs::read_to_string("vectors/templates.txt")?);
    let mut cases: Vec<Case> = Vec::new();
    for template in &templates {
        let filled = (0..count).map(|_| template.fill(&mut chance));
        cases.extend(filled);
    }
    println!(
        "# instructions | code | before | after, as `tests/vectors.rs` reads them. Made by `make-vectors`."
    );
    print!("{}", case::usual_lines());
    for batch in cases.chunks_mut(BATCH) {
        let folder = Folder::new("instructions")?;
        let code = folder.assemble_cases(batch)?;
        for (case, code) in batch.iter_mut().zip(code) {
            case.code = code;
        }
        let outcomes = run(&folder, batch)?;
        for (case, outcome) in batch.iter().zip(outcomes) {
            println!("{}", case.line(&outcome));
        }
    }
    Ok(())
}

fn run(folder: &Folder, cases: &[Case]) -> Result<Vec<Outcome>> {
    let image = folder.link("vectors/harness.s", "harness")?;
    let mut words = vec![u32::try_from(cases.len())?];
    words.extend(cases.iter().flat_map(Case::record));
    let results = folder.run(&image, Some(&words))?;
    let results: Vec<_> = results.chunks_exact(case::RESULT).map(Outcome::read).collect();
    if results.len() == cases.len() {
        Ok(results)
    } else {
        Err(format!("{} results of {} cases", results.len(), cases.len()).into())
    }
}
