//! `otactl audit`.

use clap::Args;
use linux_server::OperatorClient;
use ota_server_core::http::api::AuditInfo;

use crate::output::{Output, moment, table};

#[derive(Args)]
pub(crate) struct Audit {
    /// Only what came after this row.
    #[arg(long, default_value_t = 0, value_name = "NO")]
    after: u64,
}

impl Audit {
    pub(crate) fn run(&self, client: &OperatorClient, output: &Output) -> anyhow::Result<()> {
        output.print(&self.rows(client)?, |rows| listing(rows))
    }

    /// The server gives a thousand at a time.
    fn rows(&self, client: &OperatorClient) -> anyhow::Result<Vec<AuditInfo>> {
        let (mut rows, mut after) = (Vec::new(), self.after);
        loop {
            let page = client.audit(after)?;
            let Some(last) = page.last() else { return Ok(rows) };
            after = last.seq;
            rows.extend(page);
        }
    }
}

fn listing(rows: &[AuditInfo]) -> String {
    let rows = rows.iter().map(|row| {
        [
            row.seq.to_string(),
            moment(row.at_ms),
            row.actor.clone(),
            row.action.clone(),
            row.subject.clone(),
            row.detail.clone(),
        ]
    });
    table(["NO", "WHEN", "WHO", "WHAT", "TO WHAT", "DETAIL"], rows)
}
