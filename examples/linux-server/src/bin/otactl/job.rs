//! `otactl job`.

use clap::Subcommand;
use linux_server::OperatorClient;
use ota_server_core::http::api::JobHistory;

use crate::campaign::spoken;
use crate::output::{Output, moment, or_dash, pairs, table};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Show a job and everything that happened to it.
    Show {
        /// The job, 32 hexadecimal digits.
        id: ota_manifest::JobId,
    },
}

pub(crate) fn run(verb: &Verb, client: &OperatorClient, output: &Output) -> anyhow::Result<()> {
    let Verb::Show { id } = verb;
    output.print(&client.job(&id.to_string())?, show)
}

fn show(history: &JobHistory) -> String {
    let job = &history.job;
    let head = pairs([
        ("job", job.job.clone()),
        ("device", job.device.clone()),
        ("campaign", format!("{}, wave {}", job.campaign, job.wave)),
        ("state", spoken(&job.state)),
        ("why", or_dash(job.reason.as_ref().map(|reason| spoken(reason)))),
        ("attempt", job.attempt.to_string()),
        ("served", format!("{} bytes", job.served)),
    ]);
    let rows = history.events.iter().map(|event| {
        [
            moment(event.at_ms),
            event.attempt.to_string(),
            or_dash(event.seq),
            format!("{}{}", spoken(&event.what), if event.late { " (late)" } else { "" }),
            or_dash(event.reason.as_ref().map(|reason| spoken(reason))),
            or_dash(event.cause.as_ref().map(|cause| spoken(cause))),
            or_dash(event.boots),
            or_dash(event.code),
            event.done.map_or("-".into(), |done| format!("{done}/{}", or_dash(event.total))),
        ]
    });
    head + &table(["WHEN", "ATTEMPT", "REPORT", "WHAT", "WHY", "RESET", "BOOTS", "CODE", "BYTES"], rows)
}
