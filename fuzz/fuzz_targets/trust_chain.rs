//! Arbitrary chains of trust documents. See `ota_fuzz::trust_chain`.
#![cfg_attr(feature = "libfuzzer", no_main)]

use ota_fuzz::trust_chain::TARGET;

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|input: &[u8]| (TARGET.run)(input));

#[cfg(not(feature = "libfuzzer"))]
mod shim;

#[cfg(not(feature = "libfuzzer"))]
fn main() -> std::io::Result<()> {
    shim::main(TARGET)
}
