//! What a call hears: a list of prompts, cut into frames of whatever length the peer wants.

use std::sync::Arc;

use super::codec;
use super::prompt::Prompt;
use crate::model::Codec;

/// One playback, to tell its end from another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlayId(pub(super) u64);

/// So many prompts wait in a list that is added to; a further one is dropped.
const LONGEST_QUEUE: usize = 64;

/// Plays one list at a time, and silence when there is none.
#[derive(Debug, Default)]
pub struct Player {
    playing: Option<Playing>,
}

#[derive(Debug)]
struct Playing {
    list: Vec<Arc<Prompt>>,
    then: Then,
    prompt: usize,
    /// In bytes, which are the same time in every codec: a codec may change in mid-prompt.
    at: usize,
}

/// What follows the last prompt.
#[derive(Clone, Copy, Debug)]
enum Then {
    Report(PlayId),
    Again,
    Nothing,
}

impl Player {
    /// Plays `list` from its beginning instead of what plays now; that one's end is not reported.
    pub fn play(&mut self, id: PlayId, list: Vec<Arc<Prompt>>) {
        self.playing = Some(Playing { list, then: Then::Report(id), prompt: 0, at: 0 });
    }

    /// Plays `list` again and again instead of what plays now, without a gap between its end and its beginning.
    pub fn play_looped(&mut self, list: Vec<Arc<Prompt>>) {
        self.playing = Some(Playing { list, then: Then::Again, prompt: 0, at: 0 });
    }

    /// Plays a prompt after those that play now, and does not report its end.
    pub fn add(&mut self, prompt: Arc<Prompt>) {
        let start = || Playing { list: Vec::new(), then: Then::Nothing, prompt: 0, at: 0 };
        let list = &mut self.playing.get_or_insert_with(start).list;
        if list.len() < LONGEST_QUEUE {
            list.push(prompt);
        }
    }

    /// Plays silence.
    pub fn stop(&mut self) {
        self.playing = None;
    }

    /// Whether there is more than silence to play.
    pub fn is_playing(&self) -> bool {
        self.playing.is_some()
    }

    /// Writes the next frame, 8 bytes a millisecond. Prompts follow each other without a gap; the last one's
    /// last frame is filled up with silence. Says which playback has ended with this frame.
    pub fn fill(&mut self, codec: Codec, frame: &mut [u8]) -> Option<PlayId> {
        let mut rest = frame;
        let mut ended = None;
        if let Some(playing) = &mut self.playing {
            if playing.fill(codec, &mut rest) {
                return None;
            }
            ended = match playing.then {
                Then::Report(id) => Some(id),
                Then::Again | Then::Nothing => None,
            };
            self.playing = None;
        }
        for (byte, silence) in rest.iter_mut().zip(codec::silence(codec).iter().cycle()) {
            *byte = *silence;
        }
        ended
    }
}

impl Playing {
    /// Writes as much as there is to the beginning of `rest`, and leaves what remains; whether more is to come.
    fn fill(&mut self, codec: Codec, rest: &mut &mut [u8]) -> bool {
        loop {
            let before = rest.len();
            while let Some(prompt) = self.list.get(self.prompt) {
                let left = prompt.encoded(codec).get(self.at..).unwrap_or_default();
                let copied = left.len().min(rest.len());
                let (now, later) = std::mem::take(rest).split_at_mut(copied);
                now.copy_from_slice(&left[..copied]);
                *rest = later;
                self.at += copied;
                if copied < left.len() {
                    return true;
                }
                self.prompt += 1;
                self.at = 0;
            }
            // A list of nothing is not played for ever.
            let empty = rest.len() == before && before > 0 && self.list.iter().all(|p| p.encoded(codec).is_empty());
            if !matches!(self.then, Then::Again) || empty {
                return false;
            }
            self.prompt = 0;
            if rest.is_empty() {
                return true;
            }
        }
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

    #[test]
    fn a_loop_has_no_seam_and_no_end() {
        let mut player = Player::default();
        let (first, second) = (prompt(330, 1), prompt(75, 2));
        player.play_looped(vec![Arc::clone(&first), Arc::clone(&second)]);
        let mut heard = Vec::new();
        let mut frame = [0; 160];
        while heard.len() < 4_000 {
            assert_eq!(player.fill(Codec::Pcmu, &mut frame), None);
            heard.extend(frame);
        }
        let round = [first.encoded(Codec::Pcmu), second.encoded(Codec::Pcmu)].concat();
        let rounds = round.iter().cycle().take(heard.len());
        assert!(heard.iter().eq(rounds));
        player.play_looped(Vec::new());
        assert_eq!(player.fill(Codec::Pcmu, &mut frame), None);
        assert!(frame == [0xff; 160] && !player.is_playing());
    }

    #[test]
    fn a_loop_shorter_than_a_frame_goes_round_within_it() {
        let mut player = Player::default();
        let short = prompt(7, 1);
        player.play_looped(vec![Arc::clone(&short)]);
        let mut frame = [0; 160];
        player.fill(Codec::Pcmu, &mut frame);
        assert!(frame.iter().eq(short.encoded(Codec::Pcmu).iter().cycle().take(160)));
    }

    #[test]
    fn what_is_added_follows_and_is_bounded() {
        let mut player = Player::default();
        let beep = prompt(80, 1);
        for _ in 0..100 {
            player.add(Arc::clone(&beep));
        }
        let mut frame = [0; 80];
        let mut frames = 0;
        while player.is_playing() {
            assert_eq!(player.fill(Codec::Pcmu, &mut frame), None);
            frames += 1;
        }
        assert_eq!(frames, LONGEST_QUEUE);
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
