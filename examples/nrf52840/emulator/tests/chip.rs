//! The chip as firmware sees it: every access here is an instruction that the core executes.

use emulator::{Answer, Cut, FlashFault, HZ, Machine, Misuse, Register, ResetCause, Stop, TwiDevice};

/// Registers used below.
const RESETREAS: u32 = 0x4000_0400;
const LFCLKSTART: u32 = 0x4000_0008;
const SYSTEMOFF: u32 = 0x4000_0500;
const GPREGRET: u32 = 0x4000_051C;
const UARTE: u32 = 0x4000_2000;
const TWIM: u32 = 0x4000_3000;
const TIMER: u32 = 0x4000_8000;
const RTC: u32 = 0x4000_B000;
const WDT: u32 = 0x4001_0000;
const NVMC_CONFIG: u32 = 0x4001_E504;
const ERASEPAGE: u32 = 0x4001_E508;
const ERASEUICR: u32 = 0x4001_E514;
const ACL: u32 = 0x4001_E800;
const PPI: u32 = 0x4001_F000;
const GPIO: u32 = 0x5000_0500;
const NVIC_ENABLE: u32 = 0xE000_E100;
const AIRCR: u32 = 0xE000_ED0C;
const UICR: u32 = 0x1000_1080;
const RAM: u32 = 0x2000_0100;

const WRITE: u32 = 1;
const ERASE: u32 = 2;
const DONE: Stop = Stop::Breakpoint(1);
const INTERRUPTED: Stop = Stop::Breakpoint(2);
const FAULTED: Stop = Stop::Breakpoint(3);
const LONG: u64 = 100 * HZ;

/// Firmware that does one access at a time.
#[derive(Clone)]
struct Probe(Machine);

impl Probe {
    fn new() -> Self {
        let mut machine = Machine::new();
        let mut table = vec![0x2004_0000_u32, 0x201, 0x241, 0x251];
        table.resize(64, 0x241);
        let table: Vec<u8> = table.into_iter().flat_map(u32::to_le_bytes).collect();
        machine.flash().load(0, &table).unwrap();
        // Ready: bkpt 0. Store: str r1, [r0]; bkpt 1. Load: ldr r1, [r0]; bkpt 1. Sleep: wfi; bkpt 1.
        // Any handler: bkpt 2; bx lr. Hard fault: bkpt 3; ldr r1, [r0] faults again.
        let code: [(u32, &[u16]); 6] = [
            (0x200, &[0xBE00]),
            (0x210, &[0x6001, 0xBE01]),
            (0x220, &[0x6801, 0xBE01]),
            (0x230, &[0xBF30, 0xBE01]),
            (0x240, &[0xBE02, 0x4770]),
            (0x250, &[0xBE03, 0x6801]),
        ];
        for (address, halves) in code {
            let bytes: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
            machine.flash().load(address, &bytes).unwrap();
        }
        machine.power_on();
        let mut probe = Self(machine);
        probe.ready();
        probe
    }

    fn ready(&mut self) {
        assert_eq!(self.0.run(LONG), Stop::Breakpoint(0));
    }

    fn execute(&mut self, at: u32, r0: u32, r1: u32) -> Stop {
        for (register, value) in [(0, r0), (1, r1), (15, at)] {
            self.0.core_mut().set_register(Register::R(register), value);
        }
        self.0.run(LONG)
    }

    fn try_write(&mut self, address: u32, value: u32) -> Stop {
        self.execute(0x210, address, value)
    }

    fn write(&mut self, address: u32, value: u32) {
        assert_eq!(self.try_write(address, value), DONE, "{address:#010x}");
    }

    fn read(&mut self, address: u32) -> u32 {
        assert_eq!(self.execute(0x220, address, 0), DONE, "{address:#010x}");
        self.0.core().register(Register::R(1))
    }

    fn sleep(&mut self) -> Stop {
        self.execute(0x230, 0, 0)
    }

    /// Runs an endless loop in RAM for some time.
    fn pass(&mut self, millis: u64) -> Stop {
        self.0.ram(0x2000_0000, 2).unwrap().copy_from_slice(&[0xFE, 0xE7]);
        self.0.core_mut().set_register(Register::R(15), 0x2000_0000);
        self.0.run_millis(millis)
    }

