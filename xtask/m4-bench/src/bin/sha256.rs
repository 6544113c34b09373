//! SHA-256.
#![no_std]
#![no_main]

use ota_verify::Sha256;

m4_bench::program!(|inputs| m4_bench::digest(inputs, |content| Sha256::of(&[content])));
