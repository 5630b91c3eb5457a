//! What all calls share: the store, the media, and the clinic's files as they were last read without a mistake.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::conversation::templates::{Templates, Values};
use crate::media::{Media, PromptLibrary};
use crate::model::{PhoneNumber, PromptCatalog};
use crate::settings::Settings;
use crate::store::Store;
use crate::tree::Tree;

use super::Registry;

/// The clinic's files, checked together. A call takes one at its INVITE and keeps it: a reload changes the next call.
#[derive(Debug)]
pub struct Book {
    /// `threadline.toml`
    pub settings: Arc<Settings>,
    /// `phone-tree.toml`
    pub tree: Arc<Tree>,
    /// `messages.toml`
    pub templates: Arc<Templates>,
    /// The prompts, encoded.
    pub prompts: Arc<PromptLibrary>,
    /// What the prompts say.
    pub catalog: Arc<PromptCatalog>,
}

impl Book {
    /// What the variables of a message say for somebody whose name nobody knows, and whose call went through the nodes
    /// of `path`.
    pub fn values(&self, path: &[String]) -> Values {
        values(&self.settings).with_hours(self.tree.hours(path))
    }

    /// Every number of the clinic: none of them is ever texted.
    pub fn own_numbers(&self) -> Vec<PhoneNumber> {
        let trunks = self.settings.trunks.iter().flat_map(|trunk| trunk.numbers.iter());
        trunks.chain([&self.settings.sms.from]).cloned().collect()
    }
}

/// What the variables of a message say whatever the call.
pub fn values(settings: &Settings) -> Values {
    let clinic = &settings.clinic;
    Values::of_clinic(&clinic.name, settings.sms.from.as_str(), clinic.response_target.as_deref())
}

/// The clinic's phone line.
#[derive(Debug)]
pub struct Line {
    /// What time it is.
    pub clock: Clock,
    /// Where calls are recorded.
    pub store: Store,
    /// Who speaks on the phone.
    pub media: Media,
    /// The calls in progress.
    pub registry: Registry,
    /// Cancelled when the daemon can wait no longer: every call is told goodbye.
    pub goodbye: CancellationToken,
    book: ArcSwap<Book>,
}

impl Line {
    /// A line with nobody on it.
    pub fn new(clock: Clock, store: Store, media: Media, book: Book) -> Line {
        let registry = Registry::default();
        Line { clock, store, media, registry, goodbye: CancellationToken::new(), book: ArcSwap::from_pointee(book) }
    }

    /// The files for a call that begins now.
    pub fn book(&self) -> Arc<Book> {
        self.book.load_full()
    }

    /// Replaces the files for the calls to come.
    pub fn turn_page(&self, book: Book) {
        self.book.store(Arc::new(book));
    }
}