    fn soft_reset(&mut self) {
        assert_eq!(self.try_write(AIRCR, 0x05FA_0004), Stop::Reset(ResetCause::Soft));
        self.ready();
    }

    fn erase(&mut self, page: u32) -> Stop {
        self.write(NVMC_CONFIG, ERASE);
        self.try_write(ERASEPAGE, page)
    }

    fn program(&mut self, address: u32, value: u32) -> Stop {
        self.write(NVMC_CONFIG, WRITE);
        self.try_write(address, value)
    }
}

#[test]
fn flash_is_written_by_words_that_only_clear_bits_and_takes_its_time() {
    let mut probe = Probe::new();
    assert_eq!(probe.program(0x8_0000, 0x1234_5678), DONE);
    let before = probe.0.time();
    assert_eq!(probe.program(0x8_0000, 0x0FFF_0FFF), DONE);
    assert!((2600..2700).contains(&(probe.0.time() - before)), "41 microseconds");
    assert_eq!(probe.read(0x8_0000), 0x0234_0678);
    let before = probe.0.time();
    assert_eq!(probe.erase(0x8_0000), DONE);
    assert_eq!((probe.0.time() - before) / (HZ / 1000), 85);
    assert_eq!(probe.read(0x8_0000), u32::MAX);
    assert_eq!(probe.0.flash().operations(), 3);
}

#[test]
fn what_the_controller_forbids_ends_the_run() {
    let mut probe = Probe::new();
    assert_eq!(probe.try_write(0x8_0000, 0), Stop::Misuse(Misuse::WriteNotEnabled(0x8_0000)));
    let mut probe = Probe::new();
    probe.write(NVMC_CONFIG, WRITE);
    assert_eq!(probe.try_write(ERASEPAGE, 0x8_0000), Stop::Misuse(Misuse::EraseNotEnabled(0x8_0000)));
    let mut probe = Probe::new();
    assert_eq!(probe.program(0x8_0002, 0), Stop::Misuse(Misuse::WriteNotAWord(0x8_0002)));
    let mut probe = Probe::new();
    assert_eq!(probe.erase(0x8_0004), Stop::Misuse(Misuse::EraseNotAPage(0x8_0004)));
    let mut probe = Probe::new();
    probe.write(UARTE + 0x500, 8);
    probe.write(UARTE + 0x544, 0x200);
    probe.write(UARTE + 0x548, 4);
    assert_eq!(probe.try_write(UARTE + 8, 1), Stop::Misuse(Misuse::DmaOutsideRam(0x200)));
}

#[test]
fn power_is_lost_at_any_operation_in_flash_and_uicr() {
    let start = Probe::new();
    for (address, erase) in [(0x8_0000, ERASEPAGE), (UICR, ERASEUICR)] {
        for (cut, written) in [(Cut::Before, u32::MAX), (Cut::After, 0xAA)] {
            let mut probe = start.clone();
            probe.0.flash().set_fault(Some(FlashFault { operation: 1, cut }));
            assert_eq!(probe.program(address, 0xAA), Stop::PowerLost);
            assert_eq!(probe.0.run(LONG), Stop::Idle, "without power");
            probe.0.power_on();
            probe.ready();
            assert_eq!((probe.read(address), probe.read(RESETREAS)), (written, 0));
        }
        let mut probe = start.clone();
        assert_eq!(probe.program(address, 0), DONE);
        probe.0.flash().set_fault(Some(FlashFault { operation: 2, cut: Cut::Torn(3) }));
        probe.write(NVMC_CONFIG, ERASE);
        let value = if erase == ERASEPAGE { address } else { 1 };
        assert_eq!(probe.try_write(erase, value), Stop::PowerLost);
        probe.0.power_on();
        probe.ready();
        let torn = probe.read(address);
        assert!(torn != 0 && torn != u32::MAX, "{torn:08x}");
    }
}

