//! The integration tests, in one binary: each module drives the real thing over loopback.
mod config;
mod dtmf;
mod scripts;
mod layers;

mod gateway;
mod media;

mod corpus;
