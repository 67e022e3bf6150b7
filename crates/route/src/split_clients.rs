//! `split_clients` blocks.

use plan::front::split_clients::SplitPlan;

/// The value for a client that is known by a text; empty if no part has it.
pub fn choose<'p>(plan: &'p SplitPlan, text: &[u8]) -> &'p str {
    let hash = murmur2(text);
    let part = plan.parts.iter().find(|part| part.below.is_none_or(|below| hash < below));
    part.map_or("", |part| &part.value)
}

/// Multiplier of MurmurHash2.
const MIX: u32 = 0x5bd1_e995;

/// MurmurHash2 of Austin Appleby with the seed 0, four bytes at a time from the lowest: what nginx
/// documents for `split_clients`, so a client has the same value with both.
fn murmur2(text: &[u8]) -> u32 {
    // The length counts modulo 2^32 in the original.
    let mut hash = text.len() as u32;
    let (words, rest) = text.as_chunks::<4>();
    for word in words {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(MIX);
        word ^= word >> 24;
        hash = hash.wrapping_mul(MIX) ^ word.wrapping_mul(MIX);
    }
    if !rest.is_empty() {
        let last = rest.iter().rev().fold(0, |last, byte| last << 8 | u32::from(*byte));
        hash = (hash ^ last).wrapping_mul(MIX);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(MIX);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use plan::Template;
    use plan::front::split_clients::SplitPart;

    use super::*;

    #[test]
    fn the_first_part_that_has_the_hash_gives_the_value() {
        let part = |below, value: &str| SplitPart { below, value: value.to_owned() };
        let hash = murmur2(b"client");
        let plan = |parts| SplitPlan { source: Template::default(), parts };
        assert_eq!(choose(&plan(vec![]), b"client"), "");
        assert_eq!(choose(&plan(vec![part(Some(hash), "a")]), b"client"), "");
        let parts = vec![part(Some(hash), "a"), part(Some(hash + 1), "b"), part(None, "c")];
        assert_eq!(choose(&plan(parts.clone()), b"client"), "b");
        assert_eq!(choose(&plan(parts[..1].to_vec()), b"client"), "");
        assert_eq!(choose(&plan(vec![part(None, "c"), part(None, "d")]), b"client"), "c");
    }
}
