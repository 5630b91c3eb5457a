//! Parked calls: put down at one phone, to be taken up at another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::switchboard::{Connected, Told};
use crate::model::CallId;

/// The places: what is dialled to take up a call is `*2` and one of these.
const PLACES: std::ops::RangeInclusive<u8> = 1..=9;

/// The calls that are parked. Cloning it gives another handle.
#[derive(Clone, Debug, Default)]
pub struct Parking(Arc<Mutex<BTreeMap<u8, Parked>>>);

#[derive(Debug)]
struct Parked {
    call: CallId,
    told: mpsc::UnboundedSender<Told>,
}

/// A call's parking place; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct ParkingPlace {
    parking: Parking,
    number: u8,
    call: CallId,
}

impl Parking {
    /// Takes the first free place; none is free: `None`.
    pub(super) fn park(&self, call: CallId, told: mpsc::UnboundedSender<Told>) -> Option<ParkingPlace> {
        let mut places = self.places();
        let number = PLACES.into_iter().find(|number| !places.contains_key(number))?;
        places.insert(number, Parked { call, told });
        Some(ParkingPlace { parking: self.clone(), number, call })
    }

    /// Connects whoever fetches to the call at `number`; gives them back where there is none.
    pub(super) fn fetch(&self, number: u8, by: Connected) -> Result<CallId, Box<Connected>> {
        match self.places().remove(&number) {
            Some(parked) if !parked.told.is_closed() => {
                // A caller who hangs up in this very moment: the leg is dropped, and so hung up.
                let _ = parked.told.send(Told::Connected(Box::new(by)));
                Ok(parked.call)
            }
            _ => Err(Box::new(by)),
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
        let (parking, (told, _calls)) = (Parking::default(), mpsc::unbounded_channel());
        let at: jiff::Timestamp = "2026-11-02T14:00:00Z".parse().unwrap();
        let mut taken: Vec<_> = (0..9).map(|_| parking.park(CallId::new(at), told.clone()).unwrap()).collect();
        assert_eq!(taken.iter().map(ParkingPlace::number).collect::<Vec<_>>(), (1..=9).collect::<Vec<_>>());
        assert!(parking.park(CallId::new(at), told.clone()).is_none(), "all are taken");
        drop(taken.remove(3));
        assert!(!parking.is_taken(4));
        assert_eq!(parking.park(CallId::new(at), told).map(|place| place.number()), Some(4));
    }
}
