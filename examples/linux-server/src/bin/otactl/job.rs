//! `otactl job`.

use clap::Subcommand;
use linux_server::OperatorClient;
use ota_server_core::fault_name;
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
        ("code", or_dash(job.code.map(code))),
        ("probes", or_dash(job.probes.and_then(failed))),
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
            or_dash(event.code.map(code)),
            or_dash(event.probes.and_then(failed)),
            event.done.map_or("-".into(), |done| format!("{done}/{}", or_dash(event.total))),
        ]
    });
    let headings = ["WHEN", "ATTEMPT", "REPORT", "WHAT", "WHY", "RESET", "BOOTS", "CODE", "PROBES", "BYTES"];
    head + &table(headings, rows)
}

/// A device's code as its log and the documentation have it, and what it means where that is known.
fn code(code: u16) -> String {
    fault_name(code).map_or_else(|| format!("{code:#06X}"), |name| format!("{code:#06X} {name}"))
}

/// The numbers of the probes that failed, if any did.
fn failed(probes: u32) -> Option<String> {
    let numbers = (0..u32::BITS).filter(|number| probes >> number & 1 == 1);
    let numbers: Vec<_> = numbers.map(|number| number.to_string()).collect();
    (!numbers.is_empty()).then(|| format!("{} failed", numbers.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_written_as_in_the_devices_log_and_probes_by_their_numbers() {
        assert_eq!(code(0x0B02), "0x0B02 nobody answers");
        assert_eq!(code(7), "0x0007");
        assert_eq!(failed(1 << 31 | 0b101).as_deref(), Some("0, 2, 31 failed"));
        assert_eq!(failed(0), None);
    }
}
