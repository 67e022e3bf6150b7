//! Variables made of addresses.

mod networks;
mod ranges;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use plan::Variable;
use plan::front::RealIpPlan;
use plan::front::geo::{GeoPlan, GeoRanges};
use plan::front::rewrite::AccessWho;

use super::access::network;
use crate::row::{BlockKind, Fault, HTTP, ONE_OR_TWO, Outcome, Row, block};
use crate::walk::Call;

use networks::Networks;
use ranges::{Ranges, Trouble};

/// The rows.
pub const ROWS: &[Row] =
    &[block("geo", HTTP, ONE_OR_TWO, "a variable that depends on an address", BlockKind::Geo)];

/// Number of a value; the first one is the empty text.
type ValueId = u32;

/// A `geo` block while its entries are read.
#[derive(Default)]
pub struct GeoDraft {
    proxies: Vec<AccessWho>,
    recursive: bool,
    values: Values,
    entries: Entries,
}

/// What the block lists.
enum Entries {
    /// Networks, IPv4 and IPv6.
    Networks(Networks, Networks),
    /// IPv4 ranges, and the value of everything else.
    Ranges(Ranges, Option<ValueId>),
}

impl Default for Entries {
    fn default() -> Entries {
        Entries::Networks(Networks::new(32), Networks::new(128))
    }
}

/// The texts, each once.
struct Values {
    texts: Vec<String>,
    ids: HashMap<String, ValueId>,
}

impl Default for Values {
    fn default() -> Values {
        Values { texts: vec![String::new()], ids: HashMap::from([(String::new(), 0)]) }
    }
}

impl Values {
    fn id(&mut self, text: &str) -> ValueId {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        // A configuration has fewer statements than a number of this size can count.
        let id = self.texts.len() as ValueId;
        self.ids.insert(text.to_owned(), id);
        self.texts.push(text.to_owned());
        id
    }

    fn text(&self, id: ValueId) -> &str {
        self.texts.get(id as usize).map_or("", String::as_str)
    }
}

impl GeoDraft {
    /// Takes one line of the block; its first word is the directive's name.
    pub fn entry(&mut self, call: &mut Call<'_, '_>) -> Outcome {
        let key = call.directive.name();
        match (key, call.args().len()) {
            ("ranges", 0) => return self.begin_ranges(),
            ("proxy_recursive", 0) => {
                self.recursive = true;
                return Ok(());
            }
            // Values are not remembered between two looks anyway.
            ("volatile", 0) => return Ok(()),
            (_, 1) => {}
            _ => return Err(Fault::Says(0, "invalid number of the geo parameters".to_owned())),
        }
        if key == "proxy" {
            self.proxies.push(parsed(call, 1)?);
            return Ok(());
        }
        match self.entries {
            Entries::Networks(..) => self.network(call),
            Entries::Ranges(..) => self.range(call),
        }
    }

    fn begin_ranges(&mut self) -> Outcome {
        match &self.entries {
            Entries::Networks(ipv4, ipv6) if ipv4.begun() || ipv6.begun() => {
                let message = "the \"ranges\" directive must be the first directive inside \"geo\" \
                    block";
                return Err(Fault::Says(0, message.to_owned()));
            }
            Entries::Networks(..) => self.entries = Entries::Ranges(Ranges::default(), None),
            Entries::Ranges(..) => {}
        }
        Ok(())
    }

    fn network(&mut self, call: &mut Call<'_, '_>) -> Outcome {
        let Entries::Networks(ipv4, ipv6) = &mut self.entries else { return Ok(()) };
        let (key, value) = (call.directive.name(), call.arg(0));
        if key == "delete" {
            let found = match parsed(call, 1)? {
                AccessWho::Network(IpAddr::V4(address), bits) => {
                    ipv4.remove(address.to_bits().into(), bits)
                }
                AccessWho::Network(IpAddr::V6(address), bits) => {
                    ipv6.remove(address.to_bits(), bits)
                }
                AccessWho::All | AccessWho::Unix => false,
            };
            if !found {
                let message = format!("no network \"{value}\" to delete");
                call.run.warning(call.directive.at_word(1), message);
            }
            return Ok(());
        }
        let network = if key == "default" { None } else { Some(parsed(call, 0)?) };
        let id = self.values.id(value);
        let old = match network {
            Some(AccessWho::Network(IpAddr::V4(address), bits)) => {
                ipv4.add(address.to_bits().into(), bits, id)
            }
            Some(AccessWho::Network(IpAddr::V6(address), bits)) => {
                ipv6.add(address.to_bits(), bits, id)
            }
            // The default of both families; one warning says enough.
            _ => ipv4.add(0, 0, id).into_iter().chain(ipv6.add(0, 0, id)).next(),
        };
        if let Some(old) = old {
            let old = self.values.text(old);
            let message =
                format!("duplicate network \"{key}\", value: \"{value}\", old value: \"{old}\"");
            call.run.warning(call.directive.at(), message);
        }
        Ok(())
    }

