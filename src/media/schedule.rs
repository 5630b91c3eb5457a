//! When to send: a grid of points in time at start + n × 10 ms, so that no delay ever adds up.

use std::time::Duration;

/// The distance of two points: the shortest packet time that we serve. Usually only every second one is used.
pub const STEP: Duration = Duration::from_millis(10);

/// Which point comes next. Points are numbered; nothing here asks what time it is.
#[derive(Clone, Debug)]
pub struct Grid {
    origin: Duration,
    next: u64,
    fine: bool,
}

/// It is time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// The latest point that has been reached; each call catches up from the one that it sent last.
    pub point: u64,
    /// How long ago the point was reached that was waited for.
    pub late: Duration,
}

impl Grid {
    /// A grid that begins at `now`.
    pub fn new(now: Duration) -> Grid {
        Grid { origin: now, next: 0, fine: false }
    }

    /// Whether every point is used or every second one: for packet times of 10, 30 and 50 ms.
    pub fn set_fine(&mut self, fine: bool) {
        self.fine = fine;
        self.next = self.aligned(self.next);
    }

    /// When the next point is reached.
    pub fn deadline(&self) -> Duration {
        self.origin.saturating_add(at(self.next))
    }

    /// The first point from now on at which packets of `steps` points may be sent.
    pub fn first_for(&self, steps: u64) -> u64 {
        if steps.is_multiple_of(2) { self.next.next_multiple_of(2) } else { self.next }
    }

    /// The tick, if the next point has been reached. Points that were missed are left out.
    pub fn due(&mut self, now: Duration) -> Option<Tick> {
        let late = now.checked_sub(self.deadline())?;
        let passed = u64::try_from(late.as_millis() / STEP.as_millis()).unwrap_or(0);
        let point = if self.fine { self.next + passed } else { self.next + passed / 2 * 2 };
        self.next = self.aligned(point + 1);
        Some(Tick { point, late })
    }

    fn aligned(&self, point: u64) -> u64 {
        if self.fine { point } else { point.next_multiple_of(2) }
    }
}

fn at(point: u64) -> Duration {
    Duration::from_millis(point.saturating_mul(STEP.as_millis() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn waking_late_does_not_move_the_grid() {
        let mut grid = Grid::new(ms(1_000));
        assert_eq!(grid.due(ms(999)), None);
        for n in 0..1_000u64 {
            let late = ms(n % 19);
            assert_eq!(grid.deadline(), ms(1_000 + n * 20));
            assert_eq!(grid.due(ms(1_000 + n * 20) + late), Some(Tick { point: n * 2, late }));
        }
    }

    #[test]
    fn missed_points_are_left_out() {
        let mut grid = Grid::new(ms(0));
        assert_eq!(grid.due(ms(105)), Some(Tick { point: 10, late: ms(105) }));
        assert_eq!(grid.deadline(), ms(120));
    }

    #[test]
    fn a_fine_grid_uses_every_point_and_returns_to_even_ones() {
        let mut grid = Grid::new(ms(0));
        grid.due(ms(0));
        grid.set_fine(true);
        assert_eq!(grid.first_for(3), 2);
        grid.due(ms(20));
        assert_eq!(grid.deadline(), ms(30));
        assert_eq!((grid.first_for(1), grid.first_for(2)), (3, 4));
        grid.set_fine(false);
        assert_eq!(grid.deadline(), ms(40));
    }

    proptest! {
        #[test]
        fn ticks_keep_to_the_grid_whatever_the_delays(delays in proptest::collection::vec(0u64..200, 1..100)) {
            let mut grid = Grid::new(ms(0));
            let mut now = ms(0);
            let mut last = None;
            for delay in delays {
                now = now.max(grid.deadline()) + ms(delay);
                let tick = grid.due(now).unwrap();
                prop_assert!(last.is_none_or(|last| tick.point > last));
                prop_assert!(tick.point.is_multiple_of(2));
                prop_assert!(at(tick.point) <= now && now < at(tick.point) + ms(20));
                last = Some(tick.point);
            }
        }
    }
}
