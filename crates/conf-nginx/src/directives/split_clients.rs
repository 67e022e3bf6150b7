//! Variables that share clients out.

use plan::Template;
use plan::front::split_clients::{SplitPart, SplitPlan};

use crate::row::{BlockKind, Fault, HTTP, Outcome, Row, TWO, block};
use crate::walk::Call;

/// The rows.
pub const ROWS: &[Row] = &[block(
    "split_clients",
    HTTP,
    TWO,
    "a variable that gives each client one of several values, by shares",
    BlockKind::SplitClients,
)];

/// All clients, in hundredths of a percent.
const ALL: u64 = 10_000;

/// A `split_clients` block while its lines are read.
#[derive(Default)]
pub struct SplitDraft {
    /// Share in hundredths of a percent, `None` for `*`, and value.
    parts: Vec<(Option<u64>, String)>,
}

impl SplitDraft {
    /// Takes one line of the block; its first word is the directive's name.
    pub fn entry(&mut self, call: &mut Call<'_, '_>) -> Outcome {
        let share = call.directive.name();
        let part = match share {
            "*" => None,
            _ => {
                let invalid = || Fault::Says(0, format!("invalid percent value \"{share}\""));
                Some(hundredths(share).ok_or_else(invalid)?)
            }
        };
        if call.args().len() != 1 {
            let message = format!("invalid number of values for \"{share}\"");
            return Err(Fault::Hinted(0, message, "one value follows each share".to_owned()));
        }
        self.parts.push((part, call.arg(0).to_owned()));
        Ok(())
    }

    /// The block, ready for use; `None` if more is given out than there is.
    pub fn plan(self, source: Template) -> Option<SplitPlan> {
        let (mut sum, mut below) = (0_u64, 0_u32);
        let mut parts = Vec::with_capacity(self.parts.len());
        for (share, value) in self.parts {
            sum = share.map_or(Some(ALL), |share| sum.checked_add(share))?;
            if sum > ALL {
                return None;
            }
            // Each share is rounded down by itself, as nginx does it: a client must not change
            // sides with the server.
            let width = |share: u64| (share * u64::from(u32::MAX) / ALL) as u32;
            below = below.saturating_add(share.map_or(0, width));
            // What rounding leaves is the last one's, as with nginx since 1.31.2.
            parts.push(SplitPart { below: (sum < ALL).then_some(below), value });
        }
        Some(SplitPlan { source, parts })
    }
}

/// `12.34%` as a number above zero.
fn hundredths(text: &str) -> Option<u64> {
    let number = text.strip_suffix('%')?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 2 {
        return None;
    }
    let digits = format!("{whole}{fraction:0<2}");
    digits.parse().ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(parts: &[(Option<u64>, &str)]) -> Option<Vec<Option<u32>>> {
        let parts = parts.iter().map(|(share, value)| (*share, (*value).to_owned())).collect();
        let plan = SplitDraft { parts }.plan(Template::default())?;
        Some(plan.parts.iter().map(|part| part.below).collect())
    }

    #[test]
    fn shares_have_two_decimals_at_most_and_are_above_zero() {
        for (text, number) in [
            ("50%", Some(5000)),
            ("0.5%", Some(50)),
            (".5%", Some(50)),
            ("5.%", Some(500)),
            ("33.33%", Some(3333)),
            ("0%", None),
            ("0.001%", None),
            ("%", None),
            (".%", None),
            ("-5%", None),
            ("+5%", None),
            ("5.5.5%", None),
            ("50", None),
            ("99999999999999999999%", None),
        ] {
            assert_eq!(hundredths(text), number, "{text}");
        }
    }

    #[test]
    fn no_more_than_everything_is_given_out() {
        let half = Some(5000);
        assert_eq!(plan(&[(half, "a"), (half, "b")]), Some(vec![Some(0x7fff_ffff), None]));
        let parts = [(half, "a"), (Some(2500), "b"), (Some(2499), "c")];
        let below = [0x7fff_ffff, 0xbfff_fffe, 0xfff9_7245];
        assert_eq!(plan(&parts), Some(below.map(Some).to_vec()));
        assert_eq!(plan(&[(Some(10_000), "a"), (None, "b")]), Some(vec![None, None]));
        assert_eq!(plan(&[(None, "a"), (None, "b")]), Some(vec![None, None]));
        assert_eq!(plan(&[(half, "a"), (Some(5001), "b")]), None);
        assert_eq!(plan(&[(None, "a"), (half, "b")]), None);
        assert_eq!(plan(&[(Some(u64::MAX), "a"), (half, "b")]), None);
    }
}
