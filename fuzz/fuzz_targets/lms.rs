//! Arbitrary LMS keys and signatures. See `ota_fuzz::lms`.
#![cfg_attr(feature = "libfuzzer", no_main)]

use ota_fuzz::lms::TARGET;

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|input: &[u8]| (TARGET.run)(input));

#[cfg(not(feature = "libfuzzer"))]
mod shim;

#[cfg(not(feature = "libfuzzer"))]
fn main() -> std::io::Result<()> {
    shim::main(TARGET)
}
