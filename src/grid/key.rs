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
}
