//! `otactl campaign watch`.

use std::io::{IsTerminal, stderr};
use std::thread::sleep;
use std::time::Duration;

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use linux_server::{ClientError, OperatorClient};
use ota_server_core::JobKind;
use ota_server_core::http::api::CampaignInfo;

use crate::campaign::{counts, spoken};
use crate::output::Output;

const EVERY: Duration = Duration::from_secs(1);

/// Shows a campaign until it ends: on a terminal as a bar, else a line for each change.
pub(crate) fn run(no: u32, client: &OperatorClient, output: &Output) -> anyhow::Result<()> {
    let bar = (stderr().is_terminal() && !output.is_json()).then(bar);
    let mut last = client.campaign(no)?;
    show(&last, bar.as_ref(), output)?;
    while !ended(&last) {
        sleep(EVERY);
        match client.campaign(no) {
            Ok(now) if now != last => {
                last = now;
                show(&last, bar.as_ref(), output)?;
            }
            Ok(_) => {}
            // A server that restarts in the middle of a campaign is no reason to look away.
            Err(ClientError::Transport(why)) => say(bar.as_ref(), &format!("{why}; trying again")),
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(bar) = bar {
        bar.abandon();
    }
    match (last.state.as_str(), &last.halt_reason) {
        ("completed", _) => Ok(()),
        (_, Some(reason)) => bail!("campaign {no} halted: {reason}"),
        (state, None) => bail!("campaign {no} is {}", spoken(state)),
    }
}

fn ended(campaign: &CampaignInfo) -> bool {
    matches!(campaign.state.as_str(), "completed" | "halted" | "aborted")
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("[{bar:30.green}] {pos}/{len} {wide_msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

fn show(campaign: &CampaignInfo, bar: Option<&ProgressBar>, output: &Output) -> anyhow::Result<()> {
    let Some(bar) = bar else { return output.print(campaign, line) };
    let (done, all) = finished(campaign);
    bar.set_length(all);
    bar.set_position(done);
    bar.set_message(line(campaign));
    Ok(())
}

fn say(bar: Option<&ProgressBar>, text: &str) {
    match bar {
        Some(bar) => bar.set_message(text.to_owned()),
        None => eprintln!("otactl: {text}"),
    }
}

fn line(campaign: &CampaignInfo) -> String {
    let wave = campaign.wave.map_or(String::new(), |wave| format!(" (wave {wave})"));
    format!("{}{wave}: {}", spoken(&campaign.state), counts(&campaign.counters))
}

/// Jobs that ended, and all.
fn finished(campaign: &CampaignInfo) -> (u64, u64) {
    let open: Vec<&str> =
        JobKind::ALL.into_iter().filter(|kind| !kind.is_terminal()).map(JobKind::name).collect();
    let count = |ended: fn(bool) -> bool| {
        let jobs = campaign.counters.iter().filter(|(state, _)| ended(open.contains(&state.as_str())));
        jobs.map(|(_, count)| u64::from(*count)).sum()
    };
    (count(|open| !open), count(|_| true))
}
