//! ECDSA over P-256 with SHA-256.
#![no_std]
#![no_main]

use ota_verify::P256Key;

m4_bench::program!(|inputs| m4_bench::signature(inputs, P256Key::new));
