//! No reader: what those of the documents are measured against.
#![no_std]
#![no_main]

use core::hint::black_box;

m4_bench::program!(|inputs| m4_bench::list(inputs, |bytes| black_box(u32::try_from(bytes.len()).ok())));
