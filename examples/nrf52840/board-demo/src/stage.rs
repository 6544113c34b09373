//! The acts, in order.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use emulator::Machine;
use gateway::{Event, Memory};
use ota_server_core::http::api::{CampaignInfo, JobInfo, ReleaseInfo};
use provision::Image;
use quickstart::PlayError;

use crate::board::{Board, Happening};
use crate::folder::Folder;
use crate::operators::{Look, Operators};
use crate::show::Show;
use crate::words::{published, told};
use crate::{Figures, Firmware, Options};

/// The board's name among its operators.
const NAME: &str = "desk";
/// How long the board may take until it asks for work, and for an update or a rollback, seconds of its time. On a line of
/// 19,200 baud an image takes 40 of them, and a trial may last five minutes.
const POLL: u64 = 60;
const UPDATE: u64 = 600;

/// Everybody, and what was seen.
pub(crate) struct Stage<'s> {
    pub(crate) operators: Operators,
    board: Board<'s>,
    show: &'s mut Show,
    interrupted: Arc<AtomicBool>,
    /// The last look at the campaign.
    look: Option<Look>,
    /// When its job was first seen in each state, ms of the board's time.
    reached: BTreeMap<String, u64>,
    /// The last that was seen of both sides.
    last: String,
}

impl<'s> Stage<'s> {
    /// Act 1: the factory makes the board, the operators enrol it, and it is switched on.
    pub(crate) fn set(
        operators: Operators,
        firmware: &Firmware,
        options: &Options,
        folder: &Folder,
        show: &'s mut Show,
        interrupted: Arc<AtomicBool>,
        memory: &'s mut Memory,
    ) -> Result<Self, PlayError> {
        show.say("The board's time is virtual: it runs faster than the clock while the line is idle.");
        show.say("LED 1: tasks run, 2: writes a part of an image, 3: on trial, 4: no answer or a failure.");
        show.act("the board leaves the factory with release 1.0.0 in slot A");
        let first = operators.publish(1, &firmware.first)?;
        let factory = firmware.board(&operators.envelope(first.release)?)?;
        if options.keep.is_some() {
            let file = folder.path().join("board.hex");
            fs::write(&file, factory.hex()?).with_context(|| format!("cannot write {}", file.display()))?;
        }
        let mut machine = Machine::new();
        factory.load(&mut machine)?;
        let id = device_id(&mut machine)?;
        let token = operators.enrol(&id, NAME)?;
        let board = Board::power_on(machine, &operators.url(), &token, options.pace, memory)?;
        let last = "nothing".into();
        let (look, reached) = (None, BTreeMap::new());
        let mut stage = Self { operators, board, show, interrupted, look, reached, last };
        stage.note(&published(1, &firmware.first, &first));
        stage.note(&format!("device {id} enrolled as {NAME}"));
        Ok(stage)
    }

    /// The others.
    pub(crate) fn acts(&mut self, firmware: &Firmware, figures: &mut Figures) -> Result<(), PlayError> {
        self.run_until("the board asks for work", POLL, |stage| Ok(stage.has_asked()? > 0))?;
        self.update(&firmware.second, figures)?;
        self.bad_release(&firmware.bad, figures)?;
        let asked = self.has_asked()?;
        self.run_until("the board asks for work again", POLL, |stage| Ok(stage.has_asked()? > asked))?;
        let device = self.operators.device()?;
        figures.runs_version = device.version.unwrap_or_default();
        figures.runs_slot = self.slot();
        figures.resets = self.board.resets();
        figures.board_seconds = Figures::seconds(self.board.ms());
        Ok(())
    }

    /// Act 2.
    fn update(&mut self, image: &Image, figures: &mut Figures) -> Result<(), PlayError> {
        self.show.act("release 2.0.0, linked for slot B, is rolled out");
        let release = self.roll_out(2, image)?;
        let (campaign, job) = self.ended("completed")?;
        figures.campaign = campaign.state;
        if job.state == "confirmed" {
            figures.confirmed_version = release.version;
            figures.confirmed_slot = self.slot();
        }
        figures.update_seconds = self.since_offer("confirmed");
        figures.download_seconds = self.since_offer("downloaded");
        figures.bytes = release.images.iter().map(|image| image.size).sum();
        figures.served_bytes = job.served;
        Ok(())
    }

