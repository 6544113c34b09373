//! Waits that have no end, and questions that nobody asks.

use std::cell::Cell;
use std::rc::Rc;

use ota_agent::{Agent, BootReport, Buffers, Config, Input, Output};
use ota_manifest::wire::{Down, Stage, Up};

use crate::common::{Firmware, JOB, bytes};
use crate::{SIZE, device};

/// How many messages an undisturbed update takes.
fn messages() -> usize {
    let count = Rc::new(Cell::new(0));
    let counted = Rc::clone(&count);
    let mut device = device(Firmware::Fit);
    device.by(move |up, server| {
        counted.set(counted.get() + 1);
        vec![bytes(&server.answer(up))]
    });
    device.live();
    count.get()
}

/// aws/amazon-freertos#875: one message is taken by the broker and never answered, the first of all, and the agent waits
/// for ever.
#[test]
fn answer_that_is_lost_costs_a_pause_whichever_it_is() {
    for lost in 0..messages() {
        let mut device = device(Firmware::Fit);
        let mut number = 0;
        device.by(move |up, server| {
            let answer = bytes(&server.answer(up));
            number += 1;
            if number == lost + 1 { vec![] } else { vec![answer] }
        });
        device.live();
        assert_eq!((device.terminals(), device.running), (vec![Stage::Confirmed], 2), "answer {lost}");
        assert!(device.now < 120_000, "answer {lost}: {} ms", device.now);
        assert!(device.server.served() <= SIZE + crate::common::WINDOW, "answer {lost}");
    }
}

/// aws/amazon-freertos#2651: the device was off when its job was made, nobody rings again, and it never hears of it.
#[test]
fn job_made_while_the_device_was_off_is_found_without_a_bell() {
    for ask_at_boot in [true, false] {
        let config = Config { ask_at_boot, poll_interval_ms: 600_000, ..Config::default() };
        let (mut envelope, mut window) = ([0; 1536], [0; 4096]);
        let buffers = Buffers { envelope: &mut envelope, window: &mut window };
        let mut agent = Agent::new(config, BootReport::confirmed(), 7, buffers, 0);
        let mut now = 0;
        let found = loop {
            match agent.poll_output(now) {
                Output::Send(Up::Poll(_)) => {
                    let offer = Down::Offer { job: JOB, attempt: 1, envelope: b"any" };
                    agent.handle_input(now, Input::Message(offer));
                }
                Output::Send(_) => agent.handle_input(now, Input::LinkLost),
                Output::Slots(work) => break format!("{work:?}"),
                Output::Event(_) => {}
                Output::Wait => {
                    now = agent.poll_timeout().expect("every wait has a time limit");
                    agent.handle_timeout(now);
                }
                other => panic!("{other:?}"),
            }
        };
        assert!(found.starts_with("Admit"), "{found}");
        assert!(now <= 900_000 && (!ask_at_boot || now == 0), "{ask_at_boot}: {now} ms");
    }
}
