//! The integration tests, in one binary: each module drives the real thing over loopback.

mod corpus;
mod dtmf;
mod gateway;
mod layers;
mod media;
mod outbox;
mod webhooks;
