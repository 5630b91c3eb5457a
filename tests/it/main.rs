//! The integration tests, in one binary: each module drives the real thing over loopback.
mod config;
mod content;
mod dtmf;
mod layers;
mod scripts;

mod gateway;
mod media;

mod corpus;
