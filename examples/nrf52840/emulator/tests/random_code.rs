//! Code by chance: whatever firmware does, the emulator reports it and does not panic. Overflow checks are on in this build.

use emulator::{Cut, FlashFault, HZ, Machine, Misuse, Register, Stop};

/// A xorshift generator.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 >> 32).unwrap()
    }

    fn pick(&mut self, from: &[u32]) -> u32 {
        from[self.next() as usize % from.len()]
    }

    /// Words that lead somewhere: registers of peripherals and of the core, buffers, returns from exceptions.
    fn value(&mut self) -> u32 {
        let peripheral = 0x4000_0000 + ((self.next() % 0x2A) << 12);
        let offsets = [
            0, 4, 8, 0xC, 0x14, 0x40, 0x110, 0x140, 0x200, 0x304, 0x500, 0x504, 0x508, 0x510, 0x534, 0x540,
            0x544, 0x588, 0x600, 0x800,
        ];
        let register = peripheral + self.pick(&offsets);
        let system = 0xE000_E000 + (self.next() & 0xFFC);
        let edges = [
            0,
            1,
            6,
            8,
            0xFFFF_FFFF,
            0x2003_FFFE,
            0x000F_FFFE,
            0x1000_1FFE,
            0xFFFF_FFF1,
            0xFFFF_FFED,
            0x6E52_4635,
        ];
        let edge = self.pick(&edges);
        let any = self.next();
        self.pick(&[
            register,
            register,
            system,
            0x2000_0000 + (any & 0x3_FFFF),
            0x200 + (any & 0xFFE),
            edge,
            any,
        ])
    }

    /// Mostly instructions that load, store and branch; literals; noise.
    fn code(&mut self, len: usize) -> Vec<u8> {
        let mut code = Vec::new();
        while code.len() < len {
            let any = self.next();
            match any % 8 {
                0..3 => code.extend((any >> 16).to_le_bytes()),
                // Registers from and to [r0..r7], the literals nearby, and enabling things.
                3 => code.extend((0x6000 | any >> 16 & 0x0FFF).to_le_bytes()[..2].iter()),
                4 => code.extend((0x4800 | any >> 16 & 0x07FF).to_le_bytes()[..2].iter()),
                5 => code.extend(self.value().to_le_bytes()),
                6 => code.extend((0xB400 | any >> 16 & 0x0BFF).to_le_bytes()[..2].iter()),
                _ => code.extend((0xE800 | any >> 16 & 0x17FF | any << 16).to_le_bytes()),
            }
        }
        code
    }
}

#[test]
fn no_code_makes_it_panic_or_stall() {
    let (mut resets, mut misuses, mut losses) = (0, 0, 0);
    for seed in 1..400_u64 {
        let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut machine = Machine::new();
        let mut image: Vec<u8> =
            (0..64_u32).flat_map(|_| (0x201 + (chance.next() & 0xFFE)).to_le_bytes()).collect();
        image[..4].copy_from_slice(&0x2000_8000_u32.to_le_bytes());
        image.resize(0x200, 0);
        image.extend(chance.code(0x1200));
        machine.flash().load(0, &image).unwrap();
        machine.flash().set_fault(Some(FlashFault { operation: 2, cut: Cut::Torn(seed) }));
        machine.cover();
        machine.power_on();
        for _ in 0..40 {
            for register in 0..13 {
                machine.core_mut().set_register(Register::R(register), chance.value());
            }
            machine.send(0, b"noise");
            match machine.run(HZ / 10_000) {
                Stop::Reset(_) => resets += 1,
                Stop::Misuse(Misuse::WriteNotEnabled(_)) => misuses += 1,
                Stop::PowerLost => {
                    losses += 1;
                    machine.power_on();
                }
                _ => {}
            }
            let start = 0x200 + (chance.next() & 0xFFE);
            machine.core_mut().set_register(Register::R(15), start);
        }
    }
    assert!(
        resets > 100 && misuses > 10,
        "code by chance gets somewhere: {resets} resets, {misuses} misuses"
    );
    assert!(losses < 400, "{losses}");
}
