//! The format of a spool segment: an append-only file of checksummed records.
//!
//! ```text
//! file    8 bytes "QSPOOL1\n", then records
//! record  offset  bytes  field
//!              0      4  "QREC"
//!              4      4  results in the unit, little endian: known even where the unit is damaged
//!              8      4  bytes of the unit, little endian
//!             12      4  CRC-32 of the twelve bytes before
//!             16      n  the signed unit
//!           16+n      4  CRC-32 of the unit
//! ```
//!
//! The header has a checksum of its own, so that a damaged length never misleads the reader: it looks for the next
//! whole header instead. Whatever stands behind the last whole record is a torn tail.

use std::ops::Range;

use quorate_proto::limits::UNIT_BYTES_MAX;

/// The first bytes of every segment.
pub(super) const FILE_HEADER: &[u8; 8] = b"QSPOOL1\n";

const MAGIC: &[u8; 4] = b"QREC";
const HEADER_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 4;

/// One thing found in a segment, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A whole record.
    Unit {
        /// Where the record stands in the file.
        record: Range<usize>,
        /// Where the unit stands in the file.
        unit: Range<usize>,
        /// Results in the unit.
        results: u32,
        /// Whether the reader had to look for the header, so that it may have found one inside another record: the
        /// unit's own signature must decide.
        searched: bool,
    },
    /// A record, or a stretch, that is damaged, with whole records behind it.
    Damaged {
        /// Results in it, where its header is whole.
        results: u32,
    },
}

/// What is in a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// In the order of the file.
    pub(super) items: Vec<Item>,
    /// Bytes up to the end of the last whole record.
    pub(super) whole: usize,
    /// Whether something stands behind that.
    pub(super) torn: bool,
}

/// Appends the record of a unit.
pub(super) fn encode(into: &mut Vec<u8>, unit: &[u8], results: u32) {
    let length = u32::try_from(unit.len()).unwrap_or(u32::MAX);
    let mut header = [0; 12];
    for (to, from) in
        header.iter_mut().zip(MAGIC.iter().chain(&results.to_le_bytes()).chain(&length.to_le_bytes()))
    {
        *to = *from;
    }
    into.extend_from_slice(&header);
    into.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
    into.extend_from_slice(unit);
    into.extend_from_slice(&crc32fast::hash(unit).to_le_bytes());
}

/// Bytes of the record of a unit of so many bytes.
pub(super) const fn record_bytes(unit_bytes: usize) -> usize {
    HEADER_BYTES + unit_bytes + CHECKSUM_BYTES
}

/// The unit in the bytes of one record, where the record is whole.
pub(super) fn unit_of(record: &[u8]) -> Option<&[u8]> {
    let header = Header::at(record, 0)?;
    header.whole_unit(record, 0).and_then(|unit| record.get(unit))
}

/// Reads a whole segment. None where it does not start like one.
pub(super) fn scan(file: &[u8]) -> Option<Scan> {
    let body = file.strip_prefix(FILE_HEADER)?;
    let mut scan = Scan { whole: FILE_HEADER.len(), ..Scan::default() };
    let mut whole_items = 0;
    let mut searched = false;
    let mut at = file.len() - body.len();
    while at < file.len() {
        let header = Header::at(file, at);
        match header.as_ref().and_then(|header| Some((header, header.whole_unit(file, at)?))) {
            Some((header, unit)) => {
                let record = at..at + record_bytes(header.length);
                at = record.end;
                scan.items.push(Item::Unit { record, unit, results: header.results, searched });
                scan.whole = at;
                whole_items = scan.items.len();
            }
            None => {
                scan.items.push(Item::Damaged { results: header.map_or(0, |header| header.results) });
                searched = true;
                at = next_header(file, at + 1);
            }
        }
    }
    scan.torn = scan.items.len() > whole_items;
    scan.items.truncate(whole_items);
    Some(scan)
}

struct Header {
    results: u32,
    length: usize,
}

