//! The CRC-64 of xz streams (the polynomial of ECMA 182, reflected), sixteen bytes at a time.

/// The polynomial, its highest power in the lowest bit.
const POLYNOMIAL: u64 = 0xc96c_5795_d787_0f42;

/// How many bytes are taken at once.
const STEP: usize = 16;

/// What a byte contributes that is followed by so many others.
static TABLES: [[u64; 256]; STEP] = tables();

const fn tables() -> [[u64; 256]; STEP] {
    let mut tables = [[0; 256]; STEP];
    let (mut byte, mut value) = (0, 0_u64);
    while byte < 256 {
        let (mut sum, mut bit) = (value, 0);
        while bit < 8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ POLYNOMIAL } else { sum >> 1 };
            bit += 1;
        }
        tables[0][byte] = sum;
        byte += 1;
        value += 1;
    }
    let mut behind = 1;
    while behind < STEP {
        byte = 0;
        while byte < 256 {
            let before = tables[behind - 1][byte];
            tables[behind][byte] = before >> 8 ^ tables[0][before.to_le_bytes()[0] as usize];
            byte += 1;
        }
        behind += 1;
    }
    tables
}

/// The checksum of bytes whose checksum is `before`, and of `input` behind them; 0 is that of nothing.
pub(super) fn append(before: u64, input: &[u8]) -> u64 {
    let mut sum = !before;
    let (steps, rest) = input.as_chunks::<STEP>();
    for step in steps {
        let (words, _) = step.as_chunks::<8>();
        let first = (u64::from_le_bytes(words[0]) ^ sum).to_le_bytes();
        let parts = first.iter().chain(&words[1]).zip(TABLES.iter().rev());
        sum = parts.fold(0, |sum, (byte, table)| sum ^ table[usize::from(*byte)]);
    }
    for byte in rest {
        sum = sum >> 8 ^ TABLES[0][usize::from(sum.to_le_bytes()[0] ^ byte)];
    }
    !sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_sums() {
        assert_eq!(append(0, b""), 0);
        // The check value of the catalogue of CRC algorithms.
        assert_eq!(append(0, b"123456789"), 0x995d_c9bb_df19_39fa);
    }

    #[test]
    fn pieces_of_any_length_make_the_sum_of_the_whole() {
        let bytes: Vec<u8> = (0..100_u8).map(|i| i.wrapping_mul(i)).collect();
        let slowly = |bytes: &[u8]| {
            !bytes.iter().fold(u64::MAX, |sum, byte| {
                (0..8).fold(sum ^ u64::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ POLYNOMIAL } else { sum >> 1 })
            })
        };
        for len in 0..bytes.len() {
            let expected = slowly(&bytes[..len]);
            for cut in 0..=len {
                assert_eq!(append(append(0, &bytes[..cut]), &bytes[cut..len]), expected, "{cut} of {len}");
            }
        }
    }
}
