//! Conversations that are recorded: what each side said is in the file, and nothing is recorded that should not be.

use std::path::{Path, PathBuf};
use std::time::Duration;

use threadline::model::Codec;
use threadline::store::export::What;
use threadline::store::{self, recordings};

use super::disk::{Disk, exported};
use super::phones::Talking;
use super::staff::{House, both_hear};

/// What is heard first is short; the conversations of the queue are recorded, those of the ring node are not.
const TREE: &str = r#"start = "menu:which"
[menu.which]
say = "digit_1"
keys = { 1 = "queue:recorded", 2 = "ring:free" }
stay = "queue:recorded"
wait = "10s"
[queue.recorded]
ring = ["extension:201"]
record = "digit_2"
music = "hold"
give_up_after = "5m"
[ring.free]
ring = ["extension:201"]
give_up_after = "3m"
"#;

async fn open() -> House {
    let mut house = House::closed(TREE).await;
    house.clinic.start().await;
    house
}

/// The recordings of the only call.
fn recorded(house: &House) -> Vec<recordings::Recording> {
    let call = house.clinic.rows(What::Calls).remove(0)["id"].as_str().unwrap().parse().unwrap();
    recordings::of_call(&store::open_read_only(&house.clinic.store).unwrap(), call).unwrap()
}

/// The files of recordings, finished or not.
fn files(house: &House) -> Vec<PathBuf> {
    let years = std::fs::read_dir(house.clinic.store.join("recording")).into_iter().flatten();
    years.flat_map(|year| std::fs::read_dir(year.unwrap().path()).unwrap()).map(|file| file.unwrap().path()).collect()
}

/// How many bytes there are of the piece that is being recorded.
fn written(house: &House) -> u64 {
    let unfinished = files(house).into_iter().filter(|file| file.extension().is_some_and(|end| end == "part"));
    unfinished.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}

/// The two sides of a recording, and their rate.
fn sides(file: &Path) -> (u32, [Vec<i16>; 2]) {
    let mut reader = hound::WavReader::open(file).unwrap();
    assert_eq!(reader.spec().channels, 2);
    let samples: Vec<i16> = reader.samples().map(Result::unwrap).collect();
    let side = |side| samples.iter().skip(side).step_by(2).copied().collect();
    (reader.spec().sample_rate, [side(0), side(1)])
}

/// The largest part that a tone has in any tenth of a second, by power.
fn strongest(rate: u32, samples: &[i16], hz: f64) -> f64 {
    let part = |samples: &[i16]| {
        let (mut re, mut im, mut all) = (0.0, 0.0, 0.0);
        for (i, sample) in samples.iter().enumerate() {
            let (sample, angle) = (f64::from(*sample), 2.0 * std::f64::consts::PI * hz * i as f64 / f64::from(rate));
            re += sample * angle.cos();
            im += sample * angle.sin();
            all += sample * sample;
        }
        if all < 1e6 { 0.0 } else { 2.0 * (re * re + im * im) / (all * samples.len() as f64) }
    };
    samples.chunks(rate as usize / 10).map(part).fold(0.0, f64::max)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_side_of_a_conversation_is_in_its_channel_and_hold_begins_a_new_piece() {
    let house = open().await;
    let mut desk = house.extension("201", &[Codec::G722]).await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcma]).await;
    super::staff::press(&patient, '1');
    let mut staff = desk.answers().await;
    let log = house.clinic.log();
    let told = log.find("digit_2").expect("the caller is told");
    assert!(log.find("a phone rings").is_some_and(|rings| told < rings), "before anybody is rung\n{log}");
    // And the person is, by a tone.
    let beep = |heard: &Talking| strongest(heard.recording.rate().max(8_000), &heard.recording.samples(), 1_400.0);
    house.clinic.until("the person hears the tone", async || beep(&staff) > 0.7).await;
    both_hear(&patient, &staff).await;
    house.clinic.until("a second of it is written", async || written(&house) > 64_000).await;
    staff.hold(true).await;
    let held = async || house.clinic.rows(What::Audit).iter().any(|entry| entry["action"] == "recording.made");
    house.clinic.until("the first piece is kept", held).await;
    staff.hold(false).await;
    both_hear(&patient, &staff).await;
    house.clinic.until("a second of it is written", async || written(&house) > 64_000).await;
    patient.dialog.bye("").await;
    patient.ended().await;
    house.record().await;

    let pieces = recorded(&house);
    assert_eq!(pieces.len(), 2, "{pieces:?}");
    assert!(pieces[0].started_at < pieces[1].started_at);
    for piece in &pieces {
        assert_eq!(piece.node, "queue:recorded");
        let kept = piece.delete_after.duration_since(piece.started_at);
        assert!((29..=30).contains(&(kept.as_hours() / 24)), "{kept}");
        let (rate, [left, right]) = sides(&house.clinic.store.join(&piece.file));
        assert_eq!((rate, left.len()), (16_000, right.len()), "one of them speaks G.722");
        let length = Duration::from_secs_f64(left.len() as f64 / 16_000.0);
        assert_eq!(piece.length.as_millis(), length.as_millis());
        for (side, own, other) in [(&left, 440.0, 1_000.0), (&right, 1_000.0, 440.0)] {
            assert!(strongest(rate, side, own) > 0.8, "{own} Hz is on its side");
            assert!(strongest(rate, side, other) < 0.2, "{other} Hz is not");
        }
    }
    assert!(!house.clinic.log().contains("could not be"), "{}", house.clinic.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_not_switched_on_nothing_is_recorded() {
    let house = open().await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    super::staff::press(&patient, '2');
    let staff = desk.answers().await;
    both_hear(&patient, &staff).await;
    patient.dialog.bye("").await;
    patient.ended().await;
    assert_eq!(house.record().await["outcome"], "served");
    assert_eq!(recorded(&house), []);
    assert!(!house.clinic.store.join("recording").exists());
    assert!(!house.clinic.log().contains("is recorded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_ends_the_recording_and_not_the_call() {
    let mut house = House::closed(TREE).await;
    let Some(disk) = Disk::mount(&house.clinic.store) else {
        return eprintln!("not tried: a full disk needs user namespaces (unshare --user --mount), not allowed here");
    };
    house.clinic.run_by = disk.entering();
    house.clinic.store.clone_from(&disk.path);
    house.clinic.start().await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let (_phone, mut patient) = house.patient(&[Codec::Pcmu]).await;
    super::staff::press(&patient, '1');
    let mut staff = desk.answers().await;
    both_hear(&patient, &staff).await;
    disk.fill();
    let ended = async || house.clinic.log().contains("a recording ends early");
    house.clinic.until("the recording ends", ended).await;
    both_hear(&patient, &staff).await;
    disk.clear();
    patient.dialog.bye("").await;
    staff.ended().await;
    patient.ended().await;
    let over = async || exported(&house.clinic, "calls").iter().any(|call| call["outcome"] == "served");
    house.clinic.until("the call is on record", over).await;
    assert!(!house.clinic.log().contains("panicked"), "{}", house.clinic.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_leaves_no_half_recording() {
    let mut house = open().await;
    let mut desk = house.extension("201", &[Codec::Pcmu]).await;
    let (_phone, patient) = house.patient(&[Codec::Pcmu]).await;
    super::staff::press(&patient, '1');
    let staff = desk.answers().await;
    both_hear(&patient, &staff).await;
    house.clinic.until("some of it is on the disk", async || written(&house) > 44).await;
    house.clinic.kill();
    assert!(written(&house) > 44, "half of it is left");
    house.clinic.start().await;
    assert_eq!(files(&house), Vec::<PathBuf>::new());
}