impl Header {
    fn at(file: &[u8], at: usize) -> Option<Self> {
        let bytes = file.get(at..)?;
        let (header, rest) = bytes.split_first_chunk::<12>()?;
        let (checksum, _) = rest.split_first_chunk::<4>()?;
        let (magic, fields) = header.split_first_chunk::<4>()?;
        let (results, length) = fields.split_first_chunk::<4>()?;
        if magic != MAGIC || u32::from_le_bytes(*checksum) != crc32fast::hash(header) {
            return None;
        }
        let length = usize::try_from(u32::from_le_bytes(length.try_into().ok()?)).ok()?;
        (length <= UNIT_BYTES_MAX).then_some(Self { results: u32::from_le_bytes(*results), length })
    }

    /// Where the unit stands, if it is all there and its checksum is right.
    fn whole_unit(&self, file: &[u8], at: usize) -> Option<Range<usize>> {
        let start = at + HEADER_BYTES;
        let unit = start..start + self.length;
        let checksum = file.get(unit.end..)?.first_chunk::<CHECKSUM_BYTES>()?;
        (u32::from_le_bytes(*checksum) == crc32fast::hash(file.get(unit.clone())?)).then_some(unit)
    }
}

/// Where the next whole header starts, or the file's end.
fn next_header(file: &[u8], from: usize) -> usize {
    let rest = file.get(from..).unwrap_or_default();
    rest.windows(MAGIC.len())
        .enumerate()
        .filter(|(_, window)| window == MAGIC)
        .map(|(offset, _)| from + offset)
        .find(|at| Header::at(file, *at).is_some())
        .unwrap_or(file.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNITS: [&[u8]; 3] = [b"the first unit", b"a second one", b"and the last of all"];

    fn file() -> Vec<u8> {
        let mut file = FILE_HEADER.to_vec();
        for (index, unit) in UNITS.iter().enumerate() {
            encode(&mut file, unit, index as u32 + 1);
        }
        file
    }

    /// The scan in short: `1` a unit by its results, `x3` a damaged record that had three, `~` a torn tail.
    fn check(file: &[u8], wanted: &str) {
        let scan = scan(file).unwrap();
        let mut words: Vec<String> = Vec::new();
        for item in &scan.items {
            words.push(match item {
                Item::Unit { record, unit, results, .. } => {
                    assert_eq!(&file[unit.clone()], UNITS[*results as usize - 1]);
                    assert_eq!(unit_of(&file[record.clone()]), Some(UNITS[*results as usize - 1]));
                    results.to_string()
                }
                Item::Damaged { results } => format!("x{results}"),
            });
        }
        if scan.torn {
            words.push("~".into());
        }
        assert_eq!(words.join(" "), wanted);
    }

    #[test]
    fn whole_records_come_back() {
        check(&file(), "1 2 3");
        check(FILE_HEADER, "");
        assert_eq!(scan(b"QSPOOL9\nsomething"), None);
        assert_eq!(scan(b"QSP"), None);
    }

    #[test]
    fn a_tail_may_be_torn_at_every_byte() {
        let file = file();
        let last = file.len() - record_bytes(UNITS[2].len());
        check(&file[..last], "1 2");
        for end in last + 1..file.len() {
            check(&file[..end], "1 2 ~");
            assert_eq!(scan(&file[..end]).unwrap().whole, last, "cut at {end}");
            // Some file systems leave zeros where data was to be.
            let mut zeroed = file[..end].to_vec();
            zeroed.resize(file.len() + 100, 0);
            check(&zeroed, "1 2 ~");
        }
    }

    #[test]
    fn a_flipped_bit_costs_one_record() {
        let first = FILE_HEADER.len() + record_bytes(UNITS[0].len());
        let second = first + record_bytes(UNITS[1].len());
        for byte in first..second {
            for bit in 0..8 {
                let mut file = file();
                file[byte] ^= 1 << bit;
                let header = byte < first + HEADER_BYTES;
                check(&file, if header { "1 x0 3" } else { "1 x2 3" });
            }
        }
    }

    #[test]
    fn a_record_inside_a_damaged_one_is_marked() {
        let mut inner = Vec::new();
        encode(&mut inner, UNITS[0], 1);
        let mut file = FILE_HEADER.to_vec();
        encode(&mut file, &inner, 9);
        file[FILE_HEADER.len()] ^= 1;
        let scan = scan(&file).unwrap();
        assert!(matches!(scan.items.as_slice(), [Item::Damaged { .. }, Item::Unit { searched: true, .. }]));
    }
}
