//! Where the boxes and lines of a picture go: a graph laid out in rows, top down, after Sugiyama, Tagawa and Toda (1981).
//!
//! Lines that would go up are turned round while rows are chosen; lines that skip rows get a place in each row that they
//! pass, so that they go around boxes; the order within a row follows the neighbours' places; then each box moves to
//! the middle of its neighbours as far as there is room.

use std::collections::{BTreeMap, BTreeSet};

/// A box's width, in the picture's units.
pub const WIDTH: i32 = 212;
/// A box's height.
pub const HEIGHT: i32 = 66;
/// Between boxes of a row.
const GAP: i32 = 24;
/// Between rows: room for the words on lines.
const ROOM: i32 = 84;
/// Around everything.
const EDGE: i32 = 16;
/// The width that a passing line keeps free.
const LANE: i32 = 28;
/// A line of words.
const LABEL_HEIGHT: i32 = 15;
/// How often orders and places are refined.
const SWEEPS: usize = 12;

/// A point of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// From the left.
    pub x: i32,
    /// From the top.
    pub y: i32,
}

/// A line from box to box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The box where it begins.
    pub from: usize,
    /// The box where it ends.
    pub to: usize,
    /// Its bends, first and last on the boxes' edges.
    pub points: Vec<Point>,
}

/// The picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Each box's upper left corner.
    pub boxes: Vec<Point>,
    /// The lines, in the order of the edges.
    pub lines: Vec<Line>,
    /// Of the whole.
    pub width: i32,
    /// Of the whole.
    pub height: i32,
}

/// Something that takes a place in a row: a box, or a line that passes.
#[derive(Clone, Copy, Debug)]
struct Spot {
    width: i32,
    row: usize,
}

/// Lays out `count` boxes with `edges` between them (each pair once; other edges are drawn over each other). Box 0 is
/// the beginning. The same graph gives the same picture.
pub fn lay_out(count: usize, edges: &[(usize, usize)]) -> Layout {
    let forward = forward(count, edges);
    let rows = rows(count, &forward);
    let mut spots: Vec<Spot> = rows.iter().map(|row| Spot { width: WIDTH, row: *row }).collect();
    // Each edge as the spots that it goes through, downward; no spots between for the ones to itself.
    let chains: Vec<Vec<usize>> = forward
        .iter()
        .map(|(above, below)| {
            let mut chain = vec![*above];
            for row in rows[*above] + 1..rows[*below] {
                chain.push(spots.len());
                spots.push(Spot { width: LANE, row });
            }
            chain.push(*below);
            chain
        })
        .collect();
    let (mut up, mut down): (Vec<Vec<usize>>, Vec<Vec<usize>>) = (vec![vec![]; spots.len()], vec![vec![]; spots.len()]);
    for (a, b) in
        chains.iter().flat_map(|chain| chain.windows(2).map(|pair| (pair[0], pair[1]))).filter(|(a, b)| a != b)
    {
        down[a].push(b);
        up[b].push(a);
    }
    let mut table: Vec<Vec<usize>> = vec![vec![]; spots.iter().map(|spot| spot.row + 1).max().unwrap_or_default()];
    for (spot, place) in spots.iter().enumerate().map(|(at, spot)| (at, spot.row)) {
        table[place].push(spot);
    }
    order(&mut table, &up, &down);
    let middles = places(&table, &spots, &up, &down);
    draw(edges, &chains, &spots, &middles, count)
}

/// The edges with those turned round that would close a circle. One from a box to itself stays.
fn forward(count: usize, edges: &[(usize, usize)]) -> Vec<(usize, usize)> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        No,
        Open,
        Done,
    }
    let mut next: Vec<Vec<usize>> = vec![vec![]; count];
    edges.iter().for_each(|(from, to)| next[*from].push(*to));
    let (mut seen, mut back) = (vec![Seen::No; count], BTreeSet::new());
    for root in 0..count {
        // By hand, since a tree may be deeper than the stack.
        let mut stack = vec![(root, 0)];
        while let Some((node, at)) = stack.pop() {
            if at == 0 && seen[node] != Seen::No {
                continue;
            }
            seen[node] = Seen::Open;
            match next[node].get(at) {
                Some(to) => {
                    stack.push((node, at + 1));
                    match seen[*to] {
                        Seen::No => stack.push((*to, 0)),
                        Seen::Open => drop(back.insert((node, *to))),
                        Seen::Done => {}
                    }
                }
                None => seen[node] = Seen::Done,
            }
        }
    }
    edges.iter().map(|edge| if back.contains(edge) { (edge.1, edge.0) } else { *edge }).collect()
}

