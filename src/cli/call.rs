//! `threadline call`: a test phone.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};

use super::phone::{self, Phone};
use crate::media::Recording;
use crate::model::Digit;

/// Dials a SIP address with a test phone, presses keys, records what is heard.
///
/// Prints what happens. Exits 0 if the call was answered.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example: call the daemon on this machine, press 1 after eight seconds, keep what was said\n  \
    threadline call sip:+12125550100@127.0.0.1:5060 --press ,,,,,,,,1 --record heard.wav")]
pub struct CallArgs {
    /// Whom to call: sip:NUMBER@HOST:PORT, with ;transport=tcp if need be
    pub uri: String,
    /// Keys to press, one after the other; a comma waits for a second
    #[arg(long, value_name = "DIGITS", default_value = "", value_parser = keys)]
    pub press: Keys,
    /// Write what is heard into this WAV file
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Who calls
    #[arg(long, value_name = "NUMBER", default_value = "+12125550142")]
    pub from: String,
    /// Hang up after so many seconds, if the other side does not
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub limit: u64,
}

/// Keys and pauses of a second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys(Vec<Option<Digit>>);

fn keys(text: &str) -> Result<Keys, String> {
    let key = |c: char| match c {
        ',' => Ok(None),
        c => {
            Digit::from_char(c).map(Some).ok_or_else(|| format!("“{c}” is no key; write 0-9, *, # or a comma to wait"))
        }
    };
    text.chars().map(key).collect::<Result<_, _>>().map(Keys)
}

/// Runs the call.
pub fn run(args: &CallArgs) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(place(args))?;
    Ok(ExitCode::SUCCESS)
}

async fn place(args: &CallArgs) -> Result<()> {
    let phone = Phone::start(phone::address_of(&args.uri)?).await?;
    println!("dialling {}", args.uri);
    let mut call = phone.dial(&args.uri, &args.from).await?;
    println!("answered");
    let ended = async {
        let pressing = async {
            for key in &args.press.0 {
                match key {
                    Some(digit) => {
                        call.press(*digit);
                        println!("pressed {digit}");
                        tokio::time::sleep(Duration::from_millis(300)).await;
                    }
                    None => tokio::time::sleep(Duration::from_secs(1)).await,
                }
            }
        };
        pressing.await;
        call.ended().await
    };
    match tokio::time::timeout(Duration::from_secs(args.limit), ended).await {
        Ok(cause) => println!("the other side hung up ({cause})"),
        Err(_) => println!("hung up after {} s", args.limit),
    }
    let recording = call.recording().clone();
    call.hang_up().await;
    if let Some(file) = &args.record {
        write_wav(&recording, file)?;
        println!("recorded {}", file.display());
    }
    phone.stop().await;
    Ok(())
}

fn write_wav(recording: &Recording, file: &Path) -> Result<()> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: recording.rate().max(8_000),
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let failed = || format!("{} cannot be written", file.display());
    let mut wav = hound::WavWriter::create(file, spec).with_context(failed)?;
    for sample in recording.samples() {
        wav.write_sample(sample).with_context(failed)?;
    }
    wav.finalize().with_context(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_pauses_are_read() {
        assert_eq!(keys(",1#").unwrap().0, [None, Digit::from_char('1'), Digit::from_char('#')]);
        assert!(keys("1x").unwrap_err().contains("“x”"));
    }
}
