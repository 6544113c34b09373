//! What firmware on trial asks of the hardware and of the server before it stays.
//!
//! The flash is not among it: the bootloader has proven every byte of the image a moment ago.

use embassy_nrf::twim::Twim;
use layout::SENSOR;
use ota_agent::self_test::{Check, Connectivity, I2cIdentity, March, SelfTest};
use ota_manifest::Nonce;

use crate::variant::Variant;

/// Words of memory that are tested in a step.
const STEP: usize = 256;
/// How often the server is asked until it answers, ms. Each question feeds the watchdog.
const ASK_EVERY_MS: u32 = 2_000;

/// The questions, one after the other.
pub(crate) struct Probes<'p, D> {
    variant: Variant,
    memory: March<'p, [u32]>,
    sensor: I2cIdentity<&'p mut Twim<'static>, 1, 1>,
    server: Connectivity<D>,
}

/// Asks memory, the sensor, and the server about `nonce`.
pub(crate) fn probes<'p>(
    memory: &'p mut [u32],
    bus: &'p mut Twim<'static>,
    nonce: Nonce,
) -> Probes<'p, impl FnMut() -> Nonce> {
    let Ok(memory) = March::new(memory, STEP) else { unreachable!("there is some") };
    Probes {
        variant: Variant,
        memory,
        sensor: I2cIdentity::new("sensor", bus, SENSOR.address, [SENSOR.register], [SENSOR.identity]),
        // Without end: it is the trial's window that ends a trial whose server is silent.
        server: Connectivity::new(move || nonce, ASK_EVERY_MS, u32::MAX),
    }
}

impl<D: FnMut() -> Nonce> Probes<'_, D> {
    /// As a list.
    pub(crate) fn checks(&mut self) -> [Check<'_>; 4] {
        let sensor = if SENSOR.required { Check::required } else { Check::optional };
        [
            Check::required(&mut self.variant),
            Check::required(&mut self.memory),
            sensor(&mut self.sensor),
            Check::required(&mut self.server),
        ]
    }
}

/// The self-test of these. `asks`: a freshness key is trusted. Without one no answer of the server's would be believed, so
/// it is not asked; it still has to acknowledge a report before a trial ends well.
pub(crate) fn run<'t, 'p>(checks: &'t mut [Check<'p>], asks: bool) -> SelfTest<'t, 'p> {
    let server_at = checks.len().saturating_sub(1);
    let asked = if asks { checks } else { checks.split_at_mut(server_at).0 };
    let Ok(test) = SelfTest::new(asked) else { unreachable!("some of them are required") };
    test
}