#[test]
fn access_control_faults_until_the_next_reset() {
    let mut probe = Probe::new();
    for (offset, value) in [(0, 0x8_0000), (4, 0x1000), (8, 2)] {
        probe.write(ACL + offset, value);
    }
    assert!(probe.0.flash_is_protected());
    let locked = probe.clone();
    assert_eq!(probe.program(0x8_0000, 0), FAULTED);
    let mut probe = locked.clone();
    assert_eq!(probe.erase(0x8_0000), FAULTED);
    let mut probe = locked;
    assert_eq!(probe.program(0x8_1000, 0), DONE, "behind the region");
    assert_eq!(probe.read(0x8_0000), u32::MAX);
    probe.soft_reset();
    assert_eq!(probe.program(0x8_0000, 5), DONE);
    for (offset, value) in [(0, 0x8_0000), (4, 0x1000), (8, 4)] {
        probe.write(ACL + offset, value);
    }
    assert_eq!(probe.execute(0x220, 0x8_0000, 0), FAULTED, "nor is it read");
}

#[test]
fn access_control_stops_the_page_that_set_it_from_executing() {
    let mut probe = Probe::new();
    for (offset, value) in [(0, 0), (4, 0x1000)] {
        probe.write(ACL + offset, value);
    }
    // Nor can the vector of the fault be read.
    assert_eq!(probe.try_write(ACL + 8, 4), Stop::Reset(ResetCause::Lockup));
    probe.ready();
}

#[test]
fn a_watchdog_outlives_a_soft_reset_and_names_itself_after_its_own() {
    let mut probe = Probe::new();
    probe.write(WDT + 0x504, 32_767);
    probe.write(WDT, 1);
    assert_eq!(probe.pass(600), Stop::Deadline);
    probe.write(GPREGRET, 0x42);
    probe.soft_reset();
    assert!(probe.0.watchdog_runs());
    assert_eq!((probe.read(WDT + 0x400), probe.read(RESETREAS), probe.read(GPREGRET)), (1, 4, 0x42));
    assert_eq!(probe.pass(300), Stop::Deadline);
    assert_eq!(probe.pass(200), Stop::Reset(ResetCause::Watchdog));
    assert!(!probe.0.watchdog_runs());
    probe.ready();
    assert_eq!(probe.read(RESETREAS), 6);
    probe.write(RESETREAS, 4);
    assert_eq!(probe.read(RESETREAS), 2);
}

#[test]
fn a_watchdog_bites_while_flash_is_erased() {
    let mut probe = Probe::new();
    probe.write(WDT + 0x504, 32_767 / 4);
    probe.write(WDT, 1);
    let stops = [0x8_0000, 0x8_1000, 0x8_2000].map(|page| probe.erase(page));
    assert_eq!(stops, [DONE, DONE, Stop::Reset(ResetCause::Watchdog)]);
}

#[test]
fn ram_survives_resets_but_not_the_power() {
    let mut probe = Probe::new();
    probe.write(RAM, 0xFEED);
    probe.soft_reset();
    assert_eq!(probe.read(RAM), 0xFEED);
    probe.0.reset(ResetCause::Pin);
    probe.ready();
    assert_eq!((probe.read(RAM), probe.read(RESETREAS)), (0xFEED, 5));
    probe.0.power_on();
    probe.ready();
    assert_ne!(probe.read(RAM), 0xFEED);
}

#[test]
fn a_fault_in_the_fault_handler_locks_up_and_resets() {
    let mut probe = Probe::new();
    assert_eq!(probe.try_write(0x9000_0000, 0), FAULTED);
    assert_eq!(probe.0.last_fault().map(|fault| fault.pc), Some(0x210));
    // On from the breakpoint: the handler's own access faults, too.
    probe.0.core_mut().set_register(Register::R(15), 0x252);
    assert_eq!(probe.0.run(LONG), Stop::Reset(ResetCause::Lockup));
    probe.ready();
    assert_eq!(probe.read(RESETREAS), 8);
}

#[test]
fn received_bytes_wake_the_core_through_their_interrupt() {
    let mut probe = Probe::new();
    for (offset, value) in [(0x500, 8), (0x524, 0x01D6_0000), (0x534, RAM), (0x538, 2), (0x304, 1 << 4)] {
        probe.write(UARTE + offset, value);
    }
    probe.write(NVIC_ENABLE, 1 << 2);
    probe.write(UARTE, 1);
    probe.0.send(0, b"hi");
    let (time, instructions) = (probe.0.time(), probe.0.core().instructions());
    assert_eq!(probe.sleep(), INTERRUPTED);
    assert_eq!((probe.0.time() - time) / 100, 111, "two bytes at 115,200 baud");
    assert!(probe.0.core().instructions() - instructions < 5, "asleep");
    assert_eq!(probe.0.core().current_exception(), Some(emulator::Exception(18)));
    assert_eq!(probe.0.ram(RAM, 2).unwrap(), b"hi");
    // The event still stands: leaving the handler enters it again, until it is cleared.
    probe.0.core_mut().set_register(Register::R(15), 0x242);
    assert_eq!(probe.0.run(LONG), INTERRUPTED);
    probe.write(UARTE + 0x110, 0);
    probe.0.core_mut().set_register(Register::R(15), 0x242);
    assert_eq!(probe.0.run(LONG), DONE, "back behind the wfi");
}

