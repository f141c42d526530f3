//! A path with a selection in brackets: `a/b[0:10,:,5]`.

/// Splits `path[selection]`; without brackets everything is selected.
pub(crate) fn split(text: &str) -> (&str, Option<&str>) {
    match text.strip_suffix(']').and_then(|rest| rest.rfind('[').map(|at| (&rest[..at], &rest[at + 1..]))) {
        Some((path, selection)) if !path.is_empty() => (path, Some(selection)),
        _ => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_may_hold_brackets() {
        assert_eq!(split("a/b[0:2]"), ("a/b", Some("0:2")));
        assert_eq!(split("a/b"), ("a/b", None));
        assert_eq!(split("a[1]/b[2]"), ("a[1]/b", Some("2")));
    }
}
