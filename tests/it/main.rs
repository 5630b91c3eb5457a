//! The integration tests, in one binary: each module drives the real thing over loopback.

mod config;
mod content;
mod corpus;
mod dtmf;
mod gateway;
mod layers;
mod media;
mod outbox;
mod scripts;
mod signalling;
mod torture;
mod webhooks;
