//! The loop for Linux, over simulated flash and a scripted server, under real time.

use std::fmt;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use ota_agent::linux::{Doorbell, Ended, Line, Product, Trial, Updater};
use ota_agent::sim::ScriptedServer;
use ota_agent::{Config, Event, Exchange, Gates, SlotWork};
use ota_manifest::wire::{Down, ResetCause, RollbackReason, Stage, Up};
use ota_manifest::{JobId, MAX_ENVELOPE_POST_QUANTUM, Version};
use ota_slots::sim::{Lab, LabFlash};
use ota_slots::{
    Boot, Geometry, Layout, OpenError, Partition, Region, SlotId, SlotRegion, WORK_BUFFER, run_blocking,
};

const JOB: JobId = JobId::new([0xAB; 16]);
const CHUNK: usize = 1024;
/// Longest wait for anything that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server in the same process. Some of what it is asked gets lost.
struct Link {
    server: ScriptedServer,
    lost: usize,
    bell: Option<Receiver<()>>,
}

#[derive(Debug)]
struct Lost;

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lost")
    }
}

impl Exchange for Link {
    type Error = Lost;

    fn exchange(&mut self, up: &Up) -> Result<Down<'_>, Lost> {
        if self.lost > 0 {
            self.lost -= 1;
            return Err(Lost);
        }
        Ok(self.server.answer(*up))
    }
}

impl Doorbell for Link {
    fn wait(&mut self, longest: Duration) -> bool {
        let Some(bell) = &self.bell else {
            std::thread::sleep(longest);
            return false;
        };
        bell.recv_timeout(longest).is_ok()
    }
}

/// Firmware that passes its self-test after some polls, if at all.
struct Firmware {
    fit: Option<bool>,
    polls: usize,
    gates: Gates,
    /// Which event it has waited for; it stops then.
    until: fn(&Event) -> bool,
    stop: bool,
    began: Instant,
    unanswered: usize,
    rung: usize,
    fed: usize,
    work: usize,
    events: Vec<Event>,
}

impl Firmware {
    fn new(fit: Option<bool>) -> Self {
        Self {
            fit,
            polls: 0,
            gates: Gates::ALL,
            until: |event| matches!(event, Event::Settled { .. }),
            stop: false,
            began: Instant::now(),
            unanswered: 0,
            rung: 0,
            fed: 0,
            work: 0,
            events: Vec::new(),
        }
    }

    fn reached(&self) -> Vec<Stage> {
        let stages = self.events.iter().filter_map(|event| match event {
            Event::Reached(stage) => Some(*stage),
            _ => None,
        });
        stages.collect()
    }
}

impl Product for Firmware {
    fn self_test(&mut self) -> Trial {
        self.polls += 1;
        self.fit.filter(|_| self.polls > 3).map_or(Trial::Undecided, |fit| Trial::Done(fit.into()))
    }

    fn log(&mut self, line: Line<'_>) {
        match line {
            Line::Event(event) => {
                self.stop |= (self.until)(&event);
                self.events.push(event);
            }
            Line::Unanswered { why, .. } => {
                assert_eq!(why.to_string(), "lost");
                self.unanswered += 1;
            }
            Line::Rung => self.rung += 1,
            _ => {}
        }
    }

    fn feed(&mut self) {
        self.fed += 1;
    }

    fn gates(&mut self) -> Gates {
        self.gates
    }

    fn goes_on(&mut self) -> bool {
        assert!(self.began.elapsed() < PATIENCE, "stuck: {:?}", self.events);
        !self.stop
    }

    fn before(&mut self, _: &SlotWork<'_>) {
        self.work += 1;
    }
}

/// A device that runs release 1, and a server that offers release 2.
struct Bench {
    lab: Lab,
    layout: Layout,
    flash: LabFlash,
    link: Link,
    config: Config,
    nap: Duration,
}

