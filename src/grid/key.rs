//! Chunk keys: where a chunk is stored below its array's prefix.

/// How the key of a chunk is made from its grid index (Zarr v3 core specification, "Chunk key encoding").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChunkKeyEncoding {
    /// `c/1/2`, or `c.1.2`.
    Default {
        /// `/` or `.`.
        separator: char,
    },
    /// `1.2`, or `1/2`; `0` for rank 0.
    V2 {
        /// `.` or `/`.
        separator: char,
    },
}

impl Default for ChunkKeyEncoding {
    fn default() -> Self {
        Self::Default { separator: '/' }
    }
}

impl ChunkKeyEncoding {
    /// The key of a chunk below its array's prefix.
    pub fn key(&self, chunk: &[u64]) -> String {
        use std::fmt::Write;
        let (mut key, separator) = match self {
            Self::Default { separator } => (String::from("c"), *separator),
            Self::V2 { separator } => (String::new(), *separator),
        };
        for index in chunk {
            if !key.is_empty() {
                key.push(separator);
            }
            let _ = write!(key, "{index}");
        }
        if key.is_empty() { String::from("0") } else { key }
    }

    /// The grid index of `rank` numbers whose chunk has this key; none if no chunk has it.
    pub(crate) fn parse(&self, key: &str, rank: usize) -> Option<Vec<u64>> {
        let (rest, separator) = match self {
            Self::Default { separator } => (key.strip_prefix('c')?, *separator),
            Self::V2 { separator } => (key, *separator),
        };
        let numbers = match self {
            Self::Default { .. } if rank > 0 => rest.strip_prefix(separator)?,
            _ => rest,
        };
        let index = if rank == 0 { Some(Vec::new()) } else { numbers.split(separator).map(|number| number.parse().ok()).collect() };
        // Only one way of writing a number is that of a key.
        index.filter(|index: &Vec<u64>| index.len() == rank && self.key(index) == key)
    }

    /// Whether keys of chunks of this rank lie below `key`, so that no value may stand there.
    pub(crate) fn leads_on(&self, key: &str, rank: usize) -> bool {
        let (Self::Default { separator } | Self::V2 { separator }) = self;
        let least = usize::from(matches!(self, Self::V2 { .. }));
        *separator == '/' && (least..rank).any(|rank| self.parse(key, rank).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_follow_the_specification() {
        assert_eq!(ChunkKeyEncoding::default().key(&[1, 23, 45]), "c/1/23/45");
        assert_eq!(ChunkKeyEncoding::Default { separator: '.' }.key(&[1, 2]), "c.1.2");
        assert_eq!(ChunkKeyEncoding::default().key(&[]), "c");
        assert_eq!(ChunkKeyEncoding::V2 { separator: '.' }.key(&[1, 2]), "1.2");
        assert_eq!(ChunkKeyEncoding::V2 { separator: '/' }.key(&[]), "0");
    }

    #[test]
    fn a_key_is_that_of_one_chunk_or_of_none() {
        let encodings = ['/', '.'].map(|separator| [ChunkKeyEncoding::Default { separator }, ChunkKeyEncoding::V2 { separator }]).concat();
        for encoding in &encodings {
            for index in [&[][..], &[0], &[7, 0, u64::MAX]] {
                let key = encoding.key(index);
                assert_eq!(encoding.parse(&key, index.len()).as_deref(), Some(index), "{key}");
                // With keys of v2, the one chunk of rank 0 is called as the first of rank 1.
                assert!(key == "0" || encoding.parse(&key, index.len() + 1).is_none(), "{key}");
                assert!(!encoding.leads_on(&key, index.len()));
            }
            for key in
                ["", "c/", "c/00", "c/+1", "c/-1", "c/18446744073709551616", "c/1/", "c//1", "0/", "01", " 1", "c/1 ", "x", "C/1", "c1"]
            {
                assert!((0..3).all(|rank| encoding.parse(key, rank).is_none()), "{key:?}");
            }
        }
        let [slash, v2, dot, _] = encodings[..] else { panic!("four encodings") };
        assert!(slash.leads_on("c", 1) && slash.leads_on("c/3", 2) && !slash.leads_on("c/3", 1) && !slash.leads_on("d", 2));
        assert!(v2.leads_on("3", 2) && !v2.leads_on("3", 1) && !v2.leads_on("", 2));
        assert!(!dot.leads_on("c", 2));
    }
}
