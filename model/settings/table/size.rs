//! Sizes as people write them.

/// The units, and how many bytes each has.
const SIZE_UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
];

/// The bytes as people write them: in the largest binary unit that leaves nothing over.
pub(super) fn size_text(bytes: u64) -> String {
    let binary = SIZE_UNITS
        .iter()
        .filter(|(_, factor)| factor.is_power_of_two());
    let mut fitting =
        binary.filter(|(_, factor)| bytes.is_multiple_of(*factor) && bytes >= *factor);
    let (unit, factor) = fitting.next_back().copied().unwrap_or(("B", 1));
    format!("{} {unit}", bytes / factor)
}

/// The bytes of a text such as `256 KiB`.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor = SIZE_UNITS
        .iter()
        .find(|(name, _)| *name == unit.trim())
        .map(|(_, factor)| factor);
    number
        .parse::<u64>()
        .ok()
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(*factor))
        .ok_or_else(|| {
            format!(
                "`{text}` is no size; write a number and its unit, as in 64 KiB, 10 MiB or 1 GiB"
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_written_as_it_is_read() {
        for text in ["64 MiB", "16 TiB", "8 KiB", "1025 B", "1 KiB", "0 B"] {
            assert_eq!(size_text(parse_size(text).unwrap()), text);
        }
        assert_eq!(size_text(1_000_000), "1000000 B");
    }
}