impl Bench {
    fn new(lab: Lab) -> Self {
        let flash = lab.provisioned(&lab.release(1, 3000));
        let release = lab.release_with(2, 5000, |draft| draft.confirm_window_s = 1);
        let server = ScriptedServer::new(release, JOB, CHUNK);
        let config = Config {
            version: Version::new(1, 0, 0),
            poll_interval_ms: 3_600_000,
            backoff_ms: (1, 2),
            ..Config::default()
        };
        let link = Link { server, lost: 0, bell: None };
        Self { layout: lab.layout(), lab, flash, link, config, nap: Duration::from_millis(5) }
    }

    /// Boots, and runs `firmware` until the next reset. What runs, and how that ended.
    fn session(&mut self, cause: ResetCause, firmware: &mut Firmware) -> (u32, Result<Ended, OpenError>) {
        let policy = self.lab.policy();
        let boot = Boot::new(&self.layout, &policy, cause);
        let handover =
            run_blocking(boot, &mut self.flash, &self.layout, &mut [0; 2 * WORK_BUFFER], || ()).unwrap();
        (handover.image().order().sequence, self.run(handover.slot(), firmware))
    }

    fn run(&mut self, slot: SlotId, product: &mut dyn Product) -> Result<Ended, OpenError> {
        let updater = Updater {
            layout: &self.layout,
            policy: &self.lab.policy(),
            slot,
            flash: &mut self.flash,
            config: self.config,
            window: 4 * CHUNK,
            seed: 7,
            nap: self.nap,
        };
        updater.run(&mut self.link, product)
    }

    fn last_report(&self) -> Stage {
        self.link.server.reports().last().unwrap().stage
    }
}

#[test]
fn update_ends_in_a_reset_and_its_trial_in_a_confirmation() {
    let mut bench = Bench::new(Lab::new());
    bench.link.lost = 3;
    let mut old = Firmware::new(None);
    assert_eq!(bench.session(ResetCause::PowerOn, &mut old), (1, Ok(Ended::Reset)));
    assert!(old.reached().ends_with(&[Stage::Verified, Stage::PendingBoot]), "{:?}", old.events);
    assert_eq!(old.unanswered, 3, "asked again after each");
    assert!(old.work > 10 && old.fed > old.work, "{} operations in {} pieces", old.fed, old.work);
    let mut new = Firmware::new(Some(true));
    assert_eq!(bench.session(ResetCause::Software, &mut new), (2, Ok(Ended::Stopped)));
    assert_eq!((bench.last_report(), new.polls), (Stage::Confirmed, 4));
    // Nothing is left to do: it goes on until it is stopped.
    let mut still = Firmware::new(None);
    still.until = |_| false;
    still.stop = true;
    assert_eq!(bench.session(ResetCause::PowerOn, &mut still), (2, Ok(Ended::Stopped)));
}

#[test]
fn layout_with_longer_envelopes_gets_a_buffer_that_holds_them() {
    const FLASH: Geometry = Geometry { erase_page: 1024, write_size: 4, erased: 0xFF };
    let slot = |start| SlotRegion::new(Region::new(FLASH, start, 0x8000), 0x10_0000 + start);
    let partition = Partition::direct_xip(Region::new(FLASH, 0, 2048), slot(0x1000), slot(0x1_0000));
    let limit = u32::try_from(MAX_ENVELOPE_POST_QUANTUM).unwrap();
    let lab = Lab::with_layout(Layout::new(partition.with_envelope_limit(limit)).unwrap());
    let mut bench = Bench::new(lab);
    assert_eq!(bench.session(ResetCause::PowerOn, &mut Firmware::new(None)), (1, Ok(Ended::Reset)));
    // What does not fit is refused as too long only beyond that.
    for (bytes, code) in [(1537, 0x0604), (MAX_ENVELOPE_POST_QUANTUM, 0x0604), (4097, 0x0505)] {
        let mut bench = Bench::new(Lab::with_layout(bench.layout));
        bench.link.server.script(match bytes {
            1537 => |up| matches!(up, Up::Poll(_)).then_some(offer(&[0; 1537])),
            4096 => |up| matches!(up, Up::Poll(_)).then_some(offer(&[0; 4096])),
            _ => |up| matches!(up, Up::Poll(_)).then_some(offer(&[0; 4097])),
        });
        let mut firmware = Firmware::new(None);
        firmware.until = |event| matches!(event, Event::OfferRefused { .. });
        bench.session(ResetCause::PowerOn, &mut firmware).1.unwrap();
        assert!(
            firmware
                .events
                .iter()
                .any(|event| matches!(event, Event::OfferRefused { code: found, .. } if *found == code)),
            "{bytes}: {:?}",
            firmware.events
        );
    }
}