#[test]
fn an_event_triggers_a_task_without_the_core() {
    let mut probe = Probe::new();
    probe.write(LFCLKSTART, 1);
    assert_eq!(probe.pass(1), Stop::Deadline);
    // RTC compare after 100 ticks captures the timer and starts sending.
    for (address, value) in [
        (UARTE + 0x500, 8),
        (UARTE + 0x524, 0x01D6_0000),
        (UARTE + 0x544, RAM),
        (UARTE + 0x548, 4),
        (RTC + 0x540, 100),
        (RTC + 0x344, 1 << 16),
        (TIMER + 0x508, 3),
        (PPI + 0x510, RTC + 0x140),
        (PPI + 0x514, TIMER + 0x40),
        (PPI + 0x910, UARTE + 8),
        (PPI + 0x504, 1),
        (TIMER, 1),
        (RTC, 1),
    ] {
        probe.write(address, value);
    }
    probe.0.ram(RAM, 4).unwrap().copy_from_slice(b"tick");
    assert_eq!(probe.0.run_until_sent(0, b"tick", HZ), Err(Stop::Breakpoint(1)), "the core stands");
    assert_eq!(probe.pass(5), Stop::Deadline);
    assert_eq!(probe.0.sent(0), b"tick");
    let micros = probe.read(TIMER + 0x540);
    assert!((3020..3053).contains(&micros), "{micros} microseconds are 99 ticks and part of one");
}

#[test]
fn a_sensor_answers_as_its_script_says() {
    let mut probe = Probe::new();
    let mut device = TwiDevice::new(0x18).with(0x0F, &[0x33]);
    device.script([Answer::NoAddress]);
    probe.0.twi_devices(0).unwrap().push(device);
    probe.write(RAM, 0x0F);
    for (offset, value) in [(0x500, 6), (0x588, 0x18), (0x544, RAM), (0x548, 1), (0x534, RAM + 4), (0x538, 1)]
    {
        probe.write(TWIM + offset, value);
    }
    probe.write(TWIM + 0x200, 1 << 7 | 1 << 12);
    probe.write(TWIM + 8, 1);
    assert_eq!(probe.pass(1), Stop::Deadline);
    assert_eq!((probe.read(TWIM + 0x124), probe.read(TWIM + 0x4C4)), (1, 2));
    probe.write(TWIM + 8, 1);
    assert_eq!(probe.pass(1), Stop::Deadline);
    assert_eq!((probe.read(TWIM + 0x104), probe.read(RAM + 4) & 0xFF), (1, 0x33));
}

#[test]
fn sleep_without_anything_to_wake_up_for_is_told() {
    let mut probe = Probe::new();
    assert_eq!(probe.sleep(), Stop::Idle);
    let mut probe = Probe::new();
    // SysTick wakes: interrupt on, every 640,000 cycles.
    for (address, value) in [(0xE000_E014, 639_999), (0xE000_E018, 0), (0xE000_E010, 7)] {
        probe.write(address, value);
    }
    let time = probe.0.time();
    assert_eq!(probe.sleep(), INTERRUPTED);
    assert!((639_990..640_010).contains(&(probe.0.time() - time)));
}

#[test]
fn switched_off_it_stays_off_until_a_reset() {
    let mut probe = Probe::new();
    assert_eq!(probe.try_write(SYSTEMOFF, 1), Stop::SystemOff);
    assert_eq!(probe.0.run(LONG), Stop::Idle);
    probe.0.reset(ResetCause::Pin);
    probe.ready();
    assert_eq!(probe.read(RESETREAS), 1);
}