/// Each box's row: below everything that leads to it.
fn rows(count: usize, forward: &[(usize, usize)]) -> Vec<usize> {
    let mut rows = vec![0; count];
    // There are no circles, so that the longest way has fewer steps than there are boxes.
    for _ in 0..count {
        let mut moved = false;
        for (above, below) in forward.iter().filter(|(a, b)| a != b) {
            if rows[*below] <= rows[*above] {
                rows[*below] = rows[*above] + 1;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    rows
}

/// Orders each row by the middle of its neighbours' places in the row before, down and up in turn.
fn order(table: &mut [Vec<usize>], up: &[Vec<usize>], down: &[Vec<usize>]) {
    for sweep in 0..SWEEPS {
        let downward = sweep % 2 == 0;
        let neighbours = if downward { up } else { down };
        let rows: Vec<usize> =
            if downward { (1..table.len()).collect() } else { (0..table.len().saturating_sub(1)).rev().collect() };
        for row in rows {
            let beside = if downward { row - 1 } else { row + 1 };
            let place: BTreeMap<usize, usize> =
                table[beside].iter().enumerate().map(|(at, spot)| (*spot, at)).collect();
            let keyed = |(at, spot): (usize, &usize)| {
                let near: Vec<usize> = neighbours[*spot].iter().filter_map(|other| place.get(other).copied()).collect();
                // In thousandths, since whole numbers sort the same everywhere; who has no neighbour stays.
                let key = if near.is_empty() { at * 1_000 } else { near.iter().sum::<usize>() * 1_000 / near.len() };
                (key, at, *spot)
            };
            let mut sorted: Vec<_> = table[row].iter().enumerate().map(keyed).collect();
            sorted.sort_unstable();
            table[row] = sorted.into_iter().map(|(_, _, spot)| spot).collect();
        }
    }
}

/// Each spot's middle, from the left.
fn places(table: &[Vec<usize>], spots: &[Spot], up: &[Vec<usize>], down: &[Vec<usize>]) -> Vec<i32> {
    let mut middles = vec![0; spots.len()];
    for row in table {
        pack(row, spots, &mut middles, &row.iter().map(|_| 0).collect::<Vec<_>>());
    }
    for sweep in 0..SWEEPS {
        let neighbours = if sweep % 2 == 0 { up } else { down };
        let rows: Vec<&Vec<usize>> = if sweep % 2 == 0 { table.iter().collect() } else { table.iter().rev().collect() };
        for row in rows {
            let wished: Vec<i32> = row
                .iter()
                .map(|spot| {
                    let near = &neighbours[*spot];
                    let sum: i32 = near.iter().map(|other| middles[*other]).sum();
                    if near.is_empty() { middles[*spot] } else { sum / near.len() as i32 }
                })
                .collect();
            pack(row, spots, &mut middles, &wished);
        }
    }
    let left = (0..spots.len()).map(|spot| middles[spot] - spots[spot].width / 2).min().unwrap_or_default();
    middles.iter().map(|middle| middle - left + EDGE).collect()
}

/// Puts a row's spots where they wish to be, in their order and apart from each other.
fn pack(row: &[usize], spots: &[Spot], middles: &mut [i32], wished: &[i32]) {
    let apart = |a: usize, b: usize| (spots[a].width + spots[b].width) / 2 + GAP;
    let mut placed: Vec<i32> = Vec::with_capacity(row.len());
    for (at, spot) in row.iter().enumerate() {
        let least = at.checked_sub(1).map_or(i32::MIN, |before| placed[before] + apart(row[before], *spot));
        placed.push(wished[at].max(least));
    }
    // Whoever was pushed right pulls the row back to where it wished to be on the whole.
    let pushed: i32 = placed.iter().zip(wished).map(|(is, wish)| is - wish).sum();
    let back = pushed / (row.len().max(1) as i32);
    for (spot, middle) in row.iter().zip(placed) {
        middles[*spot] = middle - back;
    }
}

fn draw(edges: &[(usize, usize)], chains: &[Vec<usize>], spots: &[Spot], middles: &[i32], count: usize) -> Layout {
    let top = |spot: usize| EDGE + spots[spot].row as i32 * (HEIGHT + ROOM);
    let boxes: Vec<Point> = (0..count).map(|at| Point { x: middles[at] - WIDTH / 2, y: top(at) }).collect();
    // Lines leave and reach a box side by side, in the order of where they come from and go to.
    let mut below: BTreeMap<usize, Vec<(i32, usize)>> = BTreeMap::new();
    let mut above: BTreeMap<usize, Vec<(i32, usize)>> = BTreeMap::new();
    for (at, chain) in chains.iter().enumerate().filter(|(_, chain)| chain[0] != chain[chain.len() - 1]) {
        below.entry(chain[0]).or_default().push((middles[chain[1]], at));
        above.entry(chain[chain.len() - 1]).or_default().push((middles[chain[chain.len() - 2]], at));
    }
    below.values_mut().chain(above.values_mut()).for_each(|list| list.sort_unstable());
    let port = |list: Option<&Vec<(i32, usize)>>, spot: usize, line: usize| {
        let list = list.map_or(&[][..], Vec::as_slice);
        let at = list.iter().position(|(_, other)| *other == line).unwrap_or_default() as i32 + 1;
        middles[spot] - WIDTH / 2 + WIDTH * at / (list.len() as i32 + 1)
    };
    let lines = edges.iter().zip(chains).enumerate().map(|(line, ((from, to), chain))| {
        if from == to {
            let (x, y) = (boxes[*from].x + WIDTH, boxes[*from].y);
            let bend = GAP / 2;
            let points = vec![
                Point { x, y: y + HEIGHT / 3 },
                Point { x: x + bend, y: y + HEIGHT / 3 },
                Point { x: x + bend, y: y + 2 * HEIGHT / 3 },
                Point { x, y: y + 2 * HEIGHT / 3 },
            ];
            return Line { from: *from, to: *to, points };
        }
        let (first, last) = (chain[0], chain[chain.len() - 1]);
        let mut points = vec![Point { x: port(below.get(&first), first, line), y: top(first) + HEIGHT }];
        for spot in &chain[1..chain.len() - 1] {
            points.push(Point { x: middles[*spot], y: top(*spot) });
            points.push(Point { x: middles[*spot], y: top(*spot) + HEIGHT });
        }
        points.push(Point { x: port(above.get(&last), last, line), y: top(last) });
        if first != *from {
            points.reverse();
        }
        Line { from: *from, to: *to, points }
    });
    let right = (0..spots.len()).map(|spot| middles[spot] + spots[spot].width / 2).max().unwrap_or_default();
    let bottom = (0..count).map(|at| top(at) + HEIGHT).max().unwrap_or_default();
    Layout { lines: lines.collect(), boxes, width: right + EDGE, height: bottom + EDGE }
}

/// Where the words on lines go, each with its width: the middle of each, on its line's first piece, and where possible
/// apart from the others.
pub fn label(layout: &Layout, widths: &[i32]) -> Vec<Point> {
    let mut placed: Vec<(Point, i32)> = vec![];
    for (line, width) in layout.lines.iter().zip(widths) {
        let (a, b) = (line.points[0], line.points[1]);
        let on = |part: i32| Point { x: a.x + (b.x - a.x) * part / 100, y: a.y + (b.y - a.y) * part / 100 };
        let free = |point: &Point| {
            let apart = |(other, theirs): &(Point, i32)| {
                (point.x - other.x).abs() > (width + theirs) / 2 + 4 || (point.y - other.y).abs() >= LABEL_HEIGHT
            };
            placed.iter().all(|other| *width == 0 || other.1 == 0 || apart(other))
        };
        let tried = [35, 50, 65, 22, 78].map(on);
        let point = tried.into_iter().find(free).unwrap_or(tried[0]);
        placed.push((point, *width));
    }
    placed.into_iter().map(|(point, _)| point).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn overlap(a: Point, b: Point) -> bool {
        (a.x - b.x).abs() < WIDTH && (a.y - b.y).abs() < HEIGHT
    }

    /// Whether a line's straight piece goes through the inside of a box.
    fn crosses(a: Point, b: Point, corner: Point) -> bool {
        (1..40).any(|step| {
            let (x, y) = (a.x + (b.x - a.x) * step / 40, a.y + (b.y - a.y) * step / 40);
            x > corner.x && x < corner.x + WIDTH && y > corner.y && y < corner.y + HEIGHT
        })
    }

    fn good(count: usize, edges: &[(usize, usize)]) -> Layout {
        let layout = lay_out(count, edges);
        assert_eq!(layout, lay_out(count, edges), "the same graph gave two pictures");
        assert_eq!((layout.boxes.len(), layout.lines.len()), (count, edges.len()));
        for (at, one) in layout.boxes.iter().enumerate() {
            assert!(one.x >= 0 && one.y >= 0 && one.x + WIDTH <= layout.width && one.y + HEIGHT <= layout.height);
            for other in &layout.boxes[at + 1..] {
                assert!(!overlap(*one, *other), "{layout:?}");
            }
        }
        for (line, (from, to)) in layout.lines.iter().zip(edges) {
            assert_eq!((line.from, line.to), (*from, *to));
            let on = |corner: Point, point: Point| {
                (corner.x..=corner.x + WIDTH).contains(&point.x) && (corner.y..=corner.y + HEIGHT).contains(&point.y)
            };
            assert!(on(layout.boxes[*from], line.points[0]), "{line:?}");
            assert!(on(layout.boxes[*to], line.points[line.points.len() - 1]), "{line:?}");
            for pair in line.points.windows(2) {
                for corner in &layout.boxes {
                    assert!(!crosses(pair[0], pair[1], *corner), "{line:?} goes through {corner:?}");
                }
            }
        }
        layout
    }

    #[test]
    fn what_follows_stands_below() {
        let layout = good(4, &[(0, 1), (0, 2), (1, 3), (2, 3), (0, 3)]);
        let y = |at: usize| layout.boxes[at].y;
        assert!(y(0) < y(1) && y(1) == y(2) && y(2) < y(3));
    }

    #[test]
    fn a_way_back_is_drawn_upward_and_one_to_itself_beside_the_box() {
        let layout = good(3, &[(0, 1), (1, 2), (2, 1), (1, 1)]);
        let back = &layout.lines[2].points;
        assert!(back[0].y > back[back.len() - 1].y, "{back:?}");
        assert!(layout.lines[3].points.iter().all(|point| point.x >= layout.boxes[1].x + WIDTH));
    }

    #[test]
    fn words_on_lines_keep_apart() {
        let layout = good(5, &[(0, 1), (0, 2), (0, 3), (0, 4)]);
        let points = label(&layout, &[90, 90, 90, 0]);
        for (at, one) in points[..3].iter().enumerate() {
            for other in &points[at + 1..3] {
                assert!((one.x - other.x).abs() > 90 || (one.y - other.y).abs() >= LABEL_HEIGHT, "{points:?}");
            }
        }
        assert_eq!(points.len(), 4);
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert_eq!(lay_out(0, &[]).boxes, []);
        good(1, &[]);
    }

    proptest! {
        #[test]
        fn no_two_boxes_overlap_and_every_edge_is_drawn(
            count in 1usize..24,
            pairs in proptest::collection::btree_set((0usize..24, 0usize..24), 0..60),
        ) {
            let edges: Vec<(usize, usize)> = pairs.into_iter().filter(|(a, b)| *a < count && *b < count).collect();
            good(count, &edges);
        }
    }
}
