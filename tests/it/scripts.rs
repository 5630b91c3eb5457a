//! Call scripts: whole calls through a phone tree, in virtual time; a file for each subject.

mod call;
mod callback;
mod callers;
mod menu;
mod number;
mod queue;
mod ring;
mod simulated;
mod staff;
mod text;
mod voicemail;
