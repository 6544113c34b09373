//! An application for the nRF52840 that replaces itself over a serial line.
//!
//! ```text
//!   heartbeat ---- a light
//!   updates ------ line                    UARTE 0, to the gateway, and through it to the server
//!             |--- workbench               slots, journal and trust in flash; the watchdog
//!             |--- self_test               on trial only: memory, clock, sensor, server
//!             '--- lights                  what a person sees of it
//! ```
//! A product puts its own tasks beside these two and keeps the rest.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod board;
mod lights;
mod line;
mod memory;
mod release;
mod self_test;
mod trust;
mod updates;
mod variant;
mod workbench;

use board::Board;
use embassy_executor::Spawner;
use embassy_time::Timer;
use memory::{MEMORY, RINGS};
use ota_agent::self_test::Watchdog as _;
use ota_slots::OpenError;
use small_mem as _;

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let (mut board, heartbeat) = Board::start(RINGS.take());
    if let Ok(task) = lights::heartbeat(heartbeat) {
        spawner.spawn(task);
    }
    let Err(why) = updates::run(&mut board, MEMORY.take()).await;
    // The bootloader knows what to do with firmware that has declared itself unfit.
    if matches!(why, OpenError::NotRunning(_)) {
        board::reset()
    }
    // It cannot be updated, and does the rest of its work.
    board.lights.trouble(true);
    loop {
        board.bench.feed();
        Timer::after_millis(updates::FEED_MS.into()).await;
    }
}
