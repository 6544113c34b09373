//! Lines on standard output, and a bar for each download on a terminal.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write, stdout};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use gateway::{Event, Line, Progress};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

pub(crate) struct Show {
    verbose: bool,
    json: bool,
    bars: MultiProgress,
    boards: Mutex<BTreeMap<String, Board>>,
}

/// What was shown of a board.
struct Board {
    bar: ProgressBar,
    /// Tenths of its download that have had their line.
    tenths: Option<u64>,
}

/// A line for programs.
#[derive(Serialize)]
struct Json<'l> {
    /// Milliseconds since 1970-01-01 UTC.
    at_ms: u64,
    #[serde(flatten)]
    line: &'l Line,
    /// The same for people.
    text: String,
}

impl Show {
    pub(crate) fn new(names: &[&str], verbose: bool, json: bool) -> Self {
        let target = if stdout().is_terminal() && !json {
            ProgressDrawTarget::stdout()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bars = MultiProgress::with_draw_target(target);
        let board = |name: &&str| ((*name).to_owned(), Board { bar: ProgressBar::hidden(), tenths: None });
        Self { verbose, json, bars, boards: Mutex::new(names.iter().map(board).collect()) }
    }

    pub(crate) fn line(&self, line: &Line) {
        let shown = self.progress(line);
        let text = match &line.event {
            Event::Text { .. } if !self.verbose => return,
            _ if self.json => self.json(line),
            _ if !shown && !self.verbose => return,
            _ => format!("{} {line}", clock()),
        };
        if self.bars.is_hidden() {
            // Nobody reading any more is no reason to stop.
            let _ = writeln!(stdout(), "{text}");
        } else {
            let _ = self.bars.println(text);
        }
    }

    /// Moves the board's bar. Whether the line says more than the bar, or the line of a moment ago.
    fn progress(&self, line: &Line) -> bool {
        let mut boards = self.boards.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(board) = boards.get_mut(&line.board) else { return true };
        let Event::Answered { progress: Some(progress), .. } = line.event else { return true };
        if board.bar.length() != Some(progress.total) || board.bar.is_finished() {
            board.bar = self.bars.add(bar(&line.board, progress));
        }
        board.bar.set_position(progress.done);
        if progress.done == progress.total {
            board.bar.finish_and_clear();
        }
        let tenths = Some(progress.percent() / 10);
        std::mem::replace(&mut board.tenths, tenths) != tenths
    }

    fn json(&self, line: &Line) -> String {
        let at_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let at_ms = u64::try_from(at_ms).unwrap_or(u64::MAX);
        serde_json::to_string(&Json { at_ms, line, text: line.event.to_string() }).unwrap_or_default()
    }
}

fn bar(name: &str, progress: Progress) -> ProgressBar {
    let bar = ProgressBar::new(progress.total).with_message(name.to_owned());
    if let Ok(style) =
        ProgressStyle::with_template("{msg} [{bar:30.green}] {bytes} of {total_bytes}, {eta} left")
    {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// Time of day, UTC.
fn clock() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs();
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60,
        since.subsec_millis()
    )
}
