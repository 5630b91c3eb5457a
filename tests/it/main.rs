//! The integration tests, in one binary: each module drives the real thing over loopback.

mod browser;
mod clinic;
mod config;
mod content;
mod corpus;
mod crash;
mod desk;
mod disk;
mod dtmf;
mod gateway;
mod inbox_door;
mod inbox_people;
mod inbox_queue;
mod inbox_search;
mod inbox_thread;
mod ipv6;
mod layers;
mod media;
mod nat;
mod outbox;
mod permissions;
mod scripts;
mod service;
mod signalling;
mod torture;
mod webhooks;
