//! Parked calls: put down at one phone, to be taken up at another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::switchboard::Connected;
use crate::model::CallId;

/// The places: what is dialled to take up a call is `*2` and one of these.
const PLACES: std::ops::RangeInclusive<u8> = 1..=9;

/// The calls that are parked. Cloning it gives another handle.
#[derive(Clone, Debug, Default)]
pub struct Parking(Arc<Mutex<BTreeMap<u8, Parked>>>);

#[derive(Debug)]
struct Parked {
    call: CallId,
    fetched: oneshot::Sender<Box<Connected>>,
}

/// A call's parking place. It is free again when this is dropped; whoever has fetched the call in this moment is hung up
/// on.
#[derive(Debug)]
pub(super) struct ParkingPlace {
    parking: Parking,
    number: u8,
    call: CallId,
    fetched: oneshot::Receiver<Box<Connected>>,
}

impl Parking {
    /// Takes the place `wanted`, or the first that is free; there is none: `None`.
    pub(super) fn park(&self, call: CallId, wanted: Option<u8>) -> Option<ParkingPlace> {
        let mut places = self.places();
        let fits = |number: &u8| wanted.is_none_or(|wanted| wanted == *number) && !places.contains_key(number);
        let number = PLACES.into_iter().find(fits)?;
        let (fetch, fetched) = oneshot::channel();
        places.insert(number, Parked { call, fetched: fetch });
        Some(ParkingPlace { parking: self.clone(), number, call, fetched })
    }

    /// How many are parked.
    pub fn count(&self) -> usize {
        self.places().len()
    }

    /// Connects whoever fetches to the call at `number`; gives them back where there is none.
    pub(super) fn fetch(&self, number: u8, by: Connected) -> Result<CallId, Box<Connected>> {
        let by = Box::new(by);
        match self.places().remove(&number) {
            Some(Parked { call, fetched }) => fetched.send(by).map(|()| call),
            None => Err(by),
        }
    }

    /// Whether a call is parked at `number`.
    pub(super) fn is_taken(&self, number: u8) -> bool {
        self.places().contains_key(&number)
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<u8, Parked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ParkingPlace {
    /// Its number.
    pub fn number(&self) -> u8 {
        self.number
    }

    /// Waits until somebody fetches the call, once; who it is. Cancel-safe.
    pub async fn fetched(&mut self) -> Box<Connected> {
        match (&mut self.fetched).await {
            Ok(by) => by,
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for ParkingPlace {
    fn drop(&mut self) {
        let mut places = self.parking.places();
        // Somebody else may have it by now.
        if places.get(&self.number).is_some_and(|parked| parked.call == self.call) {
            places.remove(&self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_in_order_and_free_again_when_left() {
        let parking = Parking::default();
        let at: jiff::Timestamp = "2026-11-02T14:00:00Z".parse().unwrap();
        let mut taken: Vec<_> = (0..9).map(|_| parking.park(CallId::new(at), None).unwrap()).collect();
        assert_eq!(taken.iter().map(ParkingPlace::number).collect::<Vec<_>>(), (1..=9).collect::<Vec<_>>());
        assert!(parking.park(CallId::new(at), None).is_none(), "all are taken");
        drop(taken.remove(3));
        assert!(!parking.is_taken(4));
        assert!(parking.park(CallId::new(at), Some(5)).is_none(), "another is there");
        assert_eq!(parking.park(CallId::new(at), Some(4)).map(|place| place.number()), Some(4));
        assert_eq!(parking.park(CallId::new(at), None).map(|place| place.number()), Some(4));
    }
}