const fn offer(envelope: &'static [u8]) -> Down<'static> {
    Down::Offer { job: JOB, attempt: 1, envelope }
}

#[test]
fn firmware_that_says_it_is_unfit_is_taken_back_at_once() {
    let mut bench = Bench::new(Lab::new());
    bench.session(ResetCause::PowerOn, &mut Firmware::new(None)).1.unwrap();
    let mut unfit = Firmware::new(Some(false));
    assert_eq!(bench.session(ResetCause::Software, &mut unfit), (2, Ok(Ended::Reset)));
    let mut old = Firmware::new(None);
    assert_eq!(bench.session(ResetCause::Software, &mut old), (1, Ok(Ended::Stopped)));
    let last = bench.last_report();
    assert!(matches!(last, Stage::RolledBack { reason: RollbackReason::SelfTest, .. }), "{last:?}");
}

#[test]
fn trial_without_a_verdict_ends_with_its_window_whatever_the_network_does() {
    let mut bench = Bench::new(Lab::new());
    bench.session(ResetCause::PowerOn, &mut Firmware::new(None)).1.unwrap();
    for lost in [0, usize::MAX] {
        bench.link.lost = lost;
        let (began, mut dumb) = (Instant::now(), Firmware::new(None));
        assert_eq!(bench.session(ResetCause::Software, &mut dumb).1, Ok(Ended::Reset));
        let took = began.elapsed();
        assert!(Duration::from_secs(1) <= took && took < Duration::from_secs(10), "{took:?}");
        assert!(dumb.polls > 10, "asked {} times", dumb.polls);
    }
}

#[test]
fn gate_that_the_product_opens_lets_a_download_go_on() {
    struct Later(Firmware);
    impl Product for Later {
        fn self_test(&mut self) -> Trial {
            Trial::Undecided
        }
        fn log(&mut self, line: Line<'_>) {
            self.0.log(line);
        }
        fn gates(&mut self) -> Gates {
            let open = self.0.began.elapsed() > Duration::from_millis(200);
            if open { Gates::ALL } else { Gates::ALL.without(Gates::USER) }
        }
    }
    let mut bench = Bench::new(Lab::new());
    bench.config.download_gates = Gates::USER;
    let mut later = Later(Firmware::new(None));
    assert_eq!(bench.run(SlotId::A, &mut later), Ok(Ended::Reset));
    let events = &later.0.events;
    let at = |wanted: Event| events.iter().position(|event| *event == wanted).unwrap();
    assert!(at(Event::Held { by: Gates::USER }) < at(Event::Released), "{events:?}");
    assert!(later.0.began.elapsed() > Duration::from_millis(200));
}

#[test]
fn bell_is_heard_at_once_however_long_the_nap_and_the_interval_are() {
    let mut bench = Bench::new(Lab::new());
    bench.config.ask_at_boot = false;
    let (ring, bell) = channel();
    bench.link.bell = Some(bell);
    let mut firmware = Firmware::new(None); // its clock runs before the ringer's
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        ring.send(()).unwrap();
        std::thread::sleep(PATIENCE);
    });
    firmware.until = |event| matches!(event, Event::Offered { .. });
    bench.nap = PATIENCE;
    assert_eq!(bench.run(SlotId::A, &mut firmware), Ok(Ended::Stopped));
    let took = firmware.began.elapsed();
    assert!(Duration::from_millis(300) <= took && took < PATIENCE / 2, "{took:?}");
    assert_eq!(firmware.rung, 1);
}

#[test]
fn firmware_that_does_not_run_from_where_it_says_cannot_update_and_is_told_so() {
    let mut bench = Bench::new(Lab::new());
    let wrong = bench.run(SlotId::B, &mut Firmware::new(None));
    assert_eq!(wrong, Err(OpenError::AnotherSlotRuns));
}
