//! The integration tests, in one binary: each module drives the real thing over loopback.
mod content;
mod config;
mod dtmf;
mod scripts;
mod layers;

mod gateway;
mod media;

mod corpus;
mod signalling;
mod torture;
mod dtmf;
mod gateway;
mod layers;
mod media;
mod outbox;
mod webhooks;
