//! The part on the I2C bus that the self-test looks for.

/// A part that tells its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sensor {
    /// Its address on the bus, seven bits.
    pub address: u8,
    /// The register with its name.
    pub register: u8,
    /// The name.
    pub identity: u8,
    /// Whether firmware that does not find it is unfit.
    pub required: bool,
}

/// A BME280, if there is one. The bare kit has none, so it is asked and decides nothing; a product whose board has it says
/// `required: true`, and an update that breaks the bus is rolled back.
pub const SENSOR: Sensor = Sensor { address: 0x76, register: 0xD0, identity: 0x60, required: false };
