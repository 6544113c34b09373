//! What a person sees, on the four lights of the kit.
//!
//! | light | meaning |
//! |---|---|
//! | 1 | short flash each second: tasks run. It pauses while flash is written or proven |
//! | 2 | changes with each part of an image that is written |
//! | 3 | firmware on trial |
//! | 4 | nobody answers, or something failed |

use embassy_nrf::gpio::Output;
use embassy_time::Timer;
use ota_agent::{Event, SlotWork};
use ota_manifest::wire::Stage;

/// Lights 2 to 4. They light when low.
pub(crate) struct Lights {
    progress: Output<'static>,
    trial: Output<'static>,
    trouble: Output<'static>,
}

impl Lights {
    /// All dark.
    pub(crate) fn new([progress, trial, trouble]: [Output<'static>; 3]) -> Self {
        Self { progress, trial, trouble }
    }

    pub(crate) fn trial(&mut self, on: bool) {
        self.trial.set_level((!on).into());
    }

    pub(crate) fn trouble(&mut self, on: bool) {
        self.trouble.set_level((!on).into());
    }

    pub(crate) fn work(&mut self, work: &SlotWork<'_>) {
        if matches!(work, SlotWork::StoreChunk { .. }) {
            self.progress.toggle();
        }
    }

    pub(crate) fn show(&mut self, event: Event) {
        match event {
            Event::Reached(Stage::Downloaded) => self.progress.set_high(),
            Event::Reached(Stage::Confirmed) => self.trial(false),
            Event::BackingOff { .. } | Event::FlashFailed { .. } | Event::ServerRefused { .. } => {
                self.trouble(true);
            }
            _ => {}
        }
    }
}

/// Light 1.
#[embassy_executor::task]
pub(crate) async fn heartbeat(mut light: Output<'static>) {
    loop {
        light.set_low();
        Timer::after_millis(50).await;
        light.set_high();
        Timer::after_millis(950).await;
    }
}
