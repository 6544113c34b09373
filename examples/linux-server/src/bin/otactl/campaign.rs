//! `otactl campaign`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use linux_server::{OperatorClient, Verb as Command};
use ota_manifest::DeviceId;
use ota_server_core::http::api::{CampaignInfo, JobInfo, NewCampaign};
use ota_server_core::{Plan, Wave};

use crate::output::{Output, moment, or_dash, pairs, table};
use crate::watch;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Draft a campaign; what is not said keeps its careful default.
    Create(Create),
    /// Fix its devices and ask for approval.
    Submit(No),
    /// Consent to it; its author cannot.
    Approve(No),
    /// Hold it.
    Pause(No),
    /// Let it go on.
    Resume(No),
    /// End it for good.
    Abort(No),
    /// Show all campaigns.
    List,
    /// Show one: state, waves, and how far its devices are.
    Show(No),
    /// Show what each device does.
    Jobs(No),
    /// Follow it until it ends; exit code 1 if it does not end complete.
    Watch(No),
}

#[derive(Args)]
pub(crate) struct No {
    /// Number of the campaign.
    no: u32,
}

#[derive(Args)]
pub(crate) struct Create {
    /// A name for people.
    name: String,
    /// Number of the release it brings.
    #[arg(long, value_name = "NO")]
    release: u32,
    /// A file with the plan in JSON: waves, gate, soak_ms, halt, timeouts and so on.
    #[arg(long, value_name = "FILE", conflicts_with = "waves")]
    plan: Option<PathBuf>,
    /// How far each wave reaches, in devices or percent, the last 100%: 1,25%,100%.
    #[arg(long, value_delimiter = ',', value_parser = wave)]
    waves: Vec<Wave>,
    /// Only this device (may be given more than once); all that are enrolled when it is submitted, if absent.
    #[arg(long, value_name = "ID")]
    device: Vec<DeviceId>,
}

pub(crate) fn run(verb: Verb, client: &OperatorClient, output: &Output) -> anyhow::Result<()> {
    let command = |no: &No, command| output.print(&client.command(no.no, command)?, brief);
    match verb {
        Verb::Create(options) => create(options, client, output),
        Verb::Submit(no) => command(&no, Command::Submit),
        Verb::Approve(no) => command(&no, Command::Approve),
        Verb::Pause(no) => command(&no, Command::Pause),
        Verb::Resume(no) => command(&no, Command::Resume),
        Verb::Abort(no) => command(&no, Command::Abort),
        Verb::List => output.print(&client.campaigns()?, |campaigns| listing(campaigns)),
        Verb::Show(no) => output.print(&client.campaign(no.no)?, full),
        Verb::Jobs(no) => output.print(&client.jobs(no.no)?, |jobs| jobs_listing(jobs)),
        Verb::Watch(no) => watch::run(no.no, client, output),
    }
}

fn create(options: Create, client: &OperatorClient, output: &Output) -> anyhow::Result<()> {
    let plan = match &options.plan {
        Some(file) => read_plan(file)?,
        None if options.waves.is_empty() => Plan::default(),
        None => Plan { waves: options.waves, ..Plan::default() },
    };
    let ids: Vec<String> = options.device.iter().map(ToString::to_string).collect();
    let devices = (!ids.is_empty()).then_some(ids);
    let new = NewCampaign { name: options.name, release: options.release, plan, devices };
    output.print(&client.create_campaign(&new)?, brief)
}

fn read_plan(file: &Path) -> anyhow::Result<Plan> {
    let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is no plan", file.display()))
}

fn brief(campaign: &CampaignInfo) -> String {
    format!("campaign {} is {}", campaign.campaign, spoken(&campaign.state))
}

fn full(campaign: &CampaignInfo) -> String {
    let approvals: Vec<_> = campaign.approvals.iter().map(|approval| approval.operator.as_str()).collect();
    let mut rows = vec![
        ("campaign", campaign.campaign.to_string()),
        ("name", campaign.name.clone()),
        ("release", campaign.release.to_string()),
        ("author", campaign.author.clone()),
        ("approved by", if approvals.is_empty() { "-".into() } else { approvals.join(", ") }),
        ("state", spoken(&campaign.state)),
        ("changed", moment(campaign.changed_ms)),
    ];
    rows.extend(campaign.halt_reason.iter().map(|reason| ("halted", reason.clone())));
    rows.push(("devices", counts(&campaign.counters)));
    let mut text = pairs(rows);
    if !campaign.waves.is_empty() {
        let waves = campaign.waves.iter().enumerate().map(|(number, wave)| {
            let here = if campaign.wave.map(usize::from) == Some(number) { "*" } else { "" };
            [format!("{number}{here}"), wave.reach.to_string(), counts(&wave.counters)]
        });
        text.push_str(&table(["WAVE", "REACH", "DEVICES"], waves));
    }
    text
}

fn listing(campaigns: &[CampaignInfo]) -> String {
    let rows = campaigns.iter().map(|campaign| {
        [
            campaign.campaign.to_string(),
            campaign.name.clone(),
            campaign.release.to_string(),
            spoken(&campaign.state),
            counts(&campaign.counters),
        ]
    });
    table(["NO", "NAME", "RELEASE", "STATE", "DEVICES"], rows)
}

fn jobs_listing(jobs: &[JobInfo]) -> String {
    let rows = jobs.iter().map(|job| {
        [
            job.job.clone(),
            job.device.clone(),
            job.wave.to_string(),
            spoken(&job.state),
            or_dash(job.reason.as_ref().map(|reason| spoken(reason))),
            job.attempt.to_string(),
            job.done.to_string(),
            moment(job.changed_ms),
        ]
    });
    table(["JOB", "DEVICE", "WAVE", "STATE", "WHY", "ATTEMPT", "BYTES", "CHANGED"], rows)
}

/// `3 confirmed, 1 rolled back`; states without devices are left out.
pub(crate) fn counts(counters: &BTreeMap<String, u32>) -> String {
    let some = counters.iter().filter(|(_, count)| **count > 0);
    let text: Vec<_> = some.map(|(state, count)| format!("{count} {}", spoken(state))).collect();
    if text.is_empty() { "-".into() } else { text.join(", ") }
}

/// A name of the interface as one says it.
pub(crate) fn spoken(name: &str) -> String {
    name.replace('_', " ")
}

fn wave(text: &str) -> Result<Wave, String> {
    let parsed = match text.strip_suffix('%') {
        Some(percent) => percent.parse().ok().map(Wave::Percent),
        None => text.parse().ok().map(Wave::Count),
    };
    parsed.ok_or_else(|| format!("{text} is neither a number of devices nor a percentage"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_is_a_number_or_a_percentage() {
        assert_eq!(wave("1"), Ok(Wave::Count(1)));
        assert_eq!(wave("25%"), Ok(Wave::Percent(25)));
        for bad in ["", "%", "x", "-1", "300%", "1.5%", "25 %"] {
            assert!(wave(bad).is_err(), "{bad}");
        }
    }
}
