//! The real release binaries, bootloader and application, on the emulated chip. `board-proof` runs the same lives with every
//! cut.

mod cuts;
mod memory;
mod odd;
mod whole;

use std::path::Path;
use std::sync::OnceLock;

use board_proof::{Cast, Conduct, Plays};

/// Firmware built once for all tests.
fn plays() -> &'static Plays {
    static PLAYS: OnceLock<Plays> = OnceLock::new();
    PLAYS.get_or_init(|| {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../target/board-proof");
        let cast = Cast::assemble(&target).expect("the firmware builds");
        Plays::rehearse(cast, &Conduct::BAD).expect("the firmware builds")
    })
}
