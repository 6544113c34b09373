//! What devices say, and what they are answered.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use ota_manifest::DeviceId;
use ota_manifest::wire::topic::{Channel, Topic};
use ota_manifest::wire::{Down, MAX_REPORT, Refusal, Up, decode};
use rumqttc::{AsyncClient, Publish, PublishOptions, PublishProperties};
use tokio::sync::{Notify, Semaphore};

use super::connection::PATIENCE;
use crate::fleet::{Fleet, FleetError, Reply, STORAGE_PAUSE_MS, down_bytes};

/// Requests that the fleet works on at the same time: enough for a commit to carry many.
const UNDER_WAY: usize = 64;
/// Requests that may wait behind them. More are dropped: the device asks again after its timeout, and a queue that is
/// longer than that would answer devices that have given up.
const WAITING: usize = 1024;
const PLACES: u32 = 1088;
const _: () = assert!(UNDER_WAY + WAITING == PLACES as usize);
/// Of those under way, questions for freshness: the others are not to wait for a token that signs slowly.
const QUESTIONS: usize = UNDER_WAY / 2;
/// Most correlation data that is handed back, bytes. A device needs a counter, not a store.
const MAX_CORRELATION: usize = 16;

/// Requests on their way through the fleet.
#[derive(Debug)]
pub(super) struct Requests {
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    questions: Arc<Semaphore>,
    dropped: Tally,
}

impl Requests {
    pub(super) fn new() -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self {
            places: semaphore(PLACES as usize),
            turns: semaphore(UNDER_WAY),
            questions: semaphore(QUESTIONS),
            dropped: Tally::default(),
        }
    }

    /// Answers a device in a task of its own; drops the request if too many wait. Tells `stuck` if the broker does not
    /// acknowledge the answer.
    ///
    /// The task outlives the connection: what a device has reported is stored, also if it cannot be told any more.
    pub(super) fn take(
        &self,
        fleet: Fleet,
        (client, stuck): (AsyncClient, Arc<Notify>),
        device: DeviceId,
        asked: &Publish,
    ) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            if let Some(dropped) = self.dropped.count() {
                tracing::warn!(dropped, "too many requests by MQTT; the devices will ask again");
            }
            return;
        };
        let (turns, questions) = (Arc::clone(&self.turns), Arc::clone(&self.questions));
        let message = if asked.payload.len() <= MAX_REPORT { decode(&asked.payload).ok() } else { None };
        let properties = correlated(asked);
        tokio::spawn(async move {
            let answer = {
                let _share = match message {
                    Some(Up::Ask(_)) => questions.acquire().await.ok(),
                    _ => None,
                };
                let _turn = turns.acquire().await;
                answer(&fleet, device, message).await
            };
            let topic = Topic { device, channel: Channel::Down };
            let options = PublishOptions::at_least_once().properties(properties);
            let told = async {
                // Fails if the connection is gone; the device repeats itself.
                let Ok(notice) = client.publish_tracked(alloc::format!("{topic}"), answer, options).await
                else {
                    return;
                };
                let _ = notice.wait_async().await.is_ok();
            };
            if tokio::time::timeout(PATIENCE, told).await.is_err() {
                stuck.notify_one();
            }
            drop(place);
        });
    }

    /// Waits until nothing is under way.
    pub(super) async fn idle(&self) {
        let _ = self.places.acquire_many(PLACES).await;
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.0.load(Ordering::Relaxed)
    }
}

fn correlated(asked: &Publish) -> PublishProperties {
    let data = asked.properties.as_ref().and_then(|properties| properties.correlation_data.clone());
    PublishProperties {
        correlation_data: data.filter(|data| data.len() <= MAX_CORRELATION),
        ..PublishProperties::default()
    }
}

/// The same answers as over HTTP.
async fn answer(fleet: &Fleet, device: DeviceId, message: Option<Up>) -> Vec<u8> {
    if fleet.look(|engine| engine.token_of(device)).is_none() {
        return refused(Refusal::Unauthentic, 0);
    }
    match message {
        Some(Up::Poll(poll)) => reply(fleet.poll(device, &poll).await),
        Some(Up::Report(report)) => reply(fleet.report(device, &report).await),
        Some(Up::Ask(question)) => reply(fleet.ask(device, &question).await),
        Some(Up::Fetch(_) | Up::Trust { .. }) => refused(Refusal::Unsupported, 0),
        None => refused(Refusal::Malformed, 0),
    }
}

fn reply(reply: Result<Reply, FleetError>) -> Vec<u8> {
    match reply {
        Ok(reply) => reply.bytes(),
        Err(error) => {
            tracing::error!(%error, "a device was told to try again");
            refused(Refusal::Busy, STORAGE_PAUSE_MS)
        }
    }
}

fn refused(refusal: Refusal, retry_after_ms: u32) -> Vec<u8> {
    down_bytes(&Down::Refused { refusal, retry_after_ms })
}

/// Counts what would flood the log, and says when a line is due: at 1, 2, 4, 8 and so on.
#[derive(Debug, Default)]
pub(super) struct Tally(AtomicU64);

impl Tally {
    pub(super) fn count(&self) -> Option<u64> {
        let count = self.0.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        count.is_power_of_two().then_some(count)
    }
}