    /// Act 3.
    fn bad_release(&mut self, image: &Image, figures: &mut Figures) -> Result<(), PlayError> {
        self.show.act("release 3.0.0, linked for slot A, fails its self-test");
        let release = self.roll_out(3, image)?;
        let (campaign, job) = self.ended("halted")?;
        figures.bad_version = release.version;
        figures.bad_campaign = campaign.state;
        figures.halt_reason = campaign.halt_reason.unwrap_or_default();
        figures.rolled_back_reason = job.reason.unwrap_or_default();
        figures.reset_cause = job.cause.unwrap_or_default();
        figures.bad_boots = job.boots.unwrap_or_default();
        figures.rollback_seconds = self.since_offer("rolled_back");
        Ok(())
    }

    fn roll_out(&mut self, number: u16, image: &Image) -> Result<ReleaseInfo> {
        let release = self.operators.publish(number, image)?;
        self.note(&published(number, image, &release));
        let campaign = self.operators.roll_out(&release)?;
        self.note(&format!("campaign {campaign} submitted by the author, approved by the approver"));
        self.reached.clear();
        Ok(release)
    }

    /// Waits for the end of the campaign, which has to be this one.
    fn ended(&mut self, expected: &str) -> Result<(CampaignInfo, JobInfo), PlayError> {
        let is_over = |look: &Look| ["completed", "halted"].contains(&look.campaign.state.as_str());
        self.run_until(&format!("the campaign is {expected}"), UPDATE, |stage| {
            Ok(stage.look.as_ref().is_some_and(is_over))
        })?;
        let look = self.look.take().context("a campaign ran")?;
        if look.campaign.state != expected {
            return Err(PlayError::Unmet(format!(
                "the campaign is {expected}; the last of it was: {}",
                self.last
            )));
        }
        Ok((look.campaign, look.job.context("the campaign has a job")?))
    }

    /// Lets the board run until `done`, which is asked whenever something has happened.
    fn run_until(
        &mut self,
        what: &str,
        seconds: u64,
        mut done: impl FnMut(&mut Self) -> Result<bool>,
    ) -> Result<(), PlayError> {
        let end = self.board.ms() + seconds * 1000;
        while self.board.ms() < end {
            if self.interrupted.load(Ordering::Relaxed) {
                return Err(PlayError::Interrupted);
            }
            let happened = self.board.step()?;
            for happening in &happened {
                self.tell(happening)?;
            }
            if !happened.is_empty() && done(self)? {
                return Ok(());
            }
        }
        Err(PlayError::Unmet(format!(
            "{what}, within {seconds} s of the board's time; the last of it was: {}",
            self.last
        )))
    }

    /// Shows what happened at the board beside what the operators see of it.
    fn tell(&mut self, happening: &Happening) -> Result<()> {
        let right = match happening {
            Happening::Reset(cause) => format!("* reset: {cause:?}"),
            Happening::Starts(slot) => format!("* the bootloader starts slot {slot:?}"),
            Happening::Line(event) => told(event),
        };
        let left = self.news()?;
        self.last = if left.is_empty() { right.clone() } else { format!("{right}; {left}") };
        if let Happening::Line(Event::Answered { progress: Some(progress), .. }) = happening {
            self.show.download(*progress);
        }
        let is_in_the_bar =
            self.show.has_bar() && matches!(happening, Happening::Line(Event::Answered { .. }));
        if !is_in_the_bar || !left.is_empty() {
            self.show.row(self.board.ms(), self.board.lights(), &left, &right);
        }
        Ok(())
    }

    /// What the operators see that they did not see before.
    fn news(&mut self) -> Result<String> {
        let Some(look) = self.operators.look()? else { return Ok(String::new()) };
        if let Some(job) = &look.job {
            self.reached.entry(job.state.clone()).or_insert(self.board.ms());
        }
        let news = look.news.join("; ");
        self.look = Some(look);
        Ok(news)
    }

    /// What an operator does.
    fn note(&mut self, text: &str) {
        self.show.row(self.board.ms(), self.board.lights(), text, "");
    }

    /// How often the board has asked for work.
    fn has_asked(&self) -> Result<u64> {
        Ok(self.operators.device()?.polls)
    }

    fn since_offer(&self, state: &str) -> f64 {
        let at = |state| self.reached.get(state).copied().unwrap_or_default();
        Figures::seconds(at(state).saturating_sub(at("offered")))
    }

    /// The slot that runs.
    fn slot(&self) -> String {
        self.board.running().map(|slot| format!("{slot:?}")).unwrap_or_default()
    }
}

/// What the chip is called (FICR, DEVICEID).
fn device_id(machine: &mut Machine) -> Result<String> {
    let mut word = |address| machine.read_word(address).ok().context("the chip has no number");
    let serial_number = [word(0x1000_0060)?, word(0x1000_0064)?];
    Ok(layout::device_id(serial_number).to_string())
}
