//! What happens, in words.

use gateway::Event;
use ota_server_core::http::api::ReleaseInfo;
use provision::Image;

/// What an operator has done to a release.
pub(crate) fn published(number: u16, image: &Image, release: &ReleaseInfo) -> String {
    let (bytes, slot) = (image.bytes.len(), image.slot);
    format!(
        "release {number}: {bytes} bytes for slot {slot:?} uploaded, signed as manifest {}",
        release.manifest
    )
}

/// An event on the line in words: what goes up, and what comes down.
pub(crate) fn told(event: &Event) -> String {
    match event {
        Event::Answered { asked, answer, progress, .. } => {
            let answer: Vec<String> = answer.split(' ').map(short).collect();
            let percent = progress.map(|progress| format!(", {} %", progress.percent())).unwrap_or_default();
            format!("{asked} -> {}{percent}", answer.join(" "))
        }
        event => event.to_string(),
    }
}

/// The beginning of an id, and all other words as they are.
fn short(word: &str) -> String {
    let id = word.trim_end_matches(',');
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id { word.replace(&id[8..], "..") } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_cut_and_nothing_else_is() {
        let event = |answer: &str| Event::Answered {
            asked: "asks".into(),
            answer: answer.into(),
            bytes: 9,
            progress: Some(gateway::Progress { done: 1, total: 2 }),
        };
        let offer = event("offer of 2.0.0, job 0123456789abcdef0123456789abcdef, attempt 1");
        assert_eq!(told(&offer), "asks -> offer of 2.0.0, job 01234567.., attempt 1, 50 %");
        assert_eq!(told(&event("nothing to do")), "asks -> nothing to do, 50 %");
    }
}
