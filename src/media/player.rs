//! What a call hears: a list of prompts, cut into frames of whatever length the peer wants.

use std::sync::Arc;

use super::codec;
use super::prompt::Prompt;
use crate::model::Codec;

/// One playback, to tell its end from another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlayId(pub(super) u64);

/// Plays one list at a time, and silence when there is none.
#[derive(Debug, Default)]
pub struct Player {
    playing: Option<Playing>,
}

#[derive(Debug)]
struct Playing {
    id: PlayId,
    list: Vec<Arc<Prompt>>,
    prompt: usize,
    /// In bytes, which are the same time in every codec: a codec may change in mid-prompt.
    at: usize,
}

impl Player {
    /// Plays `list` from its beginning instead of what plays now; that one's end is not reported.
    pub fn play(&mut self, id: PlayId, list: Vec<Arc<Prompt>>) {
        self.playing = Some(Playing { id, list, prompt: 0, at: 0 });
    }

    /// Plays silence.
    pub fn stop(&mut self) {
        self.playing = None;
    }

    /// Writes the next frame, 8 bytes a millisecond. Prompts follow each other without a gap; the last one's
    /// last frame is filled up with silence. Says which playback has ended with this frame.
    pub fn fill(&mut self, codec: Codec, frame: &mut [u8]) -> Option<PlayId> {
        let mut rest = frame;
        if let Some(playing) = &mut self.playing {
            while let Some(prompt) = playing.list.get(playing.prompt) {
                let left = prompt.encoded(codec).get(playing.at..).unwrap_or_default();
                let copied = left.len().min(rest.len());
                let (now, later) = std::mem::take(&mut rest).split_at_mut(copied);
                now.copy_from_slice(&left[..copied]);
                rest = later;
                playing.at += copied;
                if copied < left.len() {
                    return None;
                }
                playing.prompt += 1;
                playing.at = 0;
            }
        }
        for (byte, silence) in rest.iter_mut().zip(codec::silence(codec).iter().cycle()) {
            *byte = *silence;
        }
        self.playing.take().map(|playing| playing.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prompt(samples: usize, seed: usize) -> Arc<Prompt> {
        let samples: Vec<i16> = (0..samples).map(|i| ((i + seed) * 37 % 20_000) as i16).collect();
        Arc::new(Prompt::from_samples(8_000, &samples).unwrap())
    }

    #[test]
    fn an_empty_list_ends_at_once_and_silence_follows() {
        let mut player = Player::default();
        let mut frame = [0; 160];
        assert_eq!(player.fill(Codec::Pcmu, &mut frame), None);
        assert_eq!(frame, [0xff; 160]);
        player.play(PlayId(3), Vec::new());
        assert_eq!(player.fill(Codec::Pcma, &mut frame), Some(PlayId(3)));
        assert_eq!(frame, [0xd5; 160]);
        assert_eq!(player.fill(Codec::Pcma, &mut frame), None);
    }

    #[test]
    fn what_replaces_another_plays_from_its_beginning() {
        let mut player = Player::default();
        let mut frame = [0; 80];
        let (first, second) = (prompt(400, 1), prompt(80, 2));
        player.play(PlayId(1), vec![first]);
        assert_eq!(player.fill(Codec::Pcmu, &mut frame), None);
        player.play(PlayId(2), vec![Arc::clone(&second)]);
        assert_eq!(player.fill(Codec::Pcmu, &mut frame), Some(PlayId(2)));
        assert_eq!(frame, *second.encoded(Codec::Pcmu));
        player.play(PlayId(3), vec![second]);
        player.stop();
        assert_eq!(player.fill(Codec::Pcmu, &mut frame), None);
    }

    proptest! {
        #[test]
        fn frames_put_together_are_the_prompts_put_together(
            lengths in proptest::collection::vec(1usize..700, 0..5),
            ptime in 1usize..=6,
        ) {
            let list: Vec<_> = lengths.iter().enumerate().map(|(i, length)| prompt(*length, i)).collect();
            let whole: Vec<u8> = list.iter().flat_map(|p| p.encoded(Codec::Pcmu).to_vec()).collect();
            let mut player = Player::default();
            player.play(PlayId(1), list);
            let mut heard = Vec::new();
            let mut frame = vec![0; ptime * 80];
            loop {
                let ended = player.fill(Codec::Pcmu, &mut frame);
                heard.extend_from_slice(&frame);
                if ended.is_some() {
                    break;
                }
                prop_assert!(heard.len() < whole.len());
            }
            prop_assert!(heard.len() < whole.len() + frame.len() || whole.is_empty());
            prop_assert_eq!(&heard[..whole.len()], &whole[..]);
            prop_assert!(heard[whole.len()..].iter().all(|byte| *byte == 0xff));
        }
    }
}
