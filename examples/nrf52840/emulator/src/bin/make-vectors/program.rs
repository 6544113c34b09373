//! Whole programs: what one logged, beside its code.

use crate::Result;
use crate::tools::Folder;

/// Words per line.
const COLUMNS: usize = 8;

/// Assembles `source` and prints its code; with `logs`, runs it as well and prints its log.
pub(crate) fn run(source: &str, logs: bool) -> Result<()> {
    let folder = Folder::new("program")?;
    let image = folder.link(source, "program")?;
    let code = std::fs::read(image.with_extension("bin"))?;
    let code = code.chunks(4).map(|bytes| {
        let mut word = [0; 4];
        word[..bytes.len()].copy_from_slice(bytes);
        u32::from_le_bytes(word)
    });
    println!("# The code of {source} from address 0, and what it logs if it does. Made by `make-vectors`.");
    print("code", &code.collect::<Vec<_>>());
    if logs {
        print("log", &folder.run(&image, None)?);
    }
    Ok(())
}

fn print(name: &str, words: &[u32]) {
    for row in words.chunks(COLUMNS) {
        let row: Vec<_> = row.iter().map(|word| format!("{word:08x}")).collect();
        println!("{name} {}", row.join(" "));
    }
}
