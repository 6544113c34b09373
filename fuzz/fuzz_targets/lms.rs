//! Arbitrary LMS keys and signatures. See `ota_fuzz::lms`.
#![cfg_attr(feature = "libfuzzer", no_main)]

ota_fuzz::main!(ota_fuzz::lms::TARGET);
