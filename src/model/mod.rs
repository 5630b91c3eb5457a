//! Plain domain types, without I/O: what the rest of the house speaks in.
//!
//! Numbers and message bodies redact themselves in logs ([`Private`], [`PhoneNumber`]).

mod call;
mod clinic_file;
mod consent;
mod digit;
mod id;
mod language;
mod media;
mod message;
mod number;
mod phone;
mod private;
mod problem;
mod prompt;
mod staff;
mod thread;
pub mod toml_file;
mod unseen;

pub use call::*;
pub use clinic_file::*;
pub use consent::*;
pub use digit::*;
pub use id::*;
pub use language::*;
pub use media::*;
pub use message::*;
pub use number::*;
pub use phone::*;
pub use private::*;
pub use problem::*;
pub use prompt::*;
pub use staff::*;
pub use thread::*;
pub use unseen::*;
