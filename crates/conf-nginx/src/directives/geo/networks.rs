//! Networks of one family, in whatever order they come, and what remains of them as ranges.

use std::collections::BTreeMap;

use super::ValueId;

/// Networks with their values.
pub struct Networks {
    /// By first address and length of the prefix: an outer network stands before its inner ones.
    known: BTreeMap<(u128, u8), ValueId>,
    /// Bits of an address.
    width: u8,
    begun: bool,
}

impl Networks {
    /// No networks, of addresses with that many bits.
    pub fn new(width: u8) -> Networks {
        Networks { known: BTreeMap::new(), width, begun: false }
    }

    /// Whether there was ever a network to add or remove.
    pub fn begun(&self) -> bool {
        self.begun
    }

    /// Adds a network. If it was there already, its value is replaced, and the old value of its
    /// first address comes back.
    pub fn add(&mut self, address: u128, bits: u8, value: ValueId) -> Option<ValueId> {
        self.begun = true;
        if self.known.contains_key(&(address, bits)) {
            let old = self.smallest(address);
            self.known.insert((address, bits), value);
            return old;
        }
        self.known.insert((address, bits), value);
        None
    }

    /// Removes a network; false if it was not there.
    pub fn remove(&mut self, address: u128, bits: u8) -> bool {
        self.begun = true;
        self.known.remove(&(address, bits)).is_some()
    }

    fn smallest(&self, first: u128) -> Option<ValueId> {
        let same_start = self.known.range((first, 0)..=(first, self.width));
        same_start.last().map(|(_, value)| *value)
    }

    /// Where each range begins, and its value: that of the smallest network around it.
    pub fn ranges(&self) -> BTreeMap<u128, ValueId> {
        let mut starts = BTreeMap::from([(0, 0)]);
        // The networks around the address that the sweep has come to, the smallest last: the last
        // address and the value of each.
        let mut around: Vec<(u128, ValueId)> = Vec::new();
        for ((first, bits), value) in &self.known {
            self.leave(&mut around, &mut starts, Some(*first));
            starts.insert(*first, *value);
            around.push((first + self.size_less_one(*bits), *value));
        }
        self.leave(&mut around, &mut starts, None);
        starts
    }

    /// Ends the networks that `next` is not in; behind each its outer network goes on.
    fn leave(
        &self,
        around: &mut Vec<(u128, ValueId)>,
        starts: &mut BTreeMap<u128, ValueId>,
        next: Option<u128>,
    ) {
        while let Some((last, _)) = around.last().copied()
            && next.is_none_or(|next| last < next)
        {
            around.pop();
            let outer = around.last().map_or(0, |(_, value)| *value);
            if last < self.size_less_one(0) {
                starts.insert(last + 1, outer);
            }
        }
    }

    /// Addresses of a network, less one, which a whole family would not have room for.
    fn size_less_one(&self, bits: u8) -> u128 {
        let free = u32::from(self.width.saturating_sub(bits));
        1_u128.checked_shl(free).map_or(u128::MAX, |size| size - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(lines: &[(u128, u8, ValueId)]) -> Vec<(u128, ValueId)> {
        let mut networks = Networks::new(8);
        for (address, bits, value) in lines {
            networks.add(*address, *bits, *value);
        }
        networks.ranges().into_iter().collect()
    }

    #[test]
    fn the_smallest_network_wins_in_any_order() {
        let nested = [(0x40, 2, 1), (0x50, 4, 2), (0x58, 5, 3), (0x58, 8, 4)];
        let expected =
            vec![(0, 0), (0x40, 1), (0x50, 2), (0x58, 4), (0x59, 3), (0x60, 1), (0x80, 0)];
        assert_eq!(networks(&nested), expected);
        let mut turned = nested;
        turned.reverse();
        assert_eq!(networks(&turned), expected);
    }

    #[test]
    fn the_ends_of_the_family_are_reached_and_not_left() {
        assert_eq!(networks(&[]), [(0, 0)]);
        assert_eq!(networks(&[(0, 0, 7)]), [(0, 7)]);
        assert_eq!(networks(&[(0xff, 8, 1)]), [(0, 0), (0xff, 1)]);
        assert_eq!(networks(&[(0, 8, 1), (0x80, 1, 2)]), [(0, 1), (1, 0), (0x80, 2)]);
        let mut all = Networks::new(128);
        all.add(0, 0, 1);
        all.add(u128::MAX, 128, 2);
        assert_eq!(all.ranges().into_iter().collect::<Vec<_>>(), [(0, 1), (u128::MAX, 2)]);
    }

    #[test]
    fn every_address_has_the_value_of_the_smallest_network_it_is_in() {
        // A fixed sequence that looks like chance.
        let mut state = 1_u32;
        let mut next = |bound: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % bound
        };
        for _ in 0..300 {
            let mut known = Networks::new(8);
            for value in 1..=next(12) {
                let bits = next(9) as u8;
                let mask = 0xff_u32 << (8 - bits) & 0xff;
                known.add(u128::from(next(256) & mask), bits, value);
            }
            let ranges = known.ranges();
            for address in 0..256_u128 {
                let inside = known.known.iter().filter(|((first, bits), _)| {
                    (*first..=first + known.size_less_one(*bits)).contains(&address)
                });
                let expected = inside.max_by_key(|((_, bits), _)| *bits).map_or(0, |(_, v)| *v);
                let found = ranges.range(..=address).next_back().map(|(_, value)| *value);
                assert_eq!(found, Some(expected), "{address} in {:?}", known.known);
            }
        }
    }

    #[test]
    fn a_second_value_takes_the_place_of_the_first_and_what_is_removed_is_gone() {
        let mut known = Networks::new(8);
        assert!(!known.begun());
        assert!(!known.remove(0x40, 2) && known.begun());
        assert_eq!(known.add(0x40, 2, 1), None);
        assert_eq!(known.add(0x40, 2, 2), Some(1));
        assert_eq!(known.add(0x40, 3, 3), None);
        assert_eq!(known.add(0x40, 2, 4), Some(3));
        assert!(known.remove(0x40, 2));
        let ranges: Vec<_> = known.ranges().into_iter().collect();
        assert_eq!(ranges, [(0, 0), (0x40, 3), (0x60, 0)]);
    }
}
