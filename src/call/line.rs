//! What all calls share: the store, the media, and the clinic's files as they were last read without a mistake.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::conversation::templates::{Templates, Values};
use crate::media::{Media, PromptLibrary};
use crate::model::{PhoneNumber, PromptCatalog};
use crate::settings::{Settings, Trunk};
use crate::sip::{Endpoint, Phones, Trunks, trunk};
use crate::store::Store;
use crate::tree::Tree;

use super::Registry;
use super::callback::Callbacks;
use super::dial_plan::{DialPlan, Dialled, Dialler};
use super::handover::Handovers;
use super::parking::Parking;
use super::switchboard::{self, Switchboard};
use super::trace::Traces;

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
pub struct Line {
    /// What time it is.
    pub clock: Clock,
    /// Where calls are recorded.
    pub store: Store,
    /// Who speaks on the phone.
    pub media: Media,
    /// The calls in progress.
    pub registry: Registry,
    /// Who waits, and which phones ring.
    pub switchboard: Switchboard,
    /// The calls back under way.
    pub(super) callbacks: Callbacks,
    /// The calls that are parked.
    pub parking: Parking,
    /// The calls whose far side can be taken over.
    pub(super) handovers: Handovers,
    /// Signalling, for the calls that we place.
    pub(super) endpoint: Endpoint,
    /// The trunks at work.
    trunks: Trunks,
    /// Which legs belong to which call.
    pub(super) traces: Traces,
    /// The clinic's own phones.
    pub phones: Phones,
    /// The tasks of all calls: the daemon ends after the last of them.
    pub calls: TaskTracker,
    /// Cancelled when no new call begins any more; those in progress go on.
    pub closing: CancellationToken,
    /// Cancelled when the daemon can wait no longer: every call is told goodbye.
    pub goodbye: CancellationToken,
    book: ArcSwap<Book>,
}

impl Line {
    /// A line with nobody on it. Must be called within a tokio runtime; until `stop` phones ring for whoever waits.
    pub fn start(
        clock: Clock,
        store: Store,
        media: Media,
        endpoint: Endpoint,
        trunks: Trunks,
        book: Book,
        stop: CancellationToken,
    ) -> Arc<Line> {
        let (switchboard, inbox) = Switchboard::new();
        let line = Arc::new(Line {
            clock,
            store,
            media,
            registry: Registry::default(),
            switchboard,
            callbacks: Callbacks::default(),
            parking: Parking::default(),
            handovers: Handovers::default(),
            phones: endpoint.phones().clone(),
            endpoint,
            trunks,
            traces: Traces::default(),
            calls: TaskTracker::new(),
            closing: CancellationToken::new(),
            goodbye: CancellationToken::new(),
            book: ArcSwap::from_pointee(book),
        });
        tokio::spawn(switchboard::run(line.clone(), inbox, stop));
        line
    }

    /// The files for a call that begins now.
    pub fn book(&self) -> Arc<Book> {
        self.book.load_full()
    }

    /// The order in which a call out tries the trunks of `settings`.
    pub(super) fn trunks_in_order<'a>(&self, settings: &'a Settings) -> Vec<&'a Trunk> {
        trunk::in_order(&settings.trunks, &self.trunks.states())
    }

    /// What one of the clinic's own phones has dialled, and whether it may.
    pub(super) fn dialled(&self, extension: &str, dialled: &str) -> Dialled {
        let book = self.book();
        let settings = &book.settings;
        let extensions: Vec<_> = settings.extensions.iter().map(|extension| extension.name.clone()).collect();
        let plan = DialPlan {
            extensions: &extensions,
            emergency: &settings.phones.emergency,
            country: settings.clinic.country,
        };
        let own = settings.extensions.iter().find(|known| known.name == extension);
        let may_call = own.map_or(&[][..], |own| &own.may_call);
        plan.read(Dialler { extension, may_call }, dialled)
    }

    /// Replaces the files for the calls to come.
    pub fn turn_page(&self, book: Book) {
        self.book.store(Arc::new(book));
    }
}
