//! Checksums that no crate of ours has. All of them go through the bytes in lanes that the compiler can keep in vector registers.

/// The Fletcher checksum of HDF5: 16-bit words, big endian, the last one filled with a zero; sums that wrap by adding the carry, so that 0
/// means that all words are 0, and 65535 any other multiple of 65535.
pub(super) fn fletcher32(input: &[u8]) -> u32 {
    const LANES: usize = 8;
    /// Blocks of 256 words a lane: 65535 * 256^2 / 2 is below 2^32.
    const BLOCK: usize = 2 * LANES * 256;
    let wrap = |sum: u64| if sum == 0 { 0 } else { (sum - 1) % 65_535 + 1 };
    let (mut sum, mut sum_of_sums) = (0, 0);
    for block in input.chunks(BLOCK) {
        let (groups, rest) = block.as_chunks::<{ 2 * LANES }>();
        let (mut lanes, mut weighted) = ([0_u32; LANES], [0_u32; LANES]);
        for group in groups {
            for ((lane, weight), &word) in lanes.iter_mut().zip(&mut weighted).zip(group.as_chunks().0) {
                *weight += *lane;
                *lane += u32::from(u16::from_be_bytes(word));
            }
        }
        add_lanes((&mut sum, &mut sum_of_sums), groups.len(), &lanes, &weighted);
        for word in rest.chunks(2) {
            sum += u64::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]));
            sum_of_sums += sum;
        }
        (sum, sum_of_sums) = (wrap(sum), wrap(sum_of_sums));
    }
    join(sum, sum_of_sums)
}

/// Adds `groups` groups of values to a sum and to the sum of all its states. Each lane comes with the sum of its values, and the sum of its
/// states before each of them.
fn add_lanes((sum, sum_of_sums): (&mut u64, &mut u64), groups: usize, lanes: &[u32], weighted: &[u32]) {
    let width = lanes.len() as u64;
    *sum_of_sums += *sum * groups as u64 * width;
    for (lane, (&values, &states)) in (0..).zip(lanes.iter().zip(weighted)) {
        *sum += u64::from(values);
        *sum_of_sums += u64::from(states) * width + u64::from(values) * (width - lane);
    }
}

/// Two sums below 2^16 as one number.
fn join(sum: u64, sum_of_sums: u64) -> u32 {
    u32::try_from(sum_of_sums << 16 | sum).unwrap_or_default()
}

/// Bob Jenkins' `hashlittle` (lookup3.c, 2006), which HDF5 uses for metadata.
pub(super) fn lookup3(initial: u32, input: &[u8]) -> u32 {
    // The length counts modulo 2^32.
    let [l0, l1, l2, l3, ..] = (input.len() as u64).to_le_bytes();
    let start = 0xdead_beef_u32.wrapping_add(u32::from_le_bytes([l0, l1, l2, l3])).wrapping_add(initial);
    let Some(last) = input.len().checked_sub(1) else { return start };
    // The last block, of 1 to 12 bytes, is treated in another way.
    let (body, tail) = input.split_at(last / 12 * 12);
    let mut state = [start; 3];
    for block in body.as_chunks::<12>().0 {
        add_block(&mut state, block);
        mix(&mut state);
    }
    let mut block = [0; 12];
    block[..tail.len()].copy_from_slice(tail);
    add_block(&mut state, &block);
    finish(state)
}

fn add_block(state: &mut [u32; 3], block: &[u8; 12]) {
    for (number, word) in state.iter_mut().zip(block.as_chunks().0) {
        *number = number.wrapping_add(u32::from_le_bytes(*word));
    }
}

fn mix(state: &mut [u32; 3]) {
    let [mut a, mut b, mut c] = *state;
    for [first, second, third] in [[4, 6, 8], [16, 19, 4]] {
        a = a.wrapping_sub(c) ^ c.rotate_left(first);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(second);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(third);
        b = b.wrapping_add(a);
    }
    *state = [a, b, c];
}

fn finish([mut a, mut b, mut c]: [u32; 3]) -> u32 {
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}
