//! What the firmware touches that the emulator does not model, and why that is so.

use std::ops::RangeInclusive;

use emulator::Machine;

/// Registers, and what the firmware does there.
const KNOWN: [(RangeInclusive<u32>, &str); 2] = [
    (
        0x4000_0558..=0x4000_0558,
        "APPROTECT.DISABLE: bootloader and drivers leave the port to the debugger as UICR has it",
    ),
    (0x4000_C520..=0x4000_C570, "TEMP's trims: the drivers copy them from FICR (erratum 66)"),
];

/// Registers that the firmware has touched and that neither the emulator models nor this file knows.
#[must_use]
pub fn unknown_registers(machine: &Machine) -> Vec<u32> {
    let touched = machine.unmodelled().registers().map(|(address, _)| address);
    touched.filter(|address| !KNOWN.iter().any(|(known, _)| known.contains(address))).collect()
}