#[test]
fn pins_are_driven_and_seen() {
    let mut probe = Probe::new();
    probe.0.drive_pin(35, Some(true));
    probe.write(GPIO + 0x300 + 0x200 + 12, 0);
    assert_eq!(probe.read(GPIO + 0x300 + 0x10), 1 << 3);
    probe.write(GPIO + 0x18, 1 << 13);
    assert_eq!((probe.0.pin(13), probe.0.pin(14)), (Some(false), None));
    probe.write(GPIO + 8, 1 << 13);
    assert_eq!(probe.0.pin(13), Some(true));
}

#[test]
fn what_is_not_modelled_is_listed_once_per_register() {
    let mut probe = Probe::new();
    assert!(probe.0.unmodelled().is_empty());
    probe.write(0x4002_7500, 1);
    probe.write(0x4002_7500, 1);
    assert_eq!(probe.read(0x4002_7500), 0);
    probe.write(WDT + 0x700, 1);
    let list = "0x40010700 written 1 times\n0x40027500 read 1 times\n0x40027500 written 2 times\n";
    assert_eq!(probe.0.unmodelled().to_string(), list);
}

#[test]
fn a_snapshot_lives_its_own_life_and_the_same_one() {
    let mut probe = Probe::new();
    probe.write(0x4000_D000, 1);
    let mut other = probe.clone();
    let live = |probe: &mut Probe| {
        let bytes: Vec<u32> = (0..10)
            .map(|_| {
                assert_eq!(probe.pass(1), Stop::Deadline);
                probe.read(0x4000_D508)
            })
            .collect();
        assert_eq!(probe.program(0x8_0000, bytes[9]), DONE);
        (bytes, probe.0.time(), probe.0.core().instructions())
    };
    let (first, second) = (live(&mut probe), live(&mut other));
    assert_eq!(first, second);
    other.0.seed(9);
    assert_eq!(other.erase(0x8_0000), DONE);
    assert_eq!(probe.read(0x8_0000), first.0[9], "not the other's erase");
    assert_ne!(live(&mut probe).0, live(&mut other).0);
}

#[test]
fn output_is_waited_for_and_what_follows_it_is_kept() {
    let mut probe = Probe::new();
    for (offset, value) in [(0x500, 8), (0x524, 0x1000_0000), (0x544, RAM), (0x548, 10)] {
        probe.write(UARTE + offset, value);
    }
    probe.0.ram(RAM, 10).unwrap().copy_from_slice(b"boot: okay");
    probe.write(UARTE + 8, 1);
    assert_eq!(probe.pass(0), Stop::Deadline);
    assert_eq!(probe.0.run_until_sent(0, b"boot", HZ), Ok(b"boot".to_vec()));
    assert_eq!(probe.0.run_until_sent(0, b"ok", HZ), Ok(b": ok".to_vec()));
    let time = probe.0.time();
    assert_eq!(probe.0.run_until_sent(0, b"never", HZ / 100), Err(Stop::Deadline));
    assert_eq!(probe.0.time() - time, HZ / 100);
    assert_eq!(probe.0.sent(0), b"ay");
}

#[test]
fn bytes_nobody_takes_are_counted_and_their_pace_can_be_chosen() {
    let mut probe = Probe::new();
    probe.write(UARTE + 0x500, 8);
    probe.0.set_byte_time(0, Some(64));
    probe.0.send(0, &[0; 100]);
    assert_eq!(probe.0.line(0), (100, 0));
    assert_eq!(probe.pass(1), Stop::Deadline);
    assert_eq!(probe.0.line(0), (0, 100));
}

#[test]
fn a_watchdog_may_stand_still_while_the_core_sleeps() {
    for (config, expected) in [(1, Stop::Reset(ResetCause::Watchdog)), (0, INTERRUPTED)] {
        let mut probe = Probe::new();
        probe.write(WDT + 0x504, 32_767);
        probe.write(WDT + 0x50C, config);
        probe.write(WDT, 1);
        // TIMER 0 wakes after two seconds.
        for (offset, value) in [(0x508, 3), (0x540, 2_000_000), (0x304, 1 << 16), (0, 1)] {
            probe.write(TIMER + offset, value);
        }
        probe.write(NVIC_ENABLE, 1 << 8);
        assert_eq!(probe.sleep(), expected, "CONFIG {config}");
    }
}
