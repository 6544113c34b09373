//! What one sees, on standard error: the server's side and the board's beside each other, with the board's time and lights.

use std::io::{IsTerminal as _, stderr};
use std::time::Duration;

use gateway::Progress;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Columns of a screen, at least and at most, and where there is no screen.
const WIDTHS: (usize, usize) = (80, 120);
const NO_SCREEN: usize = 100;
/// Columns of a row that are not the two texts': time, lights, and what is between.
const FRAME: usize = 24;

/// The screen.
pub(crate) struct Show {
    bars: MultiProgress,
    terminal: bool,
    /// Columns of each of the two texts.
    column: usize,
    build: ProgressBar,
    download: ProgressBar,
    /// The last row, to say it once.
    last: String,
}

impl Show {
    pub(crate) fn new(programs: usize) -> Self {
        let bars = MultiProgress::new();
        let terminal = stderr().is_terminal();
        let width = screen().filter(|_| terminal).unwrap_or(NO_SCREEN).clamp(WIDTHS.0, WIDTHS.1);
        let build = bars.add(ProgressBar::new(programs as u64));
        build.set_style(style("{spinner} building [{bar:24.green}] {pos}/{len} {msg} ({elapsed})"));
        Self {
            bars,
            terminal,
            column: (width - FRAME) / 2,
            build,
            download: ProgressBar::hidden(),
            last: String::new(),
        }
    }

    pub(crate) fn say(&self, text: &str) {
        if self.terminal {
            // A screen that cannot be written to is no reason to stop an update.
            let _ = self.bars.println(text);
        } else {
            eprintln!("{text}");
        }
    }

    /// Program number `done` is built next.
    pub(crate) fn building(&self, done: usize, what: &str) {
        if self.terminal {
            self.build.enable_steady_tick(Duration::from_millis(120));
            self.build.set_position(done as u64);
            self.build.set_message(what.to_owned());
        } else {
            self.say(&format!("builds {what} ({} of {})", done + 1, self.build.length().unwrap_or(0)));
        }
    }

    pub(crate) fn built(&self) {
        self.build.finish_and_clear();
    }

    /// A new act, with the names of the columns.
    pub(crate) fn act(&mut self, title: &str) {
        self.say(&format!("\n== {title}"));
        let column = self.column;
        self.say(&format!(
            "{:>12}  {:<4}  {:<column$}  | {}",
            "board time", "LED", "the server, its operators", "the board, its UART"
        ));
        self.last.clear();
    }

    /// What is seen at both sides at a time of the board's, in seconds; either may be nothing. The same again is not said again.
    pub(crate) fn row(&mut self, ms: u64, lights: [bool; 4], left: &str, right: &str) {
        let words = format!("{left}|{right}");
        if words == self.last {
            return;
        }
        self.last = words;
        let lights: String =
            lights.iter().zip('1'..).map(|(lit, number)| if *lit { number } else { '.' }).collect();
        let column = self.column;
        let (left, right) = (wrapped(left, column), wrapped(right, column));
        for line in 0..left.len().max(right.len()) {
            let cell = |column: &[String]| column.get(line).cloned().unwrap_or_default();
            let frame = match line {
                0 => format!("{:>6}.{:03} s  {lights}", ms / 1000, ms % 1000),
                _ => format!("{:18}", ""),
            };
            let text = format!("{frame}  {:<column$}  | {}", cell(&left), cell(&right));
            self.say(text.trim_end());
        }
    }

    /// How far the download is, as a bar on a terminal.
    pub(crate) fn download(&mut self, progress: Progress) {
        if !self.terminal {
            return;
        }
        if !self.has_bar() {
            self.download = self.bars.add(ProgressBar::new(progress.total));
            self.download.set_style(style("    download  [{bar:40.cyan}] {bytes} of {total_bytes}"));
        }
        self.download.set_position(progress.done);
        if progress.done == progress.total {
            self.download.finish_and_clear();
        }
    }

    /// Whether a bar shows a download that goes on, so that its messages need no rows.
    pub(crate) fn has_bar(&self) -> bool {
        !self.download.is_hidden() && !self.download.is_finished()
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

#[cfg(unix)]
fn screen() -> Option<usize> {
    rustix::termios::tcgetwinsize(stderr()).ok().map(|size| size.ws_col.into())
}

#[cfg(not(unix))]
fn screen() -> Option<usize> {
    None
}

/// Text in lines of at most so many columns. What has no spaces, such as an id, is broken anywhere.
fn wrapped(text: &str, column: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        for part in letters.chunks(column) {
            let line = lines.last().map_or(0, |line| line.chars().count());
            if line > 0 && line + 1 + part.len() > column {
                lines.push(String::new());
            }
            if let Some(line) = lines.last_mut() {
                line.extend((!line.is_empty()).then_some(' '));
                line.extend(part);
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_longer_than_its_column_and_no_letter_is_lost() {
        let text = "offer of 2.0.0, job 0123456789abcdef0123456789abcdef, attempt 1";
        for column in 5..70 {
            let lines = wrapped(text, column);
            assert!(lines.iter().all(|line| line.len() <= column), "{column}: {lines:?}");
            let letters = |text: &str| text.replace(' ', "");
            assert_eq!(letters(&lines.concat()), letters(text));
        }
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
    }
}
