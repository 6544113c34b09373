//! How far a board's download is, and how much of it goes over the line at once.

use ota_agent::ObjectRanges;
use ota_manifest::wire::{Down, Fetch, Object};
use ota_manifest::{Frame, JobId, Manifest, Payload, Version};

use crate::Progress;

/// Most bytes of an object in one answer, unless a single chunk has more. What a board asks for in one go is its own choice,
/// and what that costs here is not.
const MOST: u64 = 64 * 1024;

/// The download of a board, as far as the answers tell.
#[derive(Debug, Default)]
pub(crate) struct Download {
    ranges: ObjectRanges,
    /// The job that was offered last, and how many bytes travel for each of its images.
    job: Option<(JobId, Vec<u64>)>,
}

impl Download {
    /// Takes note of an offer.
    pub(crate) fn hear(&mut self, down: &Down<'_>) {
        self.ranges.hear(down);
        if let Down::Offer { job, envelope, .. } = down
            && let Some(manifest) = read(envelope)
        {
            let images = manifest.images.iter();
            self.job = Some((*job, images.map(|image| travelling(image.size, &image.payload)).collect()));
        }
    }

    /// As much of what is asked for as one answer may carry. A board asks for the rest when it has that.
    pub(crate) fn portion(&self, fetch: Fetch) -> Fetch {
        let Some(range) = self.ranges.of(&fetch) else { return fetch };
        let unit = (range.end - range.start) / u64::from(fetch.count.max(1));
        let most = (MOST / unit.max(1)).max(1);
        Fetch { count: fetch.count.min(u16::try_from(most).unwrap_or(u16::MAX)), ..fetch }
    }

    /// How far the download is with `len` bytes in answer to `fetch`.
    pub(crate) fn progress(&self, fetch: &Fetch, len: usize) -> Option<Progress> {
        let (job, images) = self.job.as_ref()?;
        let total = *images.get(usize::from(fetch.image))?;
        let start = self.ranges.of(fetch)?.start;
        let is_part = *job == fetch.job && fetch.object == Object::Payload;
        let done = start.saturating_add(u64::try_from(len).ok()?).min(total);
        is_part.then_some(Progress { done, total })
    }
}

/// The version in an envelope, for people: nothing is proven here.
pub(crate) fn offered_version(envelope: &[u8]) -> Option<Version> {
    read(envelope).map(|manifest| manifest.version)
}

fn read(envelope: &[u8]) -> Option<Manifest<'_>> {
    let frame = Frame::parse(envelope).ok()?;
    Manifest::decode_unauthenticated(frame.payload_unauthenticated()).ok()
}

fn travelling(in_flash: u32, payload: &Payload) -> u64 {
    match payload {
        Payload::Compressed { size, .. } | Payload::Delta { size, .. } => u64::from(*size),
        _ => u64::from(in_flash),
    }
}

#[cfg(test)]
mod tests {
    use ota_slots::sim::Lab;

    use super::*;

    const FETCH: Fetch =
        Fetch { job: JobId::new([7; 16]), image: 0, object: Object::Payload, first: 2, count: 3 };

    /// A job with an image of 5000 bytes, in chunks of 1024.
    fn offered() -> Download {
        let mut download = Download::default();
        let envelope = &Lab::new().release(2, 5000).envelope;
        assert_eq!(offered_version(envelope), Some(Version::new(2, 0, 0)));
        download.hear(&Down::Offer { job: FETCH.job, attempt: 1, envelope });
        download
    }

    #[test]
    fn board_that_asks_for_too_much_gets_some_of_it() {
        let download = offered();
        assert_eq!(download.portion(FETCH), FETCH);
        let greedy = Fetch { count: u16::MAX, ..FETCH };
        assert_eq!(download.portion(greedy).count, 64, "64 KiB");
        assert_eq!(download.portion(Fetch { object: Object::Leaves, ..greedy }).count, 2048, "64 KiB");
        let nothing = Fetch { count: 0, ..FETCH };
        assert_eq!(download.portion(nothing), nothing);
        let unknown = Fetch { job: JobId::new([8; 16]), ..greedy };
        assert_eq!(download.portion(unknown), unknown, "there will be no answer to shorten");
    }

    #[test]
    fn progress_is_that_of_the_image_and_never_beyond_its_end() {
        let download = offered();
        let progress = |fetch, len| download.progress(&fetch, len);
        assert_eq!(progress(FETCH, 1024), Some(Progress { done: 3072, total: 5000 }));
        assert_eq!(progress(FETCH, 3072), Some(Progress { done: 5000, total: 5000 }));
        assert_eq!(progress(Fetch { object: Object::Leaves, ..FETCH }, 160), None);
        assert_eq!(progress(Fetch { image: 9, ..FETCH }, 1024), None);
        assert_eq!(progress(Fetch { job: JobId::new([8; 16]), ..FETCH }, 1024), None);
        assert_eq!(Download::default().progress(&FETCH, 1024), None);
    }
}