    fn range(&mut self, call: &mut Call<'_, '_>) -> Outcome {
        let Entries::Ranges(ranges, default) = &mut self.entries else { return Ok(()) };
        let (key, value) = (call.directive.name(), call.arg(0));
        if key == "default" {
            if let Some(old) = default.replace(self.values.id(value)) {
                let old = self.values.text(old);
                let message =
                    format!("duplicate default geo range value: \"{value}\", old value: \"{old}\"");
                call.run.warning(call.directive.at(), message);
            }
            return Ok(());
        }
        let word = usize::from(key == "delete");
        let text = if key == "delete" { value } else { key };
        let invalid = || Fault::Says(word, format!("invalid range \"{text}\""));
        let (first, last) = ends(text).ok_or_else(invalid)?;
        if key == "delete" {
            if !ranges.remove(first, last) {
                let message = format!("no address range \"{text}\" to delete");
                call.run.warning(call.directive.at_word(1), message);
            }
            return Ok(());
        }
        match ranges.add(first, last, self.values.id(value)) {
            None => Ok(()),
            Some(Trouble::Replaced(old)) => {
                let old = self.values.text(old);
                let message =
                    format!("duplicate range \"{text}\", value: \"{value}\", old value: \"{old}\"");
                call.run.warning(call.directive.at(), message);
                Ok(())
            }
            Some(Trouble::Overlaps(start, end)) => {
                let (start, end) = (Ipv4Addr::from_bits(start), Ipv4Addr::from_bits(end));
                Err(Fault::Says(0, format!("range \"{text}\" overlaps \"{start}-{end}\"")))
            }
        }
    }

    /// The block, ready for looking up.
    pub fn plan(self, address: Option<Variable>) -> GeoPlan {
        let GeoDraft { proxies, recursive, values, entries } = self;
        let proxies = (!proxies.is_empty()).then(|| {
            let field = "X-Forwarded-For".to_owned();
            Box::new(RealIpPlan { trusted: proxies, field, is_list: true, recursive })
        });
        let (ipv4, ipv6) = match entries {
            Entries::Networks(ipv4, ipv6) => (ipv4.ranges(), ipv6.ranges()),
            // Ranges are of IPv4 alone.
            Entries::Ranges(ranges, default) => {
                let default = default.unwrap_or(0);
                (ranges.ranges(default), BTreeMap::from([(0, default)]))
            }
        };
        GeoPlan {
            address,
            proxies,
            values: values.texts,
            // Addresses of IPv4 have 32 bits.
            ipv4: table(ipv4, |start| start as u32),
            ipv6: table(ipv6, Ipv6Addr::from_bits),
        }
    }
}

fn table<A>(starts: BTreeMap<u128, ValueId>, address: fn(u128) -> A) -> GeoRanges<A> {
    let mut table = GeoRanges { starts: Vec::new(), values: Vec::new() };
    for (start, value) in starts {
        if table.values.last() != Some(&value) {
            table.starts.push(address(start));
            table.values.push(value);
        }
    }
    table
}

/// The network that a word of the line names, counted with the line's first word as 0.
fn parsed(call: &mut Call<'_, '_>, word: usize) -> Result<AccessWho, Fault> {
    let text = call.directive.words.get(word).map_or("", |word| word.text.as_str());
    let invalid = || Fault::Says(word, format!("invalid network \"{text}\""));
    let (network, clean) = network(text).ok_or_else(invalid)?;
    if !clean {
        let message = format!("low address bits of {text} are meaningless");
        call.run.warning(call.directive.at_word(word), message);
    }
    Ok(network)
}

/// `192.0.2.1-192.0.2.9`. The last address of all stands for what has none, and is in no range.
fn ends(text: &str) -> Option<(u32, u32)> {
    let (first, last) = text.split_once('-')?;
    let first = first.parse::<Ipv4Addr>().ok()?.to_bits();
    let last = last.parse::<Ipv4Addr>().ok()?.to_bits();
    (first <= last && last < u32::MAX).then_some((first, last))
}
