//! Ranges of IPv4 addresses. A later one may stand inside an earlier one, and may not cross its
//! ends.

use std::collections::BTreeMap;

use super::ValueId;

/// nginx keeps ranges in pieces of this many addresses and compares piece by piece, so two ranges
/// that cross exactly there do not overlap for it.
const PIECE: u32 = 1 << 16;

/// Ranges with their values.
#[derive(Default)]
pub struct Ranges {
    /// By first address: last address and value. None reaches over the end of a piece.
    known: BTreeMap<u32, (u32, ValueId)>,
}

/// What is strange about a range.
#[derive(Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It, or a piece of it, was there already, with this value.
    Replaced(ValueId),
    /// It crosses an end of this one, and was not added whole.
    Overlaps(u32, u32),
}

impl Ranges {
    /// Adds a range.
    pub fn add(&mut self, first: u32, last: u32, value: ValueId) -> Option<Trouble> {
        let mut trouble = None;
        for (first, last) in pieces(first, last) {
            match self.add_piece(first, last, value) {
                Some(Trouble::Replaced(old)) => trouble = Some(Trouble::Replaced(old)),
                Some(overlap) => return Some(overlap),
                None => {}
            }
        }
        trouble
    }

    fn add_piece(&mut self, first: u32, last: u32, value: ValueId) -> Option<Trouble> {
        let below = self.known.range(..=last).next_back();
        let around = below.map(|(start, (end, outer))| (*start, *end, *outer));
        let around = around.filter(|(_, end, _)| *end >= first);
        let old = match around {
            None => None,
            Some((start, end, _)) if start > first || end < last => {
                return Some(Trouble::Overlaps(start, end));
            }
            Some((start, end, outer)) => {
                if start < first {
                    self.known.insert(start, (first - 1, outer));
                }
                if end > last {
                    self.known.insert(last + 1, (end, outer));
                }
                (start == first && end == last).then_some(outer)
            }
        };
        self.known.insert(first, (last, value));
        old.map(Trouble::Replaced)
    }

    /// Removes a range; false if not every piece of it was there just so.
    pub fn remove(&mut self, first: u32, last: u32) -> bool {
        let mut whole = true;
        for (first, last) in pieces(first, last) {
            match self.known.get(&first) {
                Some((end, _)) if *end == last => {
                    self.known.remove(&first);
                }
                _ => whole = false,
            }
        }
        whole
    }

    /// Where each range begins, with what is between them.
    pub fn ranges(&self, default: ValueId) -> BTreeMap<u128, ValueId> {
        let mut starts = BTreeMap::from([(0, default)]);
        for (first, (last, value)) in &self.known {
            starts.insert(u128::from(*first), *value);
            starts.insert(u128::from(*last) + 1, default);
        }
        starts
    }
}

fn pieces(first: u32, last: u32) -> impl Iterator<Item = (u32, u32)> {
    let numbers = first / PIECE..=last / PIECE;
    numbers.map(move |number| {
        let start = number * PIECE;
        (first.max(start), last.min(start + (PIECE - 1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(ranges: &Ranges) -> Vec<(u128, ValueId)> {
        ranges.ranges(9).into_iter().collect()
    }

    #[test]
    fn a_range_inside_another_cuts_it() {
        let mut ranges = Ranges::default();
        assert_eq!(ranges.add(10, 20, 1), None);
        assert_eq!(ranges.add(12, 13, 2), None);
        assert_eq!(ranges.add(16, 20, 3), None);
        assert_eq!(ranges.add(10, 10, 4), None);
        assert_eq!(listed(&ranges), [(0, 9), (10, 4), (11, 1), (12, 2), (14, 1), (16, 3), (21, 9)]);
        assert_eq!(ranges.add(12, 13, 5), Some(Trouble::Replaced(2)));
        assert!(ranges.remove(12, 13) && !ranges.remove(12, 13) && !ranges.remove(14, 19));
        assert_eq!(listed(&ranges), [(0, 9), (10, 4), (11, 1), (12, 9), (14, 1), (16, 3), (21, 9)]);
    }

    #[test]
    fn a_range_across_the_end_of_another_is_refused_unless_a_piece_ends_there() {
        let mut ranges = Ranges::default();
        ranges.add(10, 20, 1);
        assert_eq!(ranges.add(15, 25, 2), Some(Trouble::Overlaps(10, 20)));
        assert_eq!(ranges.add(5, 30, 2), Some(Trouble::Overlaps(10, 20)));
        assert_eq!(ranges.add(5, 10, 2), Some(Trouble::Overlaps(10, 20)));
        assert_eq!(ranges.add(21, PIECE * 3 - 1, 3), None);
        assert_eq!(ranges.add(PIECE, PIECE * 4, 4), Some(Trouble::Replaced(3)));
        let expected = [(0, 9), (10, 1), (21, 3), (65536, 4), (262_145, 9)];
        let mut found = listed(&ranges);
        found.dedup_by_key(|(_, value)| *value);
        assert_eq!(found, expected);
        assert_eq!(ranges.add(u32::MAX - 1, u32::MAX - 1, 1), None);
    }
}
